import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { Address, LilypadError, ModuleHost, Region } from '@lilypad-agents/protocol'
import { parseTokenAmount } from '@lilypad-agents/sdk'
import { readKeyFile, readNetworkFile } from '@lilypad-agents/sdk/node'
import { z } from 'zod'
import { listPrices } from './ask/pricing.ts'
import { type ConfigFile, readConfigFile } from './config-file.ts'
import { egressPolicies, type EgressSettings } from './egress/egress-policy.ts'
import { defaultEngineSocket } from './executors/docker/connect-engine.ts'
import { claimFaultPoints, type FaultPoint, faultPoints, stepFaultPoints } from './fault/fault-point.ts'
import type { ServerSettings } from './run/create-executors.ts'
import type { ProviderOptions } from './start-provider.ts'

const integer = (least: number, most: number) => z.coerce.number().int().min(least).max(most)

const amount = z.string().transform((text, context) => {
  try {
    return parseTokenAmount(text)
  } catch {
    context.addIssue('not an amount of LILY, such as 0.05')
    return z.NEVER
  }
})

/** Settings as environment variables. A flag of the same name wins: `LILYPAD_STATE_DIR` is `--state-dir`. */
const Settings = z.object({
  LILYPAD_NETWORK_FILE: z.string().min(1),
  LILYPAD_KEY_FILE: z.string().min(1),
  LILYPAD_STATE_DIR: z.string().min(1).default('.lilypad'),
  LILYPAD_RPC_URL: z.url().optional(),
  LILYPAD_SOLVER_URL: z.url().optional(),
  LILYPAD_SOLVER: Address.optional(),
  LILYPAD_MODULES: z.string().default('all'),
  LILYPAD_EXECUTORS: z
    .string()
    .default('wasm,docker,server')
    .transform((names) => names.split(',').map((name) => name.trim()))
    .pipe(z.array(z.enum(['wasm', 'docker', 'server', 'noop'])).min(1)),
  LILYPAD_CONTAINER_RUNTIME: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/, 'not the name of a runtime of the engine, such as runsc')
    .optional(),
  LILYPAD_DOCKER_SOCKET: z.string().regex(/^\//, 'not the absolute path of a socket').default(defaultEngineSocket),
  LILYPAD_EGRESS: z.enum(egressPolicies).default('none'),
  LILYPAD_EGRESS_HOSTS: z
    .string()
    .transform((list) => list.split(',').map((host) => host.trim()))
    .pipe(z.array(ModuleHost).min(1))
    .optional(),
  LILYPAD_EGRESS_BYTES: integer(1, Number.MAX_SAFE_INTEGER).default(64 * 1024 ** 2),
  LILYPAD_EGRESS_CONNECTIONS: integer(1, 100_000).default(256),
  LILYPAD_TRUST_MODULES: z
    .string()
    .transform((list) => list.split(',').map((entry) => entry.trim()))
    .pipe(z.array(z.string().regex(/^0x[0-9a-f]{64}=\/.+$/, 'not <version id>=<absolute path of a program>')))
    .optional(),
  LILYPAD_SERVERS_RESIDENT: z.enum(['true', 'false']).default('false'),
  LILYPAD_SERVERS_MEMORY_BYTES: integer(1, Number.MAX_SAFE_INTEGER).optional(),
  LILYPAD_SERVERS_REPLICAS: integer(1, 64).default(1),
  LILYPAD_PRICE_FACTOR_BIPS: integer(0, 1_000_000).optional(),
  LILYPAD_SLOTS: integer(1, 65_535).optional(),
  LILYPAD_SETTLE_JOBS: integer(1, 100_000).default(100),
  LILYPAD_SETTLE_SECONDS: z.coerce.number().min(0).max(86_400).default(2),
  LILYPAD_ANNOUNCE_SECONDS: z.coerce.number().min(0).max(31_536_000).default(21_600),
  LILYPAD_SETTLE_WAIT_SECONDS: z.coerce.number().min(0).max(604_800).default(3600),
  LILYPAD_LILY_PER_ETHER: amount.optional(),
  LILYPAD_WORTH_GAS_TIMES: z.coerce.number().min(0).max(1_000_000).default(10),
  LILYPAD_MAX_PER_PAYER: amount.optional(),
  LILYPAD_MAX_PER_SOLVER: amount.optional(),
  LILYPAD_MAX_UNPAID_SECONDS: integer(1, 31_536_000).default(3600),
  LILYPAD_STEP_PRICE: amount.optional(),
  LILYPAD_STEPS_AHEAD: integer(1, 1000).default(2),
  LILYPAD_STEP_TIMEOUT_SECONDS: z.coerce.number().min(1).max(3600).default(30),
  LILYPAD_CLAIMS: z.enum(['true', 'false']).default('true'),
  LILYPAD_CLAIM_AFTER_SECONDS: z.coerce.number().min(0).max(604_800).default(3600),
  LILYPAD_CLAIM_MARGIN_SECONDS: integer(60, 86_400).default(1800),
  LILYPAD_CLAIM_BATCH: integer(1, 200).default(20),
  LILYPAD_CLAIM_MIN_PRICE: amount.default(0n),
  LILYPAD_RESTAKE_UP_TO: amount.optional(),
  LILYPAD_DRAIN_SECONDS: z.coerce.number().min(0).max(86_400).default(0),
  LILYPAD_JOB_FILES_BYTES: integer(1, Number.MAX_SAFE_INTEGER).default(20 * 1024 ** 3),
  LILYPAD_PROGRAMS_BYTES: integer(1, Number.MAX_SAFE_INTEGER).default(20 * 1024 ** 3),
  LILYPAD_RETENTION_DAYS: integer(1, 36_500).default(30),
  LILYPAD_STATUS_PORT: integer(0, 65_535).optional(),
  LILYPAD_STATUS_HOST: z.string().min(1).default('127.0.0.1'),
  LILYPAD_REGION: Region.optional(),
  LILYPAD_REFRESH_SECONDS: z.coerce.number().min(0.1).max(3600).default(5),
  LILYPAD_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
  LILYPAD_FAULT: z.enum([...faultPoints, ...claimFaultPoints, ...stepFaultPoints]).optional(),
  NODE_ENV: z.string().optional(),
})

export type ProviderConfig = Pick<
  ProviderOptions,
  | 'network'
  | 'key'
  | 'stateDir'
  | 'modules'
  | 'pricing'
  | 'exposure'
  | 'steps'
  | 'settlement'
  | 'claims'
  | 'refreshSeconds'
  | 'jobFilesBytes'
  | 'programsBytes'
  | 'retentionDays'
  | 'region'
> & {
  /** File that was read, if any. */
  readonly configFile: string | undefined
  /** Where status page and metrics are served; undefined when they are off. */
  readonly status: { readonly port: number; readonly host: string } | undefined
  readonly slots: number | undefined
  readonly solver: Address | undefined
  readonly executors: readonly ('wasm' | 'docker' | 'server' | 'noop')[]
  /** Runtime of the engine for every container job; undefined for the fastest that keeps jobs in. */
  readonly containerRuntime: string | undefined
  /** Socket of the engine that runs containers. */
  readonly dockerSocket: string
  readonly servers: ServerSettings
  readonly egress: EgressSettings
  readonly logLevel: string
  /** How long a signal to stop waits for jobs to end. */
  readonly drainSeconds: number
  /** Where to die, for crash tests. */
  readonly fault: FaultPoint | undefined
}

/** Names of the flags and the variables they stand for. */
const flags = {
  config: 'LILYPAD_CONFIG',
  network: 'LILYPAD_NETWORK_FILE',
  'key-file': 'LILYPAD_KEY_FILE',
  'state-dir': 'LILYPAD_STATE_DIR',
  'rpc-url': 'LILYPAD_RPC_URL',
  'solver-url': 'LILYPAD_SOLVER_URL',
  solver: 'LILYPAD_SOLVER',
  modules: 'LILYPAD_MODULES',
  executors: 'LILYPAD_EXECUTORS',
  'container-runtime': 'LILYPAD_CONTAINER_RUNTIME',
  'docker-socket': 'LILYPAD_DOCKER_SOCKET',
  egress: 'LILYPAD_EGRESS',
  'trust-module': 'LILYPAD_TRUST_MODULES',
  'price-factor-bips': 'LILYPAD_PRICE_FACTOR_BIPS',
  slots: 'LILYPAD_SLOTS',
  region: 'LILYPAD_REGION',
  'settle-jobs': 'LILYPAD_SETTLE_JOBS',
  'settle-seconds': 'LILYPAD_SETTLE_SECONDS',
  'announce-seconds': 'LILYPAD_ANNOUNCE_SECONDS',
  'lily-per-ether': 'LILYPAD_LILY_PER_ETHER',
  'max-per-payer': 'LILYPAD_MAX_PER_PAYER',
  'max-per-solver': 'LILYPAD_MAX_PER_SOLVER',
  'job-files-bytes': 'LILYPAD_JOB_FILES_BYTES',
  'programs-bytes': 'LILYPAD_PROGRAMS_BYTES',
  'retention-days': 'LILYPAD_RETENTION_DAYS',
  'drain-seconds': 'LILYPAD_DRAIN_SECONDS',
  'status-port': 'LILYPAD_STATUS_PORT',
  'status-host': 'LILYPAD_STATUS_HOST',
} as const

/** `provider.key` of the state directory, or the key that `lilypad provider start` made there before there was a configuration file. */
function findKeyFile(stateDir: string): string {
  const file = join(stateDir, 'provider.key')
  const made = join(stateDir, 'keys', 'provider.key')
  return !existsSync(file) && existsSync(made) ? made : file
}

/**
 * Reads the settings of this process.
 * @throws LilypadError CONFIG_INVALID that names each setting that does not fit, never a key
 */
export function readConfig(options: {
  readonly args: readonly string[]
  readonly environment: NodeJS.ProcessEnv
}): ProviderConfig {
  const given = readFlags(options.args)
  const named = Object.fromEntries(
    Object.entries(options.environment).filter(([name, value]) => /^(LILYPAD_|NODE_ENV$)/.test(name) && value !== ''),
  )
  const file = findConfigFile({ ...named, ...given })
  const chosen: Record<string, string | undefined> = { ...file?.settings, ...named, ...given }
  // Network file, key and state lie together unless others are named, beside the configuration file when there is one.
  const stateDir = chosen.LILYPAD_STATE_DIR ?? (file ? dirname(file.path) : '.lilypad')
  const defaults = {
    LILYPAD_STATE_DIR: stateDir,
    LILYPAD_NETWORK_FILE: join(stateDir, 'network.json'),
    LILYPAD_KEY_FILE: findKeyFile(stateDir),
  }
  const parsed = Settings.safeParse({ ...defaults, ...chosen })
  if (!parsed.success) {
    const isFromFile = (name: string) => named[name] === undefined && given[name] === undefined
    throw new LilypadError('CONFIG_INVALID', 'The settings of the provider are not valid.', {
      details: parsed.error.issues.map(({ path, message }) => {
        const name = String(path[0])
        return `${(isFromFile(name) ? file?.whereIs(name) : undefined) ?? path.join('.')}: ${message}`
      }),
      hint: 'correct the settings named above; provider/README.md lists them all',
    })
  }
  const settings = parsed.data
  if (settings.LILYPAD_FAULT !== undefined && settings.NODE_ENV !== 'test') {
    throw new LilypadError('CONFIG_INVALID', 'LILYPAD_FAULT is for crash tests only.', {
      hint: 'unset it, or set NODE_ENV=test',
    })
  }
  const network = readNetworkFile(settings.LILYPAD_NETWORK_FILE)
  const { LILYPAD_LILY_PER_ETHER: rate } = settings
  const tokenPerEther = rate === undefined ? {} : { tokenPerEther: rate }
  return {
    network: {
      ...network,
      rpcUrl: settings.LILYPAD_RPC_URL ?? network.rpcUrl,
      solverUrl: settings.LILYPAD_SOLVER_URL ?? network.solverUrl,
    },
    key: readKeyFile(settings.LILYPAD_KEY_FILE),
    stateDir: settings.LILYPAD_STATE_DIR,
    modules:
      settings.LILYPAD_MODULES === 'all' ? 'all' : settings.LILYPAD_MODULES.split(',').map((name) => name.trim()),
    executors: settings.LILYPAD_EXECUTORS,
    containerRuntime: settings.LILYPAD_CONTAINER_RUNTIME,
    dockerSocket: settings.LILYPAD_DOCKER_SOCKET,
    egress: {
      policy: settings.LILYPAD_EGRESS,
      maxBytes: settings.LILYPAD_EGRESS_BYTES,
      maxConnections: settings.LILYPAD_EGRESS_CONNECTIONS,
      ...(settings.LILYPAD_EGRESS_HOSTS === undefined ? {} : { hosts: settings.LILYPAD_EGRESS_HOSTS }),
    },
    servers: {
      trusted: Object.fromEntries(
        (settings.LILYPAD_TRUST_MODULES ?? []).map((entry) => [entry.slice(0, 66), entry.slice(67)]),
      ),
      isResident: settings.LILYPAD_SERVERS_RESIDENT === 'true',
      maxReplicas: settings.LILYPAD_SERVERS_REPLICAS,
      ...(settings.LILYPAD_SERVERS_MEMORY_BYTES === undefined
        ? {}
        : { maxMemoryBytes: settings.LILYPAD_SERVERS_MEMORY_BYTES }),
    },
    pricing: toPricing(file, settings.LILYPAD_PRICE_FACTOR_BIPS),
    exposure: {
      ...(settings.LILYPAD_MAX_PER_PAYER === undefined ? {} : { maxPerPayer: settings.LILYPAD_MAX_PER_PAYER }),
      ...(settings.LILYPAD_MAX_PER_SOLVER === undefined ? {} : { maxPerSolver: settings.LILYPAD_MAX_PER_SOLVER }),
      maxUnpaidSeconds: settings.LILYPAD_MAX_UNPAID_SECONDS,
    },
    steps: {
      ...(settings.LILYPAD_STEP_PRICE === undefined ? {} : { stepPrice: settings.LILYPAD_STEP_PRICE }),
      maxAhead: settings.LILYPAD_STEPS_AHEAD,
      timeoutSeconds: settings.LILYPAD_STEP_TIMEOUT_SECONDS,
    },
    configFile: file?.path,
    status:
      settings.LILYPAD_STATUS_PORT === undefined
        ? undefined
        : { port: settings.LILYPAD_STATUS_PORT, host: settings.LILYPAD_STATUS_HOST },
    slots: settings.LILYPAD_SLOTS,
    region: settings.LILYPAD_REGION,
    solver: settings.LILYPAD_SOLVER,
    settlement: {
      maxJobs: settings.LILYPAD_SETTLE_JOBS,
      maxAgeSeconds: settings.LILYPAD_SETTLE_SECONDS,
      announceAfterSeconds: settings.LILYPAD_ANNOUNCE_SECONDS,
      maxWaitSeconds: settings.LILYPAD_SETTLE_WAIT_SECONDS,
      worthGasTimes: settings.LILYPAD_WORTH_GAS_TIMES,
      ...tokenPerEther,
    },
    claims: {
      isEnabled: settings.LILYPAD_CLAIMS === 'true',
      afterSeconds: settings.LILYPAD_CLAIM_AFTER_SECONDS,
      marginSeconds: settings.LILYPAD_CLAIM_MARGIN_SECONDS,
      maxBatch: settings.LILYPAD_CLAIM_BATCH,
      minPrice: settings.LILYPAD_CLAIM_MIN_PRICE,
      ...(settings.LILYPAD_RESTAKE_UP_TO === undefined ? {} : { restakeUpTo: settings.LILYPAD_RESTAKE_UP_TO }),
      ...tokenPerEther,
    },
    refreshSeconds: settings.LILYPAD_REFRESH_SECONDS,
    jobFilesBytes: settings.LILYPAD_JOB_FILES_BYTES,
    programsBytes: settings.LILYPAD_PROGRAMS_BYTES,
    retentionDays: settings.LILYPAD_RETENTION_DAYS,
    drainSeconds: settings.LILYPAD_DRAIN_SECONDS,
    logLevel: settings.LILYPAD_LOG_LEVEL,
    fault: settings.LILYPAD_FAULT,
  }
}

/** The file that is named, or `provider.toml` in the state directory when there is one. */
function findConfigFile(named: { readonly [name: string]: string | undefined }): ConfigFile | undefined {
  if (named.LILYPAD_CONFIG !== undefined) return readConfigFile(named.LILYPAD_CONFIG)
  const path = join(named.LILYPAD_STATE_DIR ?? '.lilypad', 'provider.toml')
  return existsSync(path) ? readConfigFile(path) : undefined
}

function toPricing(file: ConfigFile | undefined, factorBips: number | undefined) {
  const pricing = file?.pricing ?? listPrices
  return factorBips === undefined ? pricing : { ...pricing, all: { ...pricing.all, factorBips } }
}

function readFlags(args: readonly string[]): Record<string, string> {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: Object.fromEntries(Object.keys(flags).map((name) => [name, { type: 'string' as const }])),
      strict: true,
    })
    return Object.fromEntries(
      Object.entries(flags).flatMap(([flag, name]) => (typeof values[flag] === 'string' ? [[name, values[flag]]] : [])),
    )
  } catch (error) {
    throw new LilypadError('CONFIG_INVALID', 'The flags of the provider are not valid.', {
      details: error instanceof Error ? [error.message] : [],
      hint: `use ${Object.keys(flags)
        .map((flag) => `--${flag}`)
        .join(' ')}`,
    })
  }
}
