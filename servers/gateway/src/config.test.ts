import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sampleContracts } from '@lilypad-agents/sdk'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { helpText, readCommand } from './config.ts'

let folder: string
let network: string
let keyFile: string
const secret = `0x${'5e'.repeat(32)}`

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lp-gateway-config-'))
  network = join(folder, 'network.json')
  keyFile = join(folder, 'gateway.key')
  const url = 'http://127.0.0.1:1'
  const contracts = sampleContracts(`0x${'0b'.repeat(20)}`)
  writeFileSync(network, JSON.stringify({ name: 'x', chainId: 1, rpcUrl: url, solverUrl: url, contracts }))
  writeFileSync(keyFile, secret, { mode: 0o600 })
  writeFileSync(join(folder, 'bad.key'), '0xsecretsecret', { mode: 0o600 })
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const read = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  readCommand({ args, env: { LILYPAD_NETWORK_FILE: network, ...env } })

test('a flag wins over its variable, and both over what is usual', () => {
  const command = read(['--port', '1', '--usd-per-lily', '0.05'], { LILYPAD_PORT: '2', LILYPAD_MAX_PER_JOB: '3' })
  if (command.name !== 'serve') return expect.unreachable()
  expect(command.config).toMatchObject({
    port: 1,
    usdPerLilyWad: 5n * 10n ** 16n,
    policy: { perJob: 3n * 10n ** 18n },
    allowedHosts: ['localhost', '127.0.0.1', '[::1]'],
    allowedOrigins: [],
    maxBodyBytes: 4_194_304,
  })
})

test('lists come from repeated flags, or from one variable', () => {
  const hosts = ['serve', '--host', '0.0.0.0']
  for (const command of [
    read([...hosts, '--allow-host', 'a.example', '--allow-host', 'b.example']),
    read(hosts, { LILYPAD_ALLOW_HOSTS: 'a.example, b.example' }),
  ])
    expect(command).toMatchObject({ config: { allowedHosts: ['a.example', 'b.example'] } })
})

test('the key signs, and can be read nowhere', () => {
  const command = read(['--key-file', keyFile])
  expect(command).toMatchObject({ config: { signer: { address: expect.stringMatching(/^0x/) } } })
  expect(JSON.stringify(command, (_, value) => (typeof value === 'bigint' ? String(value) : value))).not.toContain(
    '5e5e',
  )
})

test('strangers pay only where that is asked for, in ether and gwei as people write them', () => {
  expect(read(['--key-file', keyFile])).toMatchObject({ config: { x402: undefined } })
  const dollar = `0x${'AB'.repeat(20)}`
  const args = ['--key-file', keyFile, '--x402', 'all', '--x402-token', dollar, '--x402-max-gas-price', '0.5']
  expect(read(args)).toMatchObject({
    config: {
      x402: {
        dollarTokens: [dollar.toLowerCase()],
        isFacilitator: true,
        fee: 0n,
        minTransfer: 10n ** 16n,
        maxGasPrice: 5n * 10n ** 8n,
        gasPerDay: 5n * 10n ** 16n,
      },
    },
  })
})

test.each([
  [['account', 'create', 'acme'], { name: 'account create', account: 'acme' }],
  [['account', 'credit', 'acme', '0.5', 'invoice 1'], { amount: 5n * 10n ** 17n, reference: 'invoice 1' }],
  [['account', 'list'], { name: 'account list' }],
  [
    ['key', 'create', 'acme', '--budget', '1', '--requests-per-minute', '9'],
    { budget: 10n ** 18n, requestsPerMinute: 9 },
  ],
  [['key', 'create', 'acme'], { budget: undefined, requestsPerMinute: undefined, label: 'key' }],
  [['key', 'revoke', 'key_1'], { name: 'key revoke', id: 'key_1' }],
  [['--help'], { name: 'help' }],
])('%j', (args, expected) => expect(read(args)).toMatchObject(expected))

describe('what is wrong is named, and no key is in it', () => {
  test.each([
    [['sell'], /sell/],
    [['account', 'credit', 'acme', '1'], /account credit/],
    [['--port', '70000'], /--port/],
    [['--usd-per-lily', 'much'], /--usd-per-lily/],
    [['--host', '0.0.0.0'], /--allow-host/],
    [['--log-level', 'loud'], /--log-level/],
    [['--frog', '1'], /--frog/],
    [['--x402', 'sell'], /--key-file/],
    [['--x402', 'maybe'], /--x402/],
    [['--x402-token', '0x1'], /--x402-token/],
  ])('%j', (args, named) => {
    expect(() => read(args)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(named) }),
    )
  })

  test('a key file that holds no key', () => {
    try {
      read(['--key-file', join(folder, 'bad.key')])
      expect.unreachable()
    } catch (error) {
      expect(String(error)).not.toContain('secretsecret')
    }
  })
})

test('the help names every setting with its variable', () => {
  const help = helpText()
  for (const name of ['--allow-origin', 'LILYPAD_ALLOW_ORIGINS', '--first-credit', 'DATABASE_URL'])
    expect(help).toContain(name)
})
