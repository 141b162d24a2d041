import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LilypadError } from '@lilypad-agents/protocol'
import { readConfig } from '@lilypad-agents/provider'
import { sampleContracts } from '@lilypad-agents/sdk'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openStateDirectory, type StateDirectory } from '../local/state-directory.ts'
import type { Printer } from '../output/printer.ts'
import { examineProvider } from './provider-doctor.ts'
import { showProvider } from './provider-money.ts'
import { providerArguments } from './provider-settings.ts'

let state: StateDirectory
let printed: { value: Record<string, unknown>; text: string } | undefined
const printer: Printer = {
  isJson: false,
  result: (value, lines) => {
    printed = { value: value as Record<string, unknown>, text: lines.join('\n') }
  },
  step: () => {},
  progress: () => {},
  note: () => {},
  echo: () => {},
}
beforeEach(() => {
  state = openStateDirectory(mkdtempSync(join(tmpdir(), 'lilypad-provider-')))
  printed = undefined
})
afterEach(() => rmSync(state.path, { recursive: true, force: true }))

/** A network of which nothing answers. */
function writeNetwork() {
  state.key('provider')
  const contracts = sampleContracts(`0x${'11'.repeat(20)}`)
  const network = {
    name: 'dead',
    chainId: 31_337,
    rpcUrl: 'http://127.0.0.1:1',
    solverUrl: 'http://127.0.0.1:1',
    contracts,
  }
  writeFileSync(state.networkFile, JSON.stringify(network))
}
const read = () => readConfig({ args: [...providerArguments(state, {}), '--executors', 'noop'], environment: {} })

test('network and key are those of the local network, unless a configuration file is there', () => {
  const local = ['--state-dir', state.path, '--network', state.networkFile, '--key-file', state.keyFile('provider')]
  expect(providerArguments(state, {})).toEqual(local)
  expect(providerArguments(state, { key: '/k', network: '/n' })).toEqual([
    ...local.slice(0, 2),
    '--network',
    '/n',
    '--key-file',
    '/k',
  ])
  expect(providerArguments(state, { config: '/c.toml' })).toEqual(['--config', '/c.toml'])
  expect(providerArguments(state, { config: '/c.toml', isStateNamed: true, key: '/k' })).toEqual([
    ...['--config', '/c.toml', '--state-dir', state.path, '--key-file', '/k'],
  ])
  writeFileSync(join(state.path, 'provider.toml'), '')
  expect(providerArguments(state, {})).toEqual(['--state-dir', state.path])
})

test('the doctor says what to mend in the configuration, and looks no further', async () => {
  const broken = () => {
    throw new LilypadError('CONFIG_INVALID', 'Not valid.', {
      details: ['provider.toml:3 slots: too small'],
      hint: 'correct it',
    })
  }
  expect(await examineProvider(broken, printer)).toBe(false)
  expect(printed?.text).toContain('✘ configuration     Not valid. provider.toml:3 slots: too small\n      → correct it')
  expect(printed?.text).toContain('1 to mend')
})

test('the doctor of a node whose network is dead names what does not answer', async () => {
  writeNetwork()
  expect(await examineProvider(read, printer)).toBe(false)
  const { checks = [] } = (printed?.value ?? {}) as { checks?: { name: string; result: string }[] }
  const results = checks.map(({ name, result }) => [name, result])
  expect(results).toEqual(
    expect.arrayContaining([
      ['node', 'ok'],
      ['network file', 'ok'],
      ['executor noop', 'ok'],
      ['rpc', 'failed'],
      ['ether', 'failed'],
      ['solver', 'failed'],
      ['clock', 'failed'],
      ['modules', 'failed'],
    ]),
  )
}, 60_000)

test('the status of a provider that never ran is shown while the chain is down', async () => {
  writeNetwork()
  await showProvider(read(), printer)
  expect(printed?.text).toContain('not running')
  expect(printed?.text).toContain('Jobs           none yet')
  expect(printed?.text).toContain('! The chain does not answer.')
  expect(printed?.value).toMatchObject({ credit: null, money: null })
}, 60_000)
