import { readFileSync } from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'
import { LilypadError } from '@lilypad-agents/protocol'
import { parseTokenAmount } from '@lilypad-agents/sdk'
import { parse, type TomlTable, type TomlValue } from 'smol-toml'
import { z } from 'zod'
import type { Pricing } from './ask/pricing.ts'

/** Keys of the file that are settings of their own, with the variable each stands for. */
const settingOf: Readonly<Record<string, string>> = {
  network: 'LILYPAD_NETWORK_FILE',
  key_file: 'LILYPAD_KEY_FILE',
  state_dir: 'LILYPAD_STATE_DIR',
  rpc_url: 'LILYPAD_RPC_URL',
  solver_url: 'LILYPAD_SOLVER_URL',
  solver: 'LILYPAD_SOLVER',
  log_level: 'LILYPAD_LOG_LEVEL',
  executors: 'LILYPAD_EXECUTORS',
  container_runtime: 'LILYPAD_CONTAINER_RUNTIME',
  docker_socket: 'LILYPAD_DOCKER_SOCKET',
  modules: 'LILYPAD_MODULES',
  slots: 'LILYPAD_SLOTS',
  region: 'LILYPAD_REGION',
  refresh_seconds: 'LILYPAD_REFRESH_SECONDS',
  drain_seconds: 'LILYPAD_DRAIN_SECONDS',
  job_files_bytes: 'LILYPAD_JOB_FILES_BYTES',
  programs_bytes: 'LILYPAD_PROGRAMS_BYTES',
  'egress.policy': 'LILYPAD_EGRESS',
  'egress.hosts': 'LILYPAD_EGRESS_HOSTS',
  'egress.max_bytes': 'LILYPAD_EGRESS_BYTES',
  'egress.max_connections': 'LILYPAD_EGRESS_CONNECTIONS',
  retention_days: 'LILYPAD_RETENTION_DAYS',
  'servers.resident': 'LILYPAD_SERVERS_RESIDENT',
  'servers.memory_bytes': 'LILYPAD_SERVERS_MEMORY_BYTES',
  'servers.replicas': 'LILYPAD_SERVERS_REPLICAS',
  'servers.trust_modules': 'LILYPAD_TRUST_MODULES',
  'exposure.max_per_payer': 'LILYPAD_MAX_PER_PAYER',
  'exposure.max_per_solver': 'LILYPAD_MAX_PER_SOLVER',
  'exposure.max_unpaid_seconds': 'LILYPAD_MAX_UNPAID_SECONDS',
  'exposure.step_price': 'LILYPAD_STEP_PRICE',
  'exposure.steps_ahead': 'LILYPAD_STEPS_AHEAD',
  'exposure.step_timeout_seconds': 'LILYPAD_STEP_TIMEOUT_SECONDS',
  'settlement.max_jobs': 'LILYPAD_SETTLE_JOBS',
  'settlement.max_age_seconds': 'LILYPAD_SETTLE_SECONDS',
  'settlement.lily_per_ether': 'LILYPAD_LILY_PER_ETHER',
  'settlement.worth_gas_times': 'LILYPAD_WORTH_GAS_TIMES',
  'settlement.max_wait_seconds': 'LILYPAD_SETTLE_WAIT_SECONDS',
  'settlement.announce_after_seconds': 'LILYPAD_ANNOUNCE_SECONDS',
  'claims.enabled': 'LILYPAD_CLAIMS',
  'claims.after_seconds': 'LILYPAD_CLAIM_AFTER_SECONDS',
  'claims.margin_seconds': 'LILYPAD_CLAIM_MARGIN_SECONDS',
  'claims.max_batch': 'LILYPAD_CLAIM_BATCH',
  'claims.min_price': 'LILYPAD_CLAIM_MIN_PRICE',
  'claims.restake_up_to': 'LILYPAD_RESTAKE_UP_TO',
  'status.port': 'LILYPAD_STATUS_PORT',
  'status.host': 'LILYPAD_STATUS_HOST',
}
const tables = new Set(['egress', 'servers', 'exposure', 'settlement', 'claims', 'status'])
const paths = new Set(['network', 'key_file', 'state_dir'])

const Amount = z.string('write amounts of LILY as text, such as "0.05"').transform((text, context) => {
  try {
    return parseTokenAmount(text)
  } catch {
    context.addIssue('not an amount of LILY, such as "0.05"')
    return z.NEVER
  }
})

const ModulePrices = z
  .strictObject({
    factor_percent: z.number().min(0).max(10_000).optional(),
    per_job: Amount.optional(),
    per_second: Amount.optional(),
    per_input_unit: Amount.optional(),
    per_output_unit: Amount.optional(),
  })
  .transform(({ factor_percent, per_job, per_second, per_input_unit, per_output_unit }) => ({
    ...(factor_percent === undefined ? {} : { factorBips: Math.round(factor_percent * 100) }),
    ...(per_job === undefined ? {} : { pricePerJob: per_job }),
    ...(per_second === undefined ? {} : { pricePerSecond: per_second }),
    ...(per_input_unit === undefined ? {} : { pricePerInputUnit: per_input_unit }),
    ...(per_output_unit === undefined ? {} : { pricePerOutputUnit: per_output_unit }),
  }))

/** What a configuration file says. */
export type ConfigFile = {
  readonly path: string
  /** By the names of the variables. */
  readonly settings: Readonly<Record<string, string>>
  readonly pricing: Pricing
  /** Where a setting stands in the file, for error messages. */
  whereIs(setting: string): string | undefined
}

/**
 * Reads a configuration file.
 * @throws LilypadError CONFIG_INVALID that names line and key of everything that does not fit
 */
export function readConfigFile(path: string): ConfigFile {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new LilypadError('CONFIG_INVALID', 'The configuration file cannot be read.', {
      details: [`File: ${path}`],
      hint: 'name an existing file with `--config`; provider.example.toml is a start',
      cause,
    })
  }
  const problems: string[] = []
  const where = (key: string) => `${path}:${findLine(text, key) ?? '?'} ${key}`
  const { prices, ...rest } = parseToml(path, text)
  const settings: Record<string, string> = {}
  const read = (key: string, value: TomlValue) => {
    const setting = settingOf[key]
    if (tables.has(key) && isTable(value))
      for (const [name, inner] of Object.entries(value)) read(`${key}.${name}`, inner)
    else if (setting === undefined) problems.push(`${where(key)}: unknown key${hintFor(key)}`)
    else if (isTable(value) || value instanceof Date) problems.push(`${where(key)}: a single value is expected`)
    else if (Array.isArray(value) && !value.every((item) => typeof item === 'string'))
      problems.push(`${where(key)}: a list of texts is expected`)
    else {
      const flat = Array.isArray(value) ? value.join(',') : String(value)
      settings[setting] = paths.has(key) && !isAbsolute(flat) ? join(dirname(path), flat) : flat
    }
  }
  for (const [key, value] of Object.entries(rest)) read(key, value)
  const pricing = readPricing(prices ?? {}, (key, message) => problems.push(`${where(key)}: ${message}`))
  if (problems.length > 0) throw invalid(problems)
  return {
    path,
    settings,
    pricing,
    whereIs(setting) {
      const key = Object.keys(settingOf).find((name) => settingOf[name] === setting)
      return key !== undefined && settings[setting] !== undefined ? where(key) : undefined
    },
  }
}

function parseToml(path: string, text: string): TomlTable {
  try {
    return parse(text)
  } catch (cause) {
    // The parser's message ends with the lines around the error.
    const [first = ''] = (cause instanceof Error ? cause.message : '').split('\n')
    const line = cause instanceof Error && 'line' in cause ? String(cause.line) : '?'
    throw invalid([`${path}:${line} ${first}`])
  }
}

function readPricing(prices: TomlValue, report: (key: string, message: string) => void): Pricing {
  const { modules = {}, ...all } = isTable(prices) ? prices : {}
  const parsePrices = (value: TomlValue, key: string) => {
    const parsed = ModulePrices.safeParse(value)
    if (parsed.success) return parsed.data
    for (const issue of parsed.error.issues) {
      if (issue.code === 'unrecognized_keys')
        for (const name of issue.keys) report(`${key}.${name}`, `unknown key${hintFor(`prices.${name}`)}`)
      else report([key, ...issue.path].join('.'), issue.message)
    }
    return {}
  }
  if (!isTable(modules)) report('prices.modules', 'a table for each module is expected')
  return {
    all: parsePrices(all, 'prices'),
    modules: Object.fromEntries(
      Object.entries(isTable(modules) ? modules : {}).map(([name, value]) => [
        name,
        parsePrices(value, `prices.modules.${name}`),
      ]),
    ),
  }
}

const isTable = (value: TomlValue): value is TomlTable =>
  typeof value === 'object' && !Array.isArray(value) && !(value instanceof Date)

const priceKeys = ['factor_percent', 'per_job', 'per_second', 'per_input_unit', 'per_output_unit']

function hintFor(key: string): string {
  const section = key.includes('.') ? key.slice(0, key.lastIndexOf('.') + 1) : ''
  const known =
    section === 'prices.'
      ? priceKeys
      : Object.keys(settingOf).flatMap((name) =>
          name.startsWith(section) && !name.slice(section.length).includes('.') ? [name.slice(section.length)] : [],
        )
  return known.length > 0 ? `; known here are ${known.join(', ')}` : ''
}

/** Line of a key, or of the table it should be in. TOML parsers say where syntax is wrong, not where a value stands. */
function findLine(text: string, key: string): number | undefined {
  const unquoted = (name: string) => name.replaceAll(/["'\s]/g, '')
  let table = ''
  let nearest: number | undefined
  for (const [index, line] of text.split('\n').entries()) {
    const header = /^\s*\[([^\]]+)\]/.exec(line)?.[1]
    if (header !== undefined) table = `${unquoted(header)}.`
    const name = /^\s*([^#=[]+?)\s*=/.exec(line)?.[1]
    const here = `${table}${unquoted(name ?? '')}`
    if (name !== undefined && (here === key || key.startsWith(`${here}.`))) return index + 1
    if (header !== undefined && (here === `${key}.` || key.startsWith(here))) nearest = index + 1
  }
  return nearest
}

function invalid(problems: readonly string[]): LilypadError {
  return new LilypadError('CONFIG_INVALID', 'The configuration file of the provider is not valid.', {
    details: problems,
    hint: 'correct what is named above; provider.example.toml explains every key',
  })
}
