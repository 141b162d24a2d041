import { sampleContracts } from '@lilypad-agents/sdk'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSigner, LilypadError, SignedGrant, sessionGrantType, zeroBytes32 } from '@lilypad-agents/protocol'
import { afterAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { McpConfig } from './config.ts'
import { helpText } from './help-text.ts'
import { enforcedPolicy } from './policy.ts'
import { readCommand } from './read-command.ts'

const folder = mkdtempSync(join(tmpdir(), 'lilypad-mcp-config-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const lily = 10n ** 18n
const key = `0x${'ab'.repeat(32)}` as const
const token = `0x${'3'.repeat(40)}` as const
const file = (name: string, text: string, mode = 0o600) => {
  const path = join(folder, name)
  writeFileSync(path, text, { mode })
  chmodSync(path, mode)
  return path
}
const network = file(
  'network.json',
  JSON.stringify({
    name: 'local',
    chainId: 31_337,
    rpcUrl: 'http://127.0.0.1:1',
    solverUrl: 'http://127.0.0.1:2',
    contracts: { ...sampleContracts(`0x${'1'.repeat(40)}`), lilyToken: token },
  }),
)
const keyFile = file('key', `${key}\n`)

const read = (args: readonly string[], env: Record<string, string> = {}): McpConfig => {
  const command = readCommand({ args: ['--network', network, ...args], env })
  if (!('config' in command)) throw new Error('expected a configuration')
  return command.config
}
const refusal = (args: readonly string[], env: Record<string, string> = {}): string => {
  try {
    read(args, env)
  } catch (error) {
    if (LilypadError.is(error)) return `${error.code}: ${error.details.join('; ')}`
    throw error
  }
  return 'accepted'
}

const limits = {
  perJob: lily,
  perDay: 10n * lily,
  total: 100n * lily,
  perSession: 10n * lily,
  jobsPerHour: 120,
  concurrentJobs: 20,
  approveFrom: 0n,
  stopAfter: { failures: 3, unknown: 2 },
}
const publishers = [`0x${'aB'.repeat(20)}`, `0x${'cd'.repeat(20)}`] as const

describe('spending limits', () => {
  test('are small unless they are set', () => {
    expect(read([]).policy).toEqual(limits)
  })

  test('each has a flag and a variable', () => {
    const flags = [
      ...['--max-per-session', '2', '--max-jobs-per-hour', '7', '--max-concurrent', '1', '--stop-after', '0'],
      ...['--auto-approve-under', '0.1', '--deny-module', 'ocr', '--deny-publisher', publishers[1]],
    ]
    const { stopAfter: _, ...others } = limits
    expect(read(flags, { LILYPAD_ALLOW_PUBLISHERS: publishers[0] }).policy).toEqual({
      ...others,
      perSession: 2n * lily,
      jobsPerHour: 7,
      concurrentJobs: 1,
      approveFrom: lily / 10n,
      deniedModules: ['ocr'],
      deniedPublishers: [publishers[1]],
      publishers: [publishers[0].toLowerCase()],
    })
  })

  test.each([
    ['0', 0n],
    ['0.5', lily / 2n],
    ['1', lily],
    ['0.000000000000000001', 1n],
    ['123456789.000000000000000001', 123_456_789n * lily + 1n],
    ['0.1', 100_000_000_000_000_000n],
    ['0.30000000000000004', 300_000_000_000_000_040n],
  ])('%s LILY is read exactly', (text, amount) => expect(read(['--max-per-job', text]).policy.perJob).toBe(amount))

  test.each(['', '-1', '1e18', '0x10', '1,5', '.5', '1.', 'Infinity', '0.0000000000000000001', '1 000', '١'])(
    '%j is refused',
    (text) => expect(refusal([`--max-per-day=${text}`])).toContain('--max-per-day'),
  )

  test('a flag wins over its variable', () => {
    const env = { LILYPAD_MAX_PER_JOB: '3', LILYPAD_MAX_TOTAL: '7', LILYPAD_ALLOW_MODULES: 'tts, ocr' }
    const { policy } = read(['--max-per-job', '2'], env)
    expect(policy).toEqual({ ...limits, perJob: 2n * lily, total: 7n * lily, modules: ['tts', 'ocr'] })
    expect(read(['--allow-module', 'tts', '--allow-module', 'echo'], env).policy.modules).toEqual(['tts', 'echo'])
  })

  test('a grant bounds them from above', () => {
    const payer = createSigner(`0x${'cd'.repeat(32)}`)
    const grant = {
      payer: payer.address,
      key: createSigner(key).address,
      token,
      perJob: lily / 4n,
      perDay: 50n * lily,
      total: 60n * lily,
      validUntil: 4_000_000_000,
      providersRoot: zeroBytes32,
      modulesRoot: zeroBytes32,
      nonce: 1n,
    }
    const domain = { chainId: 31_337, vault: `0x${'1'.repeat(40)}` as const }
    const signed = { grant, signature: sessionGrantType.sign(domain, grant, payer) }
    const grantFile = file('grant.json', JSON.stringify(z.encode(SignedGrant, signed)))
    const config = read(['--key-file', keyFile, '--grant-file', grantFile])
    expect(config.policy).toEqual({ ...limits, perJob: lily / 4n, total: 60n * lily })
    expect(config.grant).toEqual(signed)
    const other = file('other-key', `0x${'12'.repeat(32)}`)
    expect(refusal(['--key-file', other, '--grant-file', grantFile])).toContain('Granted to key')
    expect(refusal(['--grant-file', grantFile])).toContain('--grant-file needs --key-file')
    expect(refusal(['--key-file', keyFile, '--grant-file', network])).toContain('INVALID_REQUEST')
  })
})

describe('approval', () => {
  const key = ['--key-file', keyFile]
  const enforced = (...args: string[]) => {
    const { approveFrom, ways } = enforcedPolicy(read([...key, ...args]))
    return { approveFrom, ways }
  }
  test.each<[string[], ReturnType<typeof enforced>]>([
    [[], { approveFrom: 0n, ways: ['elicit', 'cli'] }],
    [['--approval', 'url'], { approveFrom: 0n, ways: ['url', 'cli'] }],
    [['--approval', 'cli', '--auto-approve-under', '2'], { approveFrom: 2n * lily, ways: ['cli'] }],
    [['--approval', 'deny'], { approveFrom: 0n, ways: [] }],
    [['--approval', 'host'], { approveFrom: undefined, ways: undefined }],
  ])('%j', (args, expected) => expect(enforced(...args)).toEqual(expected))

  test('is asked for where a program says nothing about it', () => {
    expect(enforcedPolicy({ policy: { perJob: 1n, perDay: 1n, total: 1n } })).toMatchObject({ approveFrom: 0n })
  })
})

describe('the mode', () => {
  const onChain = (chainId: number) => {
    const { network: local } = read([])
    return ['--network', file(`chain-${chainId}.json`, JSON.stringify({ ...local, chainId }))]
  }
  const key = ['--key-file', keyFile]
  test.each([1, 10, 137, 8453, 42_161, 56, 123_456_789])('chain %s has real money: only live spends it', (chainId) => {
    expect(refusal([...onChain(chainId), ...key])).toContain(`Chain: ${chainId}   Mode: testnet`)
    expect(refusal([...onChain(chainId), ...key, '--mode', 'testnet'])).toContain('Mode: testnet')
    expect(read([...onChain(chainId), ...key, '--mode', 'live']).signer).toBeDefined()
    expect(read([...onChain(chainId), ...key, '--mode', 'read-only']).signer).toBeUndefined()
    expect(read(onChain(chainId)).signer).toBeUndefined()
  })
  test.each([31_337, 11_155_111, 421_614, 84_532])('chain %s is a test chain', (chainId) => {
    expect(read([...onChain(chainId), ...key]).signer).toBeDefined()
  })
  test('read-only does not even read the key', () => {
    expect(read(['--key-file', join(folder, 'none'), '--mode', 'read-only']).signer).toBeUndefined()
  })
})

describe('commands of a person', () => {
  test('take the settings, and approve the id of a quote', () => {
    const command = readCommand({ args: ['approve', '0xabc', '--state-dir', folder], env: {} })
    expect(command).toMatchObject({ name: 'approve', operand: '0xabc', settings: { 'state-dir': folder } })
    expect(readCommand({ args: ['ledger', '--json'], env: {} })).toMatchObject({ name: 'ledger', isJson: true })
    for (const name of ['resume', 'doctor']) expect(readCommand({ args: [name], env: {} })).toMatchObject({ name })
  })
})

describe('the key', () => {
  test('cannot be read back from the configuration', () => {
    const config = read(['--key-file', keyFile])
    expect(config.signer?.address).toBe(createSigner(key).address)
    expect(
      JSON.stringify(config, (_name, value) => (typeof value === 'bigint' ? value.toString() : value)),
    ).not.toContain(key.slice(2))
  })

  test.each([
    ['a missing file', join(folder, 'none')],
    ['a file that others can read', file('open-key', key, 0o644)],
    ['a file without a key', file('no-key', 'secret words')],
  ])('%s is refused without a word of its content', (_what, path) => {
    const text = refusal(['--key-file', path])
    expect(text).toContain('CONFIG_INVALID')
    expect(text).not.toContain(key.slice(2, 20))
    expect(text).not.toContain('secret words')
  })
})

test.each([
  ['an unknown flag', ['--max-per-week', '1']],
  ['an unknown command', ['serve']],
  ['a command with too much', ['ledger', 'all']],
  ['an unknown mode', ['--mode', 'mainnet']],
  ['an unknown way to approve', ['--approval', 'always']],
  ['a count that is none', ['--max-concurrent', '-1']],
  ['an author that is no address', ['--allow-publisher', 'alice']],
  ['two commands', ['http', 'stdio']],
  ['a port out of range', ['--port', '70000']],
  ['a port that is none', ['--port', 'http']],
  ['an unknown level', ['--log-level', 'loud']],
  ['a module name that is none', ['--allow-module', 'Not A Module']],
  ['an endpoint that is no URL', ['--rpc-url', 'localhost']],
  ['a host with a port', ['http', '--allowed-hosts', 'mcp.example.com:443']],
  ['a page with a scheme', ['http', '--allowed-origins', 'https://app.example.com']],
  ['a login that is none', ['http', '--auth', 'password']],
  ['OAuth without an issuer', ['http', '--auth', 'oauth']],
  ['an issuer over plain http', ['http', '--auth', 'oauth', '--oauth-issuer', 'http://issuer.example']],
  [
    'keys over plain http',
    ['http', '--auth', 'oauth', '--oauth-issuer', 'https://a.example', '--oauth-jwks-url', 'http://a.example/k'],
  ],
  ['a public address of another kind', ['http', '--public-url', 'file:///mcp']],
  ['no requests at all', ['http', '--requests-per-minute', '0']],
  ['a flag of `token add`', ['http', '--own-key']],
])('%s is refused', (_what, args) => expect(refusal(args)).toContain('CONFIG_INVALID'))

describe('http', () => {
  test('is on loopback without a login unless it is told', () => {
    const { http } = read(['http', '--state-dir', '/state'])
    expect(http).toEqual({
      host: '127.0.0.1',
      allowedHosts: [],
      allowedOrigins: [],
      auth: { kind: 'none' },
      trustedProxies: 0,
      requestsPerMinute: 300,
      principalsDirectory: '/state/principals',
      principalWallet: 'shared',
      principalLimits: { perDay: lily, total: 10n * lily },
    })
  })

  test('takes names, a login and an address; with OAuth nobody spends from the server’s wallet unless that is said', () => {
    const env = { LILYPAD_ALLOWED_HOSTS: 'MCP.example.com, [2001:db8::1]', LILYPAD_AUTH: 'oauth' }
    const args = [
      'http',
      '--host',
      '0.0.0.0',
      '--oauth-issuer',
      'https://id.example/tenant',
      '--public-url',
      'https://mcp.example.com/mcp',
    ]
    expect(read(args, env).http).toMatchObject({
      host: '0.0.0.0',
      allowedHosts: ['mcp.example.com', '[2001:db8::1]'],
      auth: { kind: 'oauth', issuer: 'https://id.example/tenant' },
      publicUrl: 'https://mcp.example.com/mcp',
      principalWallet: 'own',
    })
    expect(read([...args, '--principal-wallet', 'shared'], env).http?.principalWallet).toBe('shared')
    const withTokens = read(['http', '--auth', 'token', '--state-dir', '/state']).http
    expect(withTokens).toMatchObject({ auth: { kind: 'token', file: '/state/tokens.json' }, principalWallet: 'shared' })
    // What only http reads does not keep the others from starting.
    expect(read(['stdio'], env).http).toBeUndefined()
  })
})

describe('token', () => {
  const readToken = (args: readonly string[], env: Record<string, string> = {}) => {
    const command = readCommand({ args: ['token', ...args], env })
    return command.name === 'token' ? command.command : undefined
  }
  test('is added with limits of its own; the variables are the server’s limits and do not count', () => {
    const env = { LILYPAD_MAX_PER_DAY: '7', LILYPAD_STATE_DIR: '/state' }
    expect(readToken(['add', 'alice', '--max-per-job', '0.5', '--expires-in-days', '30', '--own-key'], env)).toEqual({
      action: 'add',
      file: '/state/tokens.json',
      tokenName: 'alice',
      scopes: ['lilypad:read', 'lilypad:spend'],
      limits: { perJob: lily / 2n },
      expiresInDays: 30,
      keyFile: '/state/principals/alice/key',
    })
    expect(readToken(['add', 'bot', '--scope', 'read', '--token-file', '/t'])).toEqual({
      action: 'add',
      file: '/t',
      tokenName: 'bot',
      scopes: ['lilypad:read'],
      limits: {},
    })
    expect(readToken(['revoke', 'alice'], env)).toEqual({
      action: 'revoke',
      file: '/state/tokens.json',
      tokenName: 'alice',
    })
    expect(readToken(['list'], env)).toEqual({ action: 'list', file: '/state/tokens.json' })
    // A host left the name in place of what its user did not set.
    expect(readToken(['list'], { ...env, LILYPAD_TOKEN_FILE: `$\{user_config.tokens}` })).toEqual(
      readToken(['list'], env),
    )
  })

  test.each([
    [[]],
    [['add']],
    [['add', '../x']],
    [['add', 'Alice']],
    [['add', 'a', 'b']],
    [['list', 'a']],
    [['remove', 'a']],
    [['add', 'a', '--max-per-day', 'lots']],
    [['add', 'a', '--expires-in-days', '0']],
    [['add', 'a', '--scope', 'all']],
  ])('%j is refused', (args) => expect(() => readToken(args)).toThrow(/not valid/))
})

test('addresses of a network can be replaced', () => {
  const { network: replaced } = read(['--rpc-url', 'http://10.0.0.1:8545', '--solver-url', 'https://solver.example'])
  expect(replaced).toMatchObject({ rpcUrl: 'http://10.0.0.1:8545', solverUrl: 'https://solver.example', name: 'local' })
})

test('a missing network file says how to get one', () => {
  expect(() => readCommand({ args: ['--network', join(folder, 'none.json')], env: {} })).toThrow(/lilypad up/)
})

test('help and version need no network', () => {
  expect(readCommand({ args: ['--help'], env: {} })).toEqual({ name: 'help' })
  expect(readCommand({ args: ['http', '--version'], env: {} })).toEqual({ name: 'version' })
  for (const setting of [
    '--max-per-job',
    'LILYPAD_KEY_FILE',
    '--allow-module',
    'token add',
    '--own-key',
    'LILYPAD_AUTH',
  ])
    expect(helpText()).toContain(setting)
})

describe('which tools are offered', () => {
  test('flags and variables name pins, groups and tools', () => {
    const { pins, selection } = read(['--pin', 'tts', '--pin=ocr@1.0.0', '--toolsets', 'lean,jobs', '--read-only'], {
      LILYPAD_TOOLS: 'get_job, lilypad_get_wallet',
    })
    expect(pins).toEqual([{ module: 'tts' }, { module: 'ocr', version: '1.0.0' }])
    expect(selection).toEqual({
      isReadOnly: true,
      toolsets: ['lean', 'jobs'],
      tools: ['lilypad_get_job', 'lilypad_get_wallet'],
    })
    expect(read([], { LILYPAD_READ_ONLY: 'true', LILYPAD_PINS: 'tts' })).toMatchObject({
      pins: [{ module: 'tts' }],
      selection: { isReadOnly: true },
    })
    expect(read([]).selection).toEqual({ isReadOnly: false })
  })

  test.each([
    [['--pin', 'run-job'], '--pin: a module of this name would hide a tool'],
    [['--pin', 'tts', '--pin', 'tts@1.0.0'], '--pin: two pins would be one tool'],
    [['--pin', 'No Such'], '--pin.0: expected the name of a module'],
    [['--toolsets', 'most'], '--toolsets.0'],
    [['--tools', 'send_money'], '--tools.0: expected names among: lilypad_search_modules'],
    [Array.from({ length: 9 }, (_, index) => `--pin=module-${index}`), 'at most 8 pins'],
  ])('%j is refused', (args, message) => expect(refusal(args)).toContain(message))

  test('a variable that a host did not fill in is not set', () => {
    const env = { LILYPAD_KEY_FILE: `$\{user_config.key_file}`, LILYPAD_MAX_PER_JOB: '$LILYPAD_MAX_PER_JOB' }
    expect(read([], env)).toMatchObject({ policy: { perJob: lily } })
    expect(read([], env).signer).toBeUndefined()
  })
})
