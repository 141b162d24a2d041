import { parseArgs } from 'node:util'
import { Address, LilypadError } from '@lilypad-agents/protocol'
import { readKeyFile, readNetworkFile } from '@lilypad-agents/sdk/node'
import { z } from 'zod'
import { claimFaultPoints, type FaultPoint, faultPoints } from './fault/fault-point.ts'
import type { ProviderOptions } from './start-provider.ts'

const integer = (least: number, most: number) => z.coerce.number().int().min(least).max(most)

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
    .default('wasm,docker')
    .transform((names) => names.split(',').map((name) => name.trim()))
    .pipe(z.array(z.enum(['wasm', 'docker', 'noop'])).min(1)),
  LILYPAD_PRICE_FACTOR_BIPS: integer(0, 1_000_000).default(10_000),
  LILYPAD_SLOTS: integer(1, 65_535).optional(),
  LILYPAD_SETTLE_JOBS: integer(1, 100_000).default(100),
  LILYPAD_SETTLE_SECONDS: z.coerce.number().min(0).max(86_400).default(2),
  LILYPAD_ANNOUNCE_SECONDS: z.coerce.number().min(0).max(31_536_000).default(21_600),
  LILYPAD_REFRESH_SECONDS: z.coerce.number().min(0.1).max(3600).default(5),
  LILYPAD_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
  LILYPAD_FAULT: z.enum([...faultPoints, ...claimFaultPoints]).optional(),
  NODE_ENV: z.string().optional(),
})

export type ProviderConfig = Pick<
  ProviderOptions,
  'network' | 'key' | 'stateDir' | 'modules' | 'priceFactorBips' | 'settlement' | 'refreshSeconds'
> & {
  readonly slots: number | undefined
  readonly solver: Address | undefined
  readonly executors: readonly ('wasm' | 'docker' | 'noop')[]
  readonly logLevel: string
  /** Where to die, for crash tests. */
  readonly fault: FaultPoint | undefined
}

/** Names of the flags and the variables they stand for. */
const flags = {
  network: 'LILYPAD_NETWORK_FILE',
  'key-file': 'LILYPAD_KEY_FILE',
  'state-dir': 'LILYPAD_STATE_DIR',
  'rpc-url': 'LILYPAD_RPC_URL',
  'solver-url': 'LILYPAD_SOLVER_URL',
  solver: 'LILYPAD_SOLVER',
  modules: 'LILYPAD_MODULES',
  executors: 'LILYPAD_EXECUTORS',
  'price-factor-bips': 'LILYPAD_PRICE_FACTOR_BIPS',
  slots: 'LILYPAD_SLOTS',
  'settle-jobs': 'LILYPAD_SETTLE_JOBS',
  'settle-seconds': 'LILYPAD_SETTLE_SECONDS',
  'announce-seconds': 'LILYPAD_ANNOUNCE_SECONDS',
} as const

/**
 * Reads the settings of this process.
 * @throws LilypadError CONFIG_INVALID that names each setting that does not fit, never a key
 */
export function readConfig(options: {
  readonly args: readonly string[]
  readonly environment: NodeJS.ProcessEnv
}): ProviderConfig {
  const given = readFlags(options.args)
  // The local network file lies in the state directory unless another is named.
  const stateDir = given.LILYPAD_STATE_DIR ?? options.environment.LILYPAD_STATE_DIR ?? '.lilypad'
  const defaults = { LILYPAD_NETWORK_FILE: `${stateDir}/network.json`, LILYPAD_KEY_FILE: `${stateDir}/provider.key` }
  const named = Object.fromEntries(
    Object.entries(options.environment).filter(([name, value]) => /^(LILYPAD_|NODE_ENV$)/.test(name) && value !== ''),
  )
  const parsed = Settings.safeParse({ ...defaults, ...named, ...given })
  if (!parsed.success) {
    throw new LilypadError('CONFIG_INVALID', 'The settings of the provider are not valid.', {
      details: parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`),
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
    priceFactorBips: settings.LILYPAD_PRICE_FACTOR_BIPS,
    slots: settings.LILYPAD_SLOTS,
    solver: settings.LILYPAD_SOLVER,
    settlement: {
      maxJobs: settings.LILYPAD_SETTLE_JOBS,
      maxAgeSeconds: settings.LILYPAD_SETTLE_SECONDS,
      announceAfterSeconds: settings.LILYPAD_ANNOUNCE_SECONDS,
    },
    refreshSeconds: settings.LILYPAD_REFRESH_SECONDS,
    logLevel: settings.LILYPAD_LOG_LEVEL,
    fault: settings.LILYPAD_FAULT,
  }
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
