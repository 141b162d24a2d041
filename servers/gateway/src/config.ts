import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Address, createSigner, LilypadError, parseWire, SignedGrant, type Signer } from '@lilypad-agents/protocol'
import { type Network, parseTokenAmount, type SpendingPolicy } from '@lilypad-agents/sdk'
import { readKeyFile, readNetworkFile } from '@lilypad-agents/sdk/node'
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import type { X402Config } from './x402/settings.ts'
import { LimitFlags, limitFlags, readStateCommand, type StateCommand, stateUsage } from './admin/state-command.ts'
import type { StripeSettings } from './billing/card-processor.ts'
import type { DepositRules } from './deposits/watch-deposits.ts'

const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const

/** Each setting: the variable it falls back to, and what the help says. */
const settings = {
  network: { env: 'LILYPAD_NETWORK_FILE', value: 'file', help: 'network file  [.lilypad/network.json]' },
  'state-dir': { env: 'LILYPAD_STATE_DIR', value: 'folder', help: 'database, jobs and files  [.lilypad/gateway]' },
  'database-url': { env: 'DATABASE_URL', value: 'url', help: 'a Postgres server instead of the embedded one' },
  'key-file': { env: 'LILYPAD_KEY_FILE', value: 'file', help: 'private key that orders (mode 600)' },
  'grant-file': { env: 'LILYPAD_GRANT_FILE', value: 'file', help: 'signed grant of the payer to that key' },
  'max-per-job': { env: 'LILYPAD_MAX_PER_JOB', value: 'LILY', help: 'most one job may cost the gateway  [1]' },
  'max-per-day': { env: 'LILYPAD_MAX_PER_DAY', value: 'LILY', help: 'most in any 24 hours  [100]' },
  'max-total': { env: 'LILYPAD_MAX_TOTAL', value: 'LILY', help: 'most ever, with this state folder  [10000]' },
  'usd-per-lily': { env: 'LILYPAD_USD_PER_LILY', value: 'USD', help: 'rate at which prices are shown in dollars  [1]' },
  'explorer-url': { env: 'LILYPAD_EXPLORER_URL', value: 'url', help: 'block explorer that the page links to  [none]' },
  host: { env: 'LILYPAD_HOST', value: 'host', help: 'address to listen on  [127.0.0.1]' },
  port: { env: 'LILYPAD_PORT', value: 'port', help: 'port; 0 takes a free one  [8602]' },
  'metrics-port': { env: 'LILYPAD_METRICS_PORT', value: 'port', help: 'port on 127.0.0.1 for GET /metrics  [none]' },
  'allow-host': {
    env: 'LILYPAD_ALLOW_HOSTS',
    value: 'host',
    help: 'name under which it is reached; repeat, * for any  [this machine]',
  },
  'allow-origin': {
    env: 'LILYPAD_ALLOW_ORIGINS',
    value: 'origin',
    help: 'pages that may call it; repeat, * for any  [none]',
  },
  'max-body-bytes': { env: 'LILYPAD_MAX_BODY_BYTES', value: 'bytes', help: 'longest request  [4194304]' },
  'requests-per-minute': {
    env: 'LILYPAD_REQUESTS_PER_MINUTE',
    value: 'n',
    help: 'of a key without a limit of its own  [600]',
  },
  'keep-files-days': {
    env: 'LILYPAD_KEEP_FILES_DAYS',
    value: 'days',
    help: 'files of jobs are removed here after so many days  [7]',
  },
  hedge: {
    env: 'LILYPAD_HEDGE',
    value: 'on|off',
    help: 'on: streams that are slow to begin are ordered twice, and both may cost  [off]',
  },
  'otlp-url': {
    env: 'OTEL_EXPORTER_OTLP_ENDPOINT',
    value: 'url',
    help: 'OpenTelemetry collector that gets traces  [none]',
  },
  'first-key-file': {
    env: 'LILYPAD_FIRST_KEY_FILE',
    value: 'file',
    help: 'where there is no account yet, makes one called "first" and writes a key for it here',
  },
  'first-credit': { env: 'LILYPAD_FIRST_CREDIT', value: 'LILY', help: 'what that account gets  [10]' },
  x402: {
    env: 'LILYPAD_X402',
    value: 'how',
    help: 'off; sell: strangers pay for each request; all: payments to others are settled too  [off]',
  },
  'x402-token': {
    env: 'LILYPAD_X402_TOKENS',
    value: 'address',
    help: 'token of one dollar that strangers may pay in beside LILY; repeat  [none]',
  },
  'x402-fee': { env: 'LILYPAD_X402_FEE', value: 'LILY', help: 'comes to the price of a request, for gas  [0]' },
  'x402-min-transfer': {
    env: 'LILYPAD_X402_MIN_TRANSFER',
    value: 'LILY',
    help: 'least a transfer is worth that gas is paid for: change, and payments to others  [0.01]',
  },
  'x402-max-gas-price': { env: 'LILYPAD_X402_MAX_GAS_PRICE', value: 'gwei', help: 'above it nothing is sent  [5]' },
  'x402-gas-per-day': { env: 'LILYPAD_X402_GAS_PER_DAY', value: 'ETH', help: 'most gas in any 24 hours  [0.05]' },
  'replica-url': {
    env: 'LILYPAD_REPLICA_URL',
    value: 'url',
    help: 'where other gateways of the same database reach it  [its address]',
  },
  'deposit-confirmations': {
    env: 'LILYPAD_DEPOSIT_CONFIRMATIONS',
    value: 'n',
    help: 'blocks after which a deposit on chain counts  [12]',
  },
  'deposit-least': {
    env: 'LILYPAD_DEPOSIT_LEAST',
    value: 'LILY',
    help: 'less is left at its address until more comes  [1]',
  },
  'public-url': {
    env: 'LILYPAD_PUBLIC_URL',
    value: 'url',
    help: 'where customers and Stripe reach it; its host is allowed  [http://<host>:<port>/]',
  },
  'stripe-secret-key': {
    env: 'STRIPE_SECRET_KEY',
    value: 'key',
    help: 'takes cards through Stripe; better given as the variable  [no cards]',
  },
  'stripe-webhook-secret': {
    env: 'STRIPE_WEBHOOK_SECRET',
    value: 'secret',
    help: 'signs the events that Stripe sends to /stripe/webhook',
  },
  'stripe-url': { env: 'STRIPE_API_URL', value: 'url', help: 'where Stripe answers  [https://api.stripe.com]' },
  'log-level': { env: 'LILYPAD_LOG_LEVEL', value: 'level', help: `${logLevels.join(', ')}  [info]` },
} as const
type SettingName = keyof typeof settings
const lists: readonly string[] = ['allow-host', 'allow-origin', 'x402-token'] satisfies readonly SettingName[]

const Amount = z.string().transform((text, context) => {
  try {
    return parseTokenAmount(text)
  } catch {
    context.addIssue({ code: 'custom', message: 'expected a number such as 0.5, with at most 18 decimals' })
    return z.NEVER
  }
})
const File = z
  .string()
  .min(1)
  .transform((path) => resolve(path))
const Whole = (least: number, most: number) => z.coerce.number<string>().int().min(least).max(most)
const Port = Whole(0, 65_535)

const Settings = z.strictObject({
  network: File.prefault('.lilypad/network.json'),
  'state-dir': File.prefault('.lilypad/gateway'),
  'database-url': z.string().min(1).optional(),
  'key-file': File.optional(),
  'grant-file': File.optional(),
  'max-per-job': Amount.prefault('1'),
  'max-per-day': Amount.prefault('100'),
  'max-total': Amount.prefault('10000'),
  'usd-per-lily': Amount.prefault('1'),
  'explorer-url': z.url({ protocol: /^https?$/ }).optional(),
  host: z.string().min(1).default('127.0.0.1'),
  port: Port.prefault('8602'),
  'metrics-port': Port.optional(),
  'allow-host': z.array(z.string().min(1).toLowerCase()).default([]),
  'allow-origin': z.array(z.string().min(1)).default([]),
  'max-body-bytes': Whole(1024, 256 * 1024 ** 2).prefault('4194304'),
  'requests-per-minute': Whole(1, 1_000_000).prefault('600'),
  'keep-files-days': Whole(2, 36_500).prefault('7'),
  'otlp-url': z.url({ protocol: /^https?$/ }).optional(),
  hedge: z.enum(['on', 'off']).default('off'),
  'first-key-file': File.optional(),
  'first-credit': Amount.prefault('10'),
  x402: z.enum(['off', 'sell', 'all']).default('off'),
  'x402-token': z.array(z.string().toLowerCase().pipe(Address)).max(8).default([]),
  'x402-fee': Amount.prefault('0'),
  'x402-min-transfer': Amount.prefault('0.01'),
  'x402-max-gas-price': Amount.prefault('5'),
  'x402-gas-per-day': Amount.prefault('0.05'),
  'replica-url': z.url({ protocol: /^https?$/ }).optional(),
  'deposit-confirmations': Whole(1, 10_000).prefault('12'),
  'deposit-least': Amount.prefault('1'),
  'public-url': z.url({ protocol: /^https?$/ }).optional(),
  'stripe-secret-key': z
    .string()
    .regex(/^[a-z]+_(test|live)_\w+$/, 'expected a key such as sk_test_…')
    .optional(),
  'stripe-webhook-secret': z.string().startsWith('whsec_', 'expected whsec_…').optional(),
  'stripe-url': z.url({ protocol: /^https?$/ }).optional(),
  'log-level': z.enum(logLevels).default('info'),
} satisfies { readonly [name in SettingName]: z.ZodType })

/** Where the accounts are. */
export type StateConfig = { readonly stateDirectory: string; readonly databaseUrl?: string | undefined }

/** Everything a gateway needs to start. */
export type GatewayConfig = StateConfig & {
  readonly network: Network
  /** Orders with it; without one the gateway only lists models. */
  readonly signer?: Signer | undefined
  readonly grant?: SignedGrant | undefined
  readonly policy: SpendingPolicy
  /** Dollars per LILY times 10^18. */
  readonly usdPerLilyWad: bigint
  /** Block explorer of the chain, for links. */
  readonly explorerUrl?: string | undefined
  readonly host: string
  readonly port: number
  readonly metricsPort?: number | undefined
  readonly allowedHosts: readonly string[]
  readonly allowedOrigins: readonly string[]
  readonly maxBodyBytes: number
  readonly requestsPerMinute: number
  /** How long inputs and outputs of jobs stay in the state folder. */
  readonly keepFilesSeconds: number
  /** Collector of traces. @default none */
  readonly collectorUrl?: string | undefined
  /** @default false */
  readonly isHedged?: boolean | undefined
  readonly firstKey?: { readonly file: string; readonly credit: bigint } | undefined
  /** How strangers pay; undefined where only keys are let in. */
  readonly x402?: X402Config | undefined
  /** Where other gateways that share the database reach this one. */
  readonly replicaUrl?: string | undefined
  readonly deposits: DepositRules
  /** Cards are taken where this is set. */
  readonly stripe?: StripeSettings | undefined
  readonly logLevel: (typeof logLevels)[number]
}

/** What the command line asks for. */
export type GatewayCommand =
  | { readonly name: 'serve'; readonly config: GatewayConfig }
  | { readonly name: 'help' }
  | {
      readonly name: 'state'
      readonly command: StateCommand
      readonly state: StateConfig
      readonly ledger: LedgerConfig
    }

/** Which chain a ledger is compared with: the network's file, and whose account in the vault; without a payer none. */
export type LedgerConfig = { readonly network: string; findPayer(): Address | undefined }

const usage = `lilypad-gateway: OpenAI- and Anthropic-shaped HTTP over a Lilypad network

Usage
  lilypad-gateway [serve] [settings]
${stateUsage}
All but the first change or read the accounts, beside a gateway that runs too. They write JSON.
`

/**
 * Reads the command line and, for what it leaves open, the environment.
 * @throws LilypadError CONFIG_INVALID naming the setting; a key is never in it
 */
export function readCommand(options: {
  readonly args: readonly string[]
  readonly env: { readonly [name: string]: string | undefined }
}): GatewayCommand {
  const { values, positionals } = readFlags(options.args)
  if (values.help) return { name: 'help' }
  const [noun = 'serve', ...rest] = positionals
  const isServed = noun === 'serve' && rest.length === 0
  const { limits, flags } = takeLimits(values, isServed)
  const given = Object.fromEntries(
    Object.entries(settings).flatMap(([name, { env }]) => {
      const variable = options.env[env]?.trim()
      if (flags[name] !== undefined) return [[name, flags[name]]]
      if (!variable) return []
      return [[name, lists.includes(name) ? variable.split(',').map((item) => item.trim()) : variable]]
    }),
  )
  const parsed = parseSettings(Settings, given)
  const state = { stateDirectory: parsed['state-dir'], databaseUrl: parsed['database-url'] }
  if (isServed) return { name: 'serve', config: toConfig(parsed, state) }
  const command = readStateCommand(positionals, limits)
  if (!command) throw invalid([`Command: ${JSON.stringify(positionals.join(' ').slice(0, 100))}`])
  const ledger = { network: parsed.network, findPayer: () => readPayer(parsed) }
  return { name: 'state', command, state, ledger }
}

/** Flags of keys apart from those of the gateway; `requests-per-minute` is both. */
function takeLimits(values: FlagValues, isServed: boolean) {
  const isLimit = (name: string) => name in limitFlags || (!isServed && name === 'requests-per-minute')
  const entries = Object.entries(values)
  return {
    flags: Object.fromEntries(entries.filter(([name]) => !isLimit(name))) as FlagValues,
    limits: parseSettings(LimitFlags, Object.fromEntries(entries.filter(([name]) => isLimit(name)))),
  }
}

/** Whose account in the vault the deposits go to. */
function readPayer(given: z.output<typeof Settings>): Address | undefined {
  if (given['grant-file'] !== undefined) return readGrant(given['grant-file']).grant.payer
  return given['key-file'] === undefined ? undefined : createSigner(readKeyFile(given['key-file'])).address
}

type FlagValues = { readonly [flag: string]: string | boolean | (string | boolean)[] | undefined }

function readFlags(args: readonly string[]): { readonly values: FlagValues; readonly positionals: readonly string[] } {
  const text = (name: string) => [name, { type: 'string' as const, multiple: lists.includes(name) }]
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h' },
        ...Object.fromEntries(Object.keys(limitFlags).map((name) => [name, { type: 'string' as const }])),
        ...Object.fromEntries(Object.keys(settings).map(text)),
      },
    })
  } catch (error) {
    throw invalid([error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : ''])
  }
}

function parseSettings<S extends z.ZodType>(schema: S, given: unknown): z.output<S> {
  const parsed = schema.safeParse(given)
  if (parsed.success) return parsed.data
  throw invalid(parsed.error.issues.map(({ path, message }) => `--${path.join('.')}: ${message}`))
}

const loopback = ['127.0.0.1', '::1', 'localhost']
const loopbackNames = ['localhost', '127.0.0.1', '[::1]']

function toConfig(given: z.output<typeof Settings>, state: StateConfig): GatewayConfig {
  const keyFile = given['key-file']
  const grantFile = given['grant-file']
  const network = readNetworkFile(given.network)
  const signer = keyFile === undefined ? undefined : createSigner(readKeyFile(keyFile))
  const grant = grantFile === undefined ? undefined : readGrant(grantFile)
  if (grant && grant.grant.key !== signer?.address)
    throw invalid(['--grant-file: it is for another key than that of --key-file'])
  const isLocal = loopback.includes(given.host)
  if (!isLocal && given['allow-host'].length === 0)
    throw invalid([`--allow-host: say under which names others reach ${given.host}`])
  const least = (a: bigint, b: bigint | undefined) => (b !== undefined && b < a ? b : a)
  const firstKeyFile = given['first-key-file']
  const replicaUrl = given['replica-url']
  return {
    ...state,
    network,
    signer,
    grant,
    // What the payer granted bounds what the gateway is set to.
    policy: {
      perJob: least(given['max-per-job'], grant?.grant.perJob),
      perDay: least(given['max-per-day'], grant?.grant.perDay),
      total: least(given['max-total'], grant?.grant.total),
      acknowledgeSteps: true,
    },
    usdPerLilyWad: given['usd-per-lily'],
    explorerUrl: given['explorer-url'],
    host: given.host,
    port: given.port,
    metricsPort: given['metrics-port'],
    allowedHosts: [
      ...(isLocal ? loopbackNames : []),
      ...[replicaUrl, given['public-url']].flatMap((url) => (url === undefined ? [] : [new URL(url).hostname])),
      ...given['allow-host'],
    ],
    allowedOrigins: given['allow-origin'],
    maxBodyBytes: given['max-body-bytes'],
    requestsPerMinute: given['requests-per-minute'],
    keepFilesSeconds: given['keep-files-days'] * 86_400,
    collectorUrl: given['otlp-url'],
    isHedged: given.hedge === 'on',
    firstKey: firstKeyFile === undefined ? undefined : { file: firstKeyFile, credit: given['first-credit'] },
    x402: toX402Config(given, signer),
    replicaUrl: replicaUrl?.replace(/\/$/, ''),
    deposits: { confirmations: given['deposit-confirmations'], least: given['deposit-least'] },
    stripe: readStripe(given),
    logLevel: given['log-level'],
  }
}

function toX402Config(given: z.output<typeof Settings>, signer: Signer | undefined): X402Config | undefined {
  if (given.x402 === 'off') return undefined
  if (!signer) throw invalid(['--x402: it needs --key-file, the key that is paid and pays the gas'])
  return {
    dollarTokens: given['x402-token'],
    isFacilitator: given.x402 === 'all',
    fee: given['x402-fee'],
    minTransfer: given['x402-min-transfer'],
    // Read with 18 decimals, as ether is.
    maxGasPrice: given['x402-max-gas-price'] / 10n ** 9n,
    gasPerDay: given['x402-gas-per-day'],
  }
}

function readStripe(given: z.output<typeof Settings>): StripeSettings | undefined {
  const secretKey = given['stripe-secret-key']
  const webhookSecret = given['stripe-webhook-secret']
  if (secretKey === undefined && webhookSecret === undefined) return undefined
  if (secretKey === undefined || webhookSecret === undefined)
    throw invalid(['--stripe-secret-key and --stripe-webhook-secret: cards need both'])
  const returnUrl = given['public-url'] ?? `http://${given.host}:${given.port}/`
  return { secretKey, webhookSecret, returnUrl, apiUrl: given['stripe-url'] }
}

function readGrant(path: string): SignedGrant {
  let json: unknown
  try {
    json = JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    throw invalid([`--grant-file: cannot be read: ${path}`])
  }
  return parseWire(SignedGrant, json, 'grant file')
}

function invalid(details: readonly string[]): LilypadError {
  return new LilypadError('CONFIG_INVALID', 'The settings of the gateway are not valid.', {
    details: details.slice(0, 10),
    hint: 'run it with --help to see commands and settings',
  })
}

/** The text of `--help`. */
export function helpText(): string {
  const rows = Object.entries(settings).map(
    ([name, { env, value, help }]) => `  --${`${name} <${value}>`.padEnd(28)} ${help}\n  ${''.padEnd(30)} ${env}`,
  )
  return `${usage}\nSettings (a flag wins over its variable)\n${rows.join('\n')}\n`
}
