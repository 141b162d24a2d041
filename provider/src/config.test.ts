import { LilypadError } from '@lilypad-agents/protocol'
import { sampleContracts } from '@lilypad-agents/sdk'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readConfig } from './config.ts'

let folder: string
const key = `0x${'7'.repeat(64)}`
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lilypad-config-'))
  const address = `0x${'11'.repeat(20)}` as const
  const network = {
    name: 'local',
    chainId: 31_337,
    rpcUrl: 'http://127.0.0.1:8545',
    solverUrl: 'http://127.0.0.1:8600',
    contracts: sampleContracts(address),
  }
  writeFileSync(join(folder, 'network.json'), JSON.stringify(network))
  writeFileSync(join(folder, 'provider.key'), `${key}\n`, { mode: 0o600 })
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))
const read = (environment: Record<string, string> = {}, args: readonly string[] = []) =>
  readConfig({ args, environment: { LILYPAD_STATE_DIR: folder, ...environment } })

test('finds network and key in the state directory, and has defaults for the rest', () => {
  expect(read()).toMatchObject({
    stateDir: folder,
    key,
    network: { chainId: 31_337 },
    modules: 'all',
    executors: ['wasm', 'docker', 'server'],
    pricing: { all: {}, modules: {} },
    exposure: { maxUnpaidSeconds: 3600 },
    claims: { isEnabled: true, afterSeconds: 3600, marginSeconds: 1800, minPrice: 0n },
    status: undefined,
    configFile: undefined,
    retentionDays: 30,
    settlement: { maxJobs: 100, maxAgeSeconds: 2, announceAfterSeconds: 21_600 },
    logLevel: 'info',
    fault: undefined,
  })
})

test('a configuration file that is added later does not lose the key that was made at the first start', () => {
  mkdirSync(join(folder, 'keys'))
  const made = join(folder, 'keys', 'provider.key')
  writeFileSync(made, `0x${'8'.repeat(64)}\n`, { mode: 0o600 })
  expect(read()).toMatchObject({ key })
  rmSync(join(folder, 'provider.key'))
  writeFileSync(join(folder, 'provider.toml'), '')
  expect(read()).toMatchObject({ key: `0x${'8'.repeat(64)}` })
})

test('a flag wins over a variable', () => {
  const { executors, modules, slots, network } = read({ LILYPAD_EXECUTORS: 'docker', LILYPAD_SLOTS: '3' }, [
    '--executors',
    'noop',
    '--modules',
    'tts, ocr',
    '--solver-url',
    'http://127.0.0.1:1',
  ])
  expect({ executors, modules, slots, solverUrl: network.solverUrl }).toEqual({
    executors: ['noop'],
    modules: ['tts', 'ocr'],
    slots: 3,
    solverUrl: 'http://127.0.0.1:1',
  })
})

test.each<[string, Record<string, string>, readonly string[], string]>([
  ['unknown executor', { LILYPAD_EXECUTORS: 'shell' }, [], 'LILYPAD_EXECUTORS'],
  ['slots', { LILYPAD_SLOTS: '0' }, [], 'LILYPAD_SLOTS'],
  ['unknown flag', {}, ['--key', key], '--key'],
  ['fault outside of a test', { LILYPAD_FAULT: 'accepted' }, [], 'crash tests only'],
  ['unknown fault', { LILYPAD_FAULT: 'whenever', NODE_ENV: 'test' }, [], 'LILYPAD_FAULT'],
  ['no key file', { LILYPAD_KEY_FILE: '/nowhere/provider.key' }, [], 'key file cannot be read'],
])('refuses %s', (_name, environment, args, expected) => {
  expect(() => read(environment, args)).toThrow(expected)
})

test('reads the one file in the state directory; variables and flags win', () => {
  const file = join(folder, 'provider.toml')
  writeFileSync(
    file,
    `slots = 3
region = "eu-west"
modules = ["tts", "ocr"]
[prices]
factor_percent = 120.5
per_second = "0.000000000000000001"
[prices.modules.tts]
per_job = "0.5"
[exposure]
max_per_payer = "2"
max_unpaid_seconds = 60
[settlement]
lily_per_ether = "20000"
max_jobs = 7
[claims]
enabled = false
restake_up_to = "3"
[status]
port = 9464
[servers]
resident = true
replicas = 2
memory_bytes = 1000
trust_modules = ["0x${'1'.repeat(64)}=/opt/chat/server.mjs"]
`,
  )
  const config = read({ LILYPAD_SLOTS: '5', LILYPAD_MAX_PER_SOLVER: '10' }, ['--settle-jobs', '9'])
  expect(config).toMatchObject({
    configFile: file,
    slots: 5,
    region: 'eu-west',
    modules: ['tts', 'ocr'],
    pricing: {
      all: { factorBips: 12_050, pricePerSecond: 1n },
      modules: { tts: { pricePerJob: 5n * 10n ** 17n } },
    },
    exposure: { maxPerPayer: 2n * 10n ** 18n, maxPerSolver: 10n ** 19n, maxUnpaidSeconds: 60 },
    settlement: { maxJobs: 9, tokenPerEther: 20_000n * 10n ** 18n },
    claims: { isEnabled: false, restakeUpTo: 3n * 10n ** 18n, tokenPerEther: 20_000n * 10n ** 18n },
    status: { port: 9464, host: '127.0.0.1' },
    servers: {
      isResident: true,
      maxReplicas: 2,
      maxMemoryBytes: 1000,
      trusted: { [`0x${'1'.repeat(64)}`]: '/opt/chat/server.mjs' },
    },
  })
})

test.each([
  ['a name', 'chat=/opt/chat/server.mjs'],
  ['no program', `0x${'1'.repeat(64)}`],
  ['a program to be looked for', `0x${'1'.repeat(64)}=server.mjs`],
])('modules are not trusted by %s', (_name, value) => {
  expect(() => read({}, ['--trust-module', value])).toThrow('not <version id>=<absolute path of a program>')
})

test('a file elsewhere brings network, key and state along', () => {
  const file = join(folder, 'node.toml')
  writeFileSync(file, 'key_file = "provider.key"\n')
  expect(readConfig({ args: ['--config', file], environment: {} })).toMatchObject({ stateDir: folder, key })
})

test('the example is valid as it is, and says the defaults', () => {
  const example = readFileSync(join(import.meta.dirname, '..', 'provider.example.toml'), 'utf8')
  const bare = read()
  writeFileSync(join(folder, 'provider.toml'), example)
  expect(read()).toEqual({ ...bare, configFile: join(folder, 'provider.toml') })
  // With every line in force that is not only a sample.
  const samples =
    /^# (?=(rpc_url|container_runtime|solver|solver_url|slots|region|per_|factor|max_per|step_price|lily_per|restake|port|memory_bytes|trust_modules|\[prices|state_dir|network|key_file|hosts))/
  const lines = example.split('\n').map((line) => (samples.test(line) ? line : line.replace(/^# (?=[a-z_]+ = )/, '')))
  writeFileSync(join(folder, 'provider.toml'), lines.join('\n'))
  expect(read()).toEqual({ ...bare, configFile: join(folder, 'provider.toml') })
})

test.each<[string, string, string]>([
  ['syntax', 'slots = 3\nmodules = [', ':2 '],
  ['unknown key', '\nslot = 3', ':2 slot: unknown key; known here are network'],
  ['unknown table', '[price]\nper_job = "1"', ':1 price: unknown key'],
  ['unknown key in a table', '[claims]\n# no\nenable = true', ':3 claims.enable: unknown key; known here are enabled'],
  ['number for an amount', '[prices]\nper_job = 0.1', ':2 prices.per_job: write amounts of LILY as text'],
  ['bad price of a module', '[prices.modules."tts"]\nper_job = "1e3"', ':2 prices.modules.tts.per_job: not an amount'],
  ['unknown price', '[prices.modules.tts]\nper_token = "1"', ':2 prices.modules.tts.per_token: unknown key'],
  ['value out of bounds', '\n\nslots = 0', ':3 slots: '],
  ['bad cap', '[exposure]\nmax_per_payer = "much"', ':2 exposure.max_per_payer: not an amount'],
  ['wrong kind', 'slots = [1]', ':1 slots: a list of texts'],
])('names line and key: %s', (_name, text, expected) => {
  writeFileSync(join(folder, 'provider.toml'), text)
  const details = () => {
    try {
      read()
    } catch (error) {
      return LilypadError.is(error) ? error.details.join('\n') : String(error)
    }
    return 'nothing'
  }
  expect(details()).toContain(`provider.toml${expected}`)
})

test('takes a fault in a test', () => {
  expect(read({ LILYPAD_FAULT: 'accepted', NODE_ENV: 'test' }).fault).toBe('accepted')
})
