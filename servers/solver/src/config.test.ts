import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { contracts, solverKey } from '../test/fixtures.ts'
import { readConfig } from './config.ts'

let folder: string
let environment: Record<string, string>
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lilypad-config-'))
  const network = {
    name: 'test',
    chainId: 31_337,
    rpcUrl: 'http://127.0.0.1:8545',
    solverUrl: 'http://127.0.0.1:8600',
    contracts,
  }
  writeFileSync(join(folder, 'network.json'), JSON.stringify(network))
  writeFileSync(join(folder, 'key'), `${solverKey}\n`, { mode: 0o600 })
  environment = { LILYPAD_STATE_DIR: folder, LILYPAD_KEY_FILE: join(folder, 'key') }
})
afterEach(() => rmSync(folder, { recursive: true }))

test('takes flags before the environment, and the network file from the state directory', () => {
  const config = readConfig(['--port', '0', '--rpc-url', 'http://127.0.0.1:9999'], {
    ...environment,
    LILYPAD_PORT: '1',
  })
  expect(config).toMatchObject({
    port: 0,
    host: '127.0.0.1',
    privateKey: solverKey,
    network: { rpcUrl: 'http://127.0.0.1:9999', contracts },
  })
})

test.each([
  ['an unknown flag', () => readConfig(['--nonsense'], environment), '--nonsense'],
  ['a port that is none', () => readConfig(['--port', '99999'], environment), 'port'],
  ['no key file', () => readConfig([], { ...environment, LILYPAD_KEY_FILE: join(folder, 'none') }), 'not found'],
  ['no network file', () => readConfig(['--network-file', join(folder, 'none')], environment), 'Network file'],
  [
    'a key that is none',
    () => {
      writeFileSync(join(folder, 'key'), 'secret-but-wrong')
      return readConfig([], environment)
    },
    'hexadecimal',
  ],
  [
    'a key that others can read',
    () => {
      chmodSync(join(folder, 'key'), 0o644)
      return readConfig([], environment)
    },
    'other accounts',
  ],
])('refuses %s, and says what to do without the secret', (_name, read, text) => {
  const caught = (() => {
    try {
      return read()
    } catch (error) {
      return error
    }
  })()
  expect(caught).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining(text) })
  expect(JSON.stringify(caught)).not.toContain('secret-but-wrong')
  expect(JSON.stringify(caught)).not.toContain(solverKey.slice(2))
})
