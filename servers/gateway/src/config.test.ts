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

const lily = 10n ** 18n
test.each([
  [['account', 'create', 'acme'], { name: 'account create', account: 'acme' }],
  [['account', 'credit', 'acme', '0.5', 'invoice 1'], { amount: lily / 2n, reference: 'invoice 1' }],
  [['account', 'list'], { name: 'account list' }],
  [
    ['key', 'create', 'acme', '--budget', '1', '--requests-per-minute', '9', '--models', 'chat, vectors'],
    { label: 'key', limits: { budget: lily, requestsPerMinute: 9, models: ['chat', 'vectors'] } },
  ],
  [['key', 'create', 'acme'], { label: 'key', limits: { budget: undefined, requestsPerMinute: undefined } }],
  [
    ['key', 'limit', 'key_1', '--day-budget', '0.5', '--month-budget', '2', '--expires', '2027-01-31'],
    { id: 'key_1', limits: { dayBudget: lily / 2n, monthBudget: 2n * lily, expiresAt: 1_801_353_600 } },
  ],
  [['key', 'rotate', 'key_1', '--grace', '0'], { id: 'key_1', graceSeconds: 0 }],
  [['key', 'rotate', 'key_1'], { graceSeconds: 86_400 }],
  [['key', 'disable', 'key_1'], { name: 'key disable', id: 'key_1' }],
  [['key', 'revoke', 'key_1'], { name: 'key revoke', id: 'key_1' }],
  [['key', 'list'], { name: 'key list', account: undefined }],
  [['ledger', 'check'], { name: 'ledger check' }],
])('%j', (args, command) => expect(read(args)).toMatchObject({ name: 'state', command }))

test('help is asked for', () => expect(read(['--help'])).toEqual({ name: 'help' }))

test('cards need both secrets, which can be read nowhere', () => {
  const secrets = { STRIPE_SECRET_KEY: 'sk_test_51secret', STRIPE_WEBHOOK_SECRET: 'whsec_secret' }
  expect(read([], secrets)).toMatchObject({
    config: { stripe: { secretKey: 'sk_test_51secret', returnUrl: 'http://127.0.0.1:8602/' } },
  })
  expect(read(['--public-url', 'https://gateway.example/'], secrets)).toMatchObject({
    config: {
      stripe: { returnUrl: 'https://gateway.example/' },
      allowedHosts: ['localhost', '127.0.0.1', '[::1]', 'gateway.example'],
    },
  })
  const wrongs = [{ STRIPE_SECRET_KEY: 'sk_test_51secret' }, { ...secrets, STRIPE_SECRET_KEY: 'pk-secret' }]
  for (const env of wrongs) {
    try {
      read([], env)
      expect.unreachable()
    } catch (error) {
      expect(String(error)).toContain('--stripe-secret-key')
      expect(String(error)).not.toMatch(/51secret|pk-secret/)
    }
  }
})

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
    [['key', 'create', 'acme', '--expires', 'soon'], /--expires/],
    [['key', 'limit', 'key_1', '--day-budget', 'much'], /--day-budget/],
    [['key', 'list', '--grace', '-1'], /--grace/],
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
