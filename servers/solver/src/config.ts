import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Address, type Hex, LilypadError } from '@lilypad-agents/protocol'
import { z } from 'zod'

/** What of the network file the solver uses. */
export const SolverNetwork = z.object({
  chainId: z.int().positive(),
  rpcUrl: z.url(),
  contracts: z.object({ jobVault: Address, moduleRegistry: Address, lilyToken: Address }),
  /** Block of the contracts' deployment. */
  deployedAtBlock: z.int().min(0).default(0),
})

const PrivateKey = z.string().regex(/^0x[0-9a-fA-F]{64}$/) as unknown as z.ZodType<Hex, string>

const Bytes = z.coerce.number().int().min(1)

/** Everything a solver needs to start. */
export const SolverConfig = z.object({
  network: SolverNetwork,
  privateKey: PrivateKey,
  stateDir: z.string().min(1).default('.lilypad'),
  host: z.string().default('127.0.0.1'),
  /** 0 takes a free port. */
  port: z.coerce.number().int().min(0).max(65_535).default(8600),
  /** A Postgres server instead of the embedded one. */
  databaseUrl: z.string().min(1).optional(),
  logLevel: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  /** Blocks after which a deposit counts. */
  confirmations: z.coerce.number().int().min(0).max(1000).default(0),
  /** Newest blocks that are read again at each look, because they may still change. */
  reorgBlocks: z.coerce.number().int().min(0).max(1000).default(12),
  pollMilliseconds: z.coerce.number().int().min(50).max(600_000).default(1000),
  blobQuotaBytes: z.coerce
    .number()
    .int()
    .min(1)
    .default(20 * 1024 ** 3),
  /** Inputs that open jobs of one payer may keep at the relay. @default a quarter of `blobQuotaBytes` */
  requesterQuotaBytes: Bytes.optional(),
  /** Outputs that open jobs of one provider may keep at the relay. @default half of `blobQuotaBytes` */
  providerQuotaBytes: Bytes.optional(),
  /** Files that all open jobs without a price may keep at the relay. @default a tenth of `blobQuotaBytes` */
  unpaidQuotaBytes: Bytes.optional(),
  /** Programs that one author may keep at the relay. @default a quarter of `blobQuotaBytes` */
  authorQuotaBytes: Bytes.optional(),
  /** How long the program of a withdrawn version stays after somebody fetched it last. */
  programTtlSeconds: z.coerce
    .number()
    .int()
    .min(60)
    .default(30 * 86_400),
  /** How long files of jobs stay at the relay after somebody used them last, when nobody waits for them. */
  blobTtlSeconds: z.coerce
    .number()
    .int()
    .min(60)
    .default(7 * 86_400),
  uploadIdleSeconds: z.coerce.number().min(0.05).default(30),
  deliveryGraceSeconds: z.coerce.number().int().min(0).default(30),
  /** How long what the chain says of a payer is used for more orders, in milliseconds. */
  fundsAgeMilliseconds: z.coerce.number().int().min(0).max(10_000).default(1000),
  acknowledgeWithinSeconds: z.coerce.number().int().min(1).default(86_400),
  requestsPerSecond: z.coerce.number().min(1).default(1000),
  /** Whether providers that have sent no attestation are given container jobs. One whose attestation does not hold never is. */
  containerAttestation: z.enum(['required', 'if-given']).default('required'),
  /** Oldest preflight that counts. */
  attestationMaxAgeSeconds: z.coerce
    .number()
    .int()
    .min(60)
    .max(7 * 86_400)
    .default(2 * 86_400),
  /** Days after which a job is forgotten that has ended and is paid, or can never be. Jobs that somebody may be owed for stay. */
  retentionDays: z.coerce.number().int().min(1).max(36_500).default(30),
})
export type SolverConfig = z.input<typeof SolverConfig>
export type ParsedSolverConfig = z.output<typeof SolverConfig>

const Settings = z.object({
  networkFile: z.string().optional(),
  rpcUrl: z.string().optional(),
  keyFile: z.string(),
  stateDir: z.string().default('.lilypad'),
  host: z.string().optional(),
  port: z.string().optional(),
  databaseUrl: z.string().optional(),
  logLevel: z.string().optional(),
  containerAttestation: z.string().optional(),
  attestationMaxAgeSeconds: z.string().optional(),
  retentionDays: z.string().optional(),
})

const flags = {
  'network-file': { type: 'string' },
  'rpc-url': { type: 'string' },
  'key-file': { type: 'string' },
  'state-dir': { type: 'string' },
  host: { type: 'string' },
  port: { type: 'string' },
  'log-level': { type: 'string' },
  'container-attestation': { type: 'string' },
  'attestation-max-age-seconds': { type: 'string' },
} as const

/**
 * Reads flags, then the environment, then the network file.
 * @throws LilypadError `CONFIG_INVALID`
 */
export function readConfig(args: readonly string[], environment: NodeJS.ProcessEnv): ParsedSolverConfig {
  const { values } = parseFlags(args)
  const settings = parse(Settings, {
    networkFile: values['network-file'] ?? environment.LILYPAD_NETWORK_FILE,
    rpcUrl: values['rpc-url'] ?? environment.LILYPAD_RPC_URL,
    keyFile: values['key-file'] ?? environment.LILYPAD_KEY_FILE,
    stateDir: values['state-dir'] ?? environment.LILYPAD_STATE_DIR,
    host: values.host ?? environment.LILYPAD_HOST,
    port: values.port ?? environment.LILYPAD_PORT,
    databaseUrl: environment.DATABASE_URL,
    logLevel: values['log-level'] ?? environment.LILYPAD_LOG_LEVEL,
    containerAttestation: values['container-attestation'] ?? environment.LILYPAD_CONTAINER_ATTESTATION,
    attestationMaxAgeSeconds: values['attestation-max-age-seconds'] ?? environment.LILYPAD_ATTESTATION_MAX_AGE_SECONDS,
    retentionDays: environment.LILYPAD_RETENTION_DAYS,
  })
  const { networkFile = join(settings.stateDir, 'network.json'), rpcUrl, keyFile, ...rest } = settings
  const network = parse(SolverNetwork, readJson(networkFile))
  return parseSolverConfig({
    ...rest,
    network: rpcUrl === undefined ? network : { ...network, rpcUrl },
    privateKey: readKeyFile(keyFile),
  })
}

/** @throws LilypadError `CONFIG_INVALID` */
export function parseSolverConfig(config: unknown): ParsedSolverConfig {
  return parse(SolverConfig, config)
}

/** Private key of a file that only its owner can read. The key is never in an error. */
function readKeyFile(path: string): Hex {
  const info = statSync(path, { throwIfNoEntry: false })
  if (!info) throw invalid([`Key file: ${path}: not found`], 'write the private key, 0x and 64 digits, into this file')
  if (process.platform !== 'win32' && (info.mode & 0o077) !== 0) {
    throw invalid([`Key file: ${path}: other accounts of this machine can read it`], `run \`chmod 600 ${path}\``)
  }
  const key = PrivateKey.safeParse(readFileSync(path, 'utf8').trim())
  if (!key.success)
    throw invalid([`Key file: ${path}: expected 0x and 64 hexadecimal digits`], 'write the private key into this file')
  return key.data
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    throw invalid(
      [`Network file: ${path}: not found, or not JSON`],
      'start the local network with `lilypad up`, or name its file in LILYPAD_NETWORK_FILE',
    )
  }
}

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: flags, allowPositionals: false })
  } catch (error) {
    throw invalid(
      [error instanceof Error ? error.message : String(error)],
      `flags: ${Object.keys(flags)
        .map((flag) => `--${flag}`)
        .join(' ')}`,
    )
  }
}

function parse<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw invalid(
    parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`),
    'correct the settings named above',
  )
}

function invalid(details: readonly string[], hint: string) {
  return new LilypadError('CONFIG_INVALID', 'The settings of the solver are not valid.', {
    details: details.slice(0, 10),
    hint,
  })
}
