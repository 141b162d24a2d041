import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Address, createSigner, LilypadError, parseWire, SignedGrant, type Signer } from '@lilypad-agents/protocol'
import { type ApprovalWay, approvalWays, type Network, type SpendingPolicy } from '@lilypad-agents/sdk'
import { readKeyFile, readNetworkFile } from '@lilypad-agents/sdk/node'
import { z } from 'zod'
import { type PaidServerConfig, type SaleConfig, toSale, x402Schemas, x402Settings } from '../x402/x402-settings.ts'
import { maxPins, type Pin, Pin as PinText, pinToolName } from '../pins/pin.ts'
import { type ToolSelection, ToolName, toolNames, Toolset, toolsets } from '../tools/tool-selection.ts'
import { type HttpConfig, httpSettings, httpShape, toHttpConfig } from './http-settings.ts'
import { readTokenCommand, type TokenCommand, tokenFlags } from './token-command.ts'
import { File, invalid, Lily } from './values.ts'

/** Everything the server is told by the person who runs it. No call can change any of it. */
export type McpConfig = {
  readonly network: Network
  /** Quotes, jobs, files and the spending ledger; several servers may share one folder. */
  readonly stateDirectory: string
  /** Signs orders; without it the server only reads. The key cannot be read back from it. */
  readonly signer?: Signer
  /** Lets the signer order for a payer whose key is not here. */
  readonly grant?: SignedGrant
  readonly policy: SpendingPolicy
  /** How a person approves what costs `policy.approveFrom` or more. @default 'elicit' */
  readonly approval?: ApprovalMode
  /** Whether it may spend, and money of which worth. @default 'testnet' */
  readonly mode?: (typeof modes)[number]
  /** File that the network was read from, as the commands that a person is told name it. */
  readonly networkFile?: string
  /** Words that start this program in a terminal. @default lilypad-mcp */
  readonly launch?: readonly string[]
  /** Folder whose files may be job inputs. */
  readonly inputDirectory?: string
  /** Folder into which outputs are saved. */
  readonly outputDirectory?: string
  /** Which tools are offered. @default all */
  readonly selection?: ToolSelection
  /** Modules that are offered as tools of their own. */
  readonly pins?: readonly Pin[]
  /** Whether images among the outputs are shown to the model. @default 'preview' */
  readonly images?: 'preview' | 'omit'
  /** Port for HTTP; 0 takes a free one. */
  readonly port?: number
  /** How it is reached over HTTP. @default on loopback, without a login */
  readonly http?: HttpConfig
  /** Whose jobs and approvals these are, where one process serves several. @default 'local' */
  readonly principal?: string
  readonly logLevel?: LogLevel
  /** Servers whose tools may be bought by x402. @default none */
  readonly paidServers?: readonly PaidServerConfig[]
  /** What `sell` offers to strangers. */
  readonly sale?: SaleConfig
}

/** Ways to approve an order: by the host's own prompt, by the client's form, on a page, in a terminal, or not at all. */
export const approvalModes = ['host', 'elicit', 'url', 'cli', 'deny'] as const
export type ApprovalMode = (typeof approvalModes)[number]

const modes = ['read-only', 'testnet', 'live'] as const

/** Chains whose money is worth nothing. Any other chain is taken for one of real money. */
const testChains: ReadonlySet<number> = new Set([
  1337,
  31_337, // local
  11_155_111,
  17_000,
  560_048, // Sepolia, Holesky, Hoodi
  421_614,
  84_532,
  11_155_420,
  59_141,
  534_351,
  80_002,
  300,
  1301, // Arbitrum, Base, OP, Linea, Scroll, Polygon, ZKsync, Unichain
  43_113,
  97,
  10_200,
  44_787, // Avalanche, BNB, Gnosis, Celo
])

const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

/** Each setting: a flag, the variable it falls back to, and what the help says. */
const settings = {
  network: { env: 'LILYPAD_NETWORK_FILE', value: 'file', help: 'network file  [.lilypad/network.json]' },
  'rpc-url': { env: 'LILYPAD_RPC_URL', value: 'url', help: "another RPC endpoint than the network file's" },
  'solver-url': { env: 'LILYPAD_SOLVER_URL', value: 'url', help: "another solver than the network file's" },
  'state-dir': {
    env: 'LILYPAD_STATE_DIR',
    value: 'folder',
    help: 'jobs, files and the spending ledger  [.lilypad/mcp]',
  },
  'key-file': {
    env: 'LILYPAD_KEY_FILE',
    value: 'file',
    help: 'private key that signs orders (mode 600); without it the server only reads',
  },
  'grant-file': {
    env: 'LILYPAD_GRANT_FILE',
    value: 'file',
    help: "signed grant: the key is a session key, the payer's key stays elsewhere",
  },
  mode: {
    env: 'LILYPAD_MODE',
    value: 'mode',
    help: 'read-only, testnet, or live: chains of real money need live  [testnet; read-only without a key]',
  },
  approval: {
    env: 'LILYPAD_APPROVAL',
    value: 'how',
    help: "who approves spending: elicit (the client's form), url (a page), cli (`approve`), host (its own prompt), deny  [elicit]",
  },
  'auto-approve-under': {
    env: 'LILYPAD_AUTO_APPROVE_UNDER',
    value: 'LILY',
    help: 'what can cost less needs no approval  [0: all does]',
  },
  'max-per-job': { env: 'LILYPAD_MAX_PER_JOB', value: 'LILY', help: 'most one job may cost  [1]' },
  'max-per-day': { env: 'LILYPAD_MAX_PER_DAY', value: 'LILY', help: 'most in any 24 hours  [10]' },
  'max-total': { env: 'LILYPAD_MAX_TOTAL', value: 'LILY', help: 'most ever, with this state folder  [100]' },
  'max-per-session': { env: 'LILYPAD_MAX_PER_SESSION', value: 'LILY', help: 'most by one run of the server  [10]' },
  'max-jobs-per-hour': { env: 'LILYPAD_MAX_JOBS_PER_HOUR', value: 'count', help: 'most jobs in any hour  [120]' },
  'max-concurrent': { env: 'LILYPAD_MAX_CONCURRENT', value: 'count', help: 'most jobs open at once  [20]' },
  'stop-after': {
    env: 'LILYPAD_STOP_AFTER',
    value: 'count',
    help: 'orders in a row without a result after which spending stops until `resume`; 0: never  [3]',
  },
  'allow-module': {
    env: 'LILYPAD_ALLOW_MODULES',
    value: 'name',
    help: 'only this module may be bought; repeat for more (variable: comma-separated)  [all]',
  },
  'deny-module': { env: 'LILYPAD_DENY_MODULES', value: 'name', help: 'never this module; repeat for more  [none]' },
  'allow-publisher': {
    env: 'LILYPAD_ALLOW_PUBLISHERS',
    value: 'address',
    help: 'only modules of this author; repeat for more  [all]',
  },
  'deny-publisher': {
    env: 'LILYPAD_DENY_PUBLISHERS',
    value: 'address',
    help: 'no module of this author; repeat for more  [none]',
  },
  'input-dir': { env: 'LILYPAD_INPUT_DIR', value: 'folder', help: 'files in it may be job inputs by path  [none]' },
  'output-dir': { env: 'LILYPAD_OUTPUT_DIR', value: 'folder', help: 'outputs are saved into it  [none]' },
  images: { env: 'LILYPAD_IMAGES', value: 'how', help: 'images of outputs: preview or omit  [preview]' },
  ...x402Settings,
  pin: {
    env: 'LILYPAD_PINS',
    value: 'module[@version]',
    help: `offer this module as a tool of its own; repeat, up to ${maxPins} (variable: comma-separated)`,
  },
  toolsets: {
    env: 'LILYPAD_TOOLSETS',
    value: 'names',
    help: `which tools: ${toolsets.join(', ')}; lean leaves out output schemas  [all]`,
  },
  tools: { env: 'LILYPAD_TOOLS', value: 'names', help: 'only these tools, comma-separated' },
  'read-only': { env: 'LILYPAD_READ_ONLY', value: '', help: 'no tool that changes anything, whatever else is set' },
  'log-level': { env: 'LILYPAD_LOG_LEVEL', value: 'level', help: `${logLevels.join(', ')}  [info]` },
} as const
const allSettings = { ...settings, ...httpSettings }
type SettingName = keyof typeof allSettings
/** Settings that hold several values: a flag that is repeated, or commas. */
const lists: ReadonlySet<string> = new Set<SettingName>([
  'allow-module',
  'deny-module',
  'allow-publisher',
  'deny-publisher',
  'paid-server',
  'sell',
  'pin',
  'toolsets',
  'tools',
])

const ModuleNames = z
  .array(z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'expected the name of a module'))
  .min(1)
  .optional()
const Publishers = z
  .array(
    z
      .string()
      .regex(/^0x[0-9a-fA-F]{40}$/, 'expected the address of an author')
      .transform((text) => Address.parse(text.toLowerCase())),
  )
  .min(1)
  .optional()
const Count = z
  .string()
  .regex(/^\d{1,6}$/, 'expected a count')
  .transform(Number)
const isSwitch = (name: string) => name === 'read-only'
const splitList = (text: string) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean)

const Settings = z.strictObject({
  network: File.prefault('.lilypad/network.json'),
  'rpc-url': z.url().optional(),
  'solver-url': z.url().optional(),
  'state-dir': File.prefault('.lilypad/mcp'),
  'key-file': File.optional(),
  'grant-file': File.optional(),
  mode: z.enum(modes).optional(),
  approval: z.enum(approvalModes).default('elicit'),
  'auto-approve-under': Lily.prefault('0'),
  'max-per-job': Lily.prefault('1'),
  'max-per-day': Lily.prefault('10'),
  'max-total': Lily.prefault('100'),
  'max-per-session': Lily.prefault('10'),
  'max-jobs-per-hour': Count.prefault('120'),
  'max-concurrent': Count.prefault('20'),
  'stop-after': Count.prefault('3'),
  'allow-module': ModuleNames,
  'deny-module': ModuleNames,
  'allow-publisher': Publishers,
  'deny-publisher': Publishers,
  'input-dir': File.optional(),
  'output-dir': File.optional(),
  images: z.enum(['preview', 'omit']).default('preview'),
  ...x402Schemas,
  pin: z
    .array(PinText)
    .max(maxPins, `expected at most ${maxPins} pins`)
    .refine(
      (pins) => new Set(pins.map(({ module }) => pinToolName(module))).size === pins.length,
      'two pins would be one tool',
    )
    .refine(
      (pins) => !pins.some(({ module }) => (toolNames as readonly string[]).includes(pinToolName(module))),
      'a module of this name would hide a tool',
    )
    .optional(),
  toolsets: z.array(Toolset).min(1).optional(),
  tools: z.array(ToolName).min(1).optional(),
  'read-only': z.stringbool({ error: 'expected true or false' }).default(false),
  'log-level': z.enum(logLevels).default('info'),
  ...httpShape,
} satisfies { readonly [name in SettingName]: z.ZodType })

/** The settings as they were given, before any file that they name is read. */
export type GivenSettings = z.output<typeof Settings>

const commands = ['stdio', 'http', 'sell', 'approve', 'ledger', 'resume', 'doctor'] as const
const unfilled = /^\$(\{[^}]*\}|[A-Z][A-Z_]*)$/

/** What the command line asks for. */
export type McpCommand =
  | { readonly name: 'stdio' | 'http' | 'sell'; readonly config: McpConfig }
  | { readonly name: 'token'; readonly command: TokenCommand }
  | {
      readonly name: 'approve' | 'ledger' | 'resume' | 'doctor'
      readonly settings: GivenSettings
      /** What the command is about: the quote to approve. */
      readonly operand: string | undefined
      readonly isJson: boolean
    }
  | { readonly name: 'help' }
  | { readonly name: 'version' }

/**
 * Reads the command line and, for what it leaves open, the environment.
 * @throws LilypadError CONFIG_INVALID naming the setting; a key is never in it
 */
export function readCommand(options: {
  readonly args: readonly string[]
  readonly env: { readonly [name: string]: string | undefined }
  /** Words that start this program in a terminal. */
  readonly launch?: readonly string[]
}): McpCommand {
  const { values, positionals } = readFlags(options.args)
  if (values.help) return { name: 'help' }
  if (values.version) return { name: 'version' }
  const [given = 'stdio', ...rest] = positionals
  if (given === 'token') return { name: given, command: readTokenCommand(rest, values, options.env) }
  const stray = Object.keys(tokenFlags).find((flag) => values[flag] !== undefined)
  if (stray) throw invalid(`--${stray}`, 'it belongs to `token add`')
  const name = commands.find((command) => command === given)
  const [operand] = rest
  if (!name || rest.length > 1 || (operand !== undefined && name !== 'approve')) {
    throw invalid(
      `Command: ${JSON.stringify(positionals.join(' ').slice(0, 60))}`,
      `the commands are ${commands.join(', ')} and token; only approve takes something more, the id of a quote`,
    )
  }
  const settings = readSettings(values, options.env)
  if (name !== 'stdio' && name !== 'http' && name !== 'sell')
    return { name, settings, operand, isJson: values.json === true }
  const config = { ...toConfig(settings), ...(options.launch ? { launch: options.launch } : {}) }
  return {
    name,
    config: name === 'http' ? { ...config, http: toHttpConfig(settings, config.stateDirectory) } : config,
  }
}

type FlagValues = { readonly [flag: string]: string | boolean | (string | boolean)[] | undefined }

function readSettings(values: FlagValues, variables: { readonly [name: string]: string | undefined }): GivenSettings {
  const given = Object.fromEntries(
    Object.entries(allSettings).flatMap(([setting, { env }]) => {
      const flag = values[setting]
      const variable = variables[env]?.trim()
      const isList = lists.has(setting)
      if (flag !== undefined)
        return [
          [
            setting,
            isList ? [flag].flat().flatMap((text) => splitList(String(text))) : isSwitch(setting) ? String(flag) : flag,
          ],
        ]
      // Hosts that fill in what their user set leave the name in place of what was not set.
      if (!variable || unfilled.test(variable)) return []
      return [[setting, isList ? splitList(variable) : variable]]
    }),
  )
  const parsed = Settings.safeParse(given)
  if (!parsed.success) {
    throw new LilypadError('CONFIG_INVALID', 'The configuration of the MCP server is not valid.', {
      details: parsed.error.issues.map(({ path, message }) => `--${path.join('.')}: ${message}`),
      hint: 'run it with --help to see the settings',
    })
  }
  return parsed.data
}

function readFlags(args: readonly string[]): {
  readonly values: FlagValues
  readonly positionals: readonly string[]
} {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean' },
        json: { type: 'boolean' },
        ...tokenFlags,
        ...Object.fromEntries(
          Object.keys(allSettings).map((name) => [
            name,
            isSwitch(name) ? { type: 'boolean' as const } : { type: 'string' as const, multiple: lists.has(name) },
          ]),
        ),
      },
    })
  } catch (error) {
    throw invalid(
      error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : '',
      'run it with --help to see the settings',
    )
  }
}

/**
 * The network that the settings name.
 * @throws LilypadError CONFIG_INVALID when it cannot be read, or has real money and the mode is not for that
 */
export function readNetwork(given: Pick<GivenSettings, 'network' | 'rpc-url' | 'solver-url' | 'mode'>): Network {
  const fromFile = readNetworkFile(given.network)
  const mayBeReal = given.mode === 'live' || given.mode === 'read-only'
  if (!mayBeReal && !testChains.has(fromFile.chainId)) {
    throw invalid(
      `Chain: ${fromFile.chainId}   Mode: ${given.mode ?? 'testnet'}`,
      'the money of this chain may be real: start with --mode live to spend it, or with --mode read-only',
    )
  }
  return {
    ...fromFile,
    rpcUrl: given['rpc-url'] ?? fromFile.rpcUrl,
    solverUrl: given['solver-url'] ?? fromFile.solverUrl,
  }
}

/**
 * The key that signs and the grant for it, as far as the settings name them.
 * @throws LilypadError CONFIG_INVALID when a file cannot be used or the grant is for another key or token
 */
export function readWallet(
  given: { readonly [name in 'key-file' | 'grant-file' | 'mode']?: string | undefined },
  network: Network,
): { readonly signer?: Signer; readonly grant?: SignedGrant } {
  if (given.mode === 'read-only') return {}
  const keyFile = given['key-file']
  const signer = keyFile === undefined ? undefined : createSigner(readKeyFile(keyFile))
  const grant = given['grant-file'] === undefined ? undefined : readGrantFile(given['grant-file'])
  if (grant) {
    if (!signer) throw invalid('--grant-file needs --key-file', 'name the file of the key that the grant is for')
    const fits = grant.grant.key === signer.address && grant.grant.token === network.contracts.lilyToken
    if (!fits)
      throw invalid(
        `Granted to key: ${grant.grant.key}   Key of this server: ${signer.address}`,
        'use the grant that the payer signed for this key and network',
      )
  }
  return { ...(signer ? { signer } : {}), ...(grant ? { grant } : {}) }
}

function toConfig(given: GivenSettings): McpConfig {
  // Without a key there is nothing to spend with, so any chain can be read.
  const network = readNetwork({
    ...given,
    mode: given.mode ?? (given['key-file'] === undefined ? 'read-only' : 'testnet'),
  })
  // Principals may bring keys of their own: they spend no real money either unless that was said.
  const mode = given.mode ?? (testChains.has(network.chainId) ? 'testnet' : 'read-only')
  const { signer, grant } = readWallet({ ...given, mode }, network)
  const sale = toSale(given)
  return {
    network,
    networkFile: given.network,
    mode,
    stateDirectory: given['state-dir'],
    policy: limitPolicy(toPolicy(given), grant),
    approval: given.approval,
    selection: {
      isReadOnly: given['read-only'],
      ...(given.toolsets ? { toolsets: given.toolsets } : {}),
      ...(given.tools ? { tools: given.tools } : {}),
    },
    ...(given.pin ? { pins: given.pin } : {}),
    images: given.images,
    port: given.port,
    logLevel: given['log-level'],
    ...(signer ? { signer } : {}),
    ...(grant ? { grant } : {}),
    ...(sale ? { sale } : {}),
    ...(given['paid-server'] ? { paidServers: given['paid-server'] } : {}),
    ...(given['input-dir'] ? { inputDirectory: given['input-dir'] } : {}),
    ...(given['output-dir'] ? { outputDirectory: given['output-dir'] } : {}),
  }
}

/** Payments of which nobody can say what became of them, after which spending stops. */
const maxUnknown = 2

/** The limits that the settings name, before those of a grant. */
export function toPolicy(given: GivenSettings): SpendingPolicy {
  const lists = {
    modules: given['allow-module'],
    deniedModules: given['deny-module'],
    publishers: given['allow-publisher'],
    deniedPublishers: given['deny-publisher'],
  }
  return {
    perJob: given['max-per-job'],
    perDay: given['max-per-day'],
    total: given['max-total'],
    perSession: given['max-per-session'],
    jobsPerHour: given['max-jobs-per-hour'],
    concurrentJobs: given['max-concurrent'],
    approveFrom: given['auto-approve-under'],
    ...(given['stop-after'] === 0 ? {} : { stopAfter: { failures: given['stop-after'], unknown: maxUnknown } }),
    ...Object.fromEntries(Object.entries(lists).filter(([, list]) => list !== undefined)),
  }
}

const waysOf: { readonly [mode in ApprovalMode]: readonly ApprovalWay[] } = {
  host: approvalWays,
  elicit: ['elicit', 'cli'],
  url: ['url', 'cli'],
  cli: ['cli'],
  deny: [],
}

/** The policy that is enforced where orders are signed: the limits, and who has to approve what, in which ways. */
export function enforcedPolicy({
  policy,
  approval = 'elicit',
}: Pick<McpConfig, 'policy' | 'approval'>): SpendingPolicy {
  const { approveFrom = 0n, ...limits } = policy
  return approval === 'host' ? limits : { ...limits, approveFrom, ways: waysOf[approval] }
}

/** What the payer granted bounds what the server is set to: the smaller of both counts, before anything is signed. */
export function limitPolicy(policy: SpendingPolicy, grant: SignedGrant | undefined): SpendingPolicy {
  if (!grant) return policy
  const least = (a: bigint, b: bigint) => (a < b ? a : b)
  const { perJob, perDay, total } = grant.grant
  return {
    ...policy,
    perJob: least(policy.perJob, perJob),
    perDay: least(policy.perDay, perDay),
    total: least(policy.total, total),
  }
}

function readGrantFile(path: string): SignedGrant {
  let json: unknown
  try {
    json = JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    throw invalid(`The grant file cannot be read: ${path}`, 'it holds the grant that the payer signed, as JSON')
  }
  return parseWire(SignedGrant, json, 'grant file')
}

/** The text of `--help`. */
export function helpText(): string {
  const rows = (
    of: Readonly<Record<string, { readonly env: string; readonly value: string; readonly help: string }>>,
  ) =>
    Object.entries(of)
      .map(
        ([name, { env, value, help }]) =>
          `  --${(value ? `${name} <${value}>` : name).padEnd(32)} ${help}\n  ${''.padEnd(34)} ${env}`,
      )
      .join('\n')
  return `lilypad-mcp: an MCP server that finds, buys and verifies compute on a Lilypad network

Usage
  lilypad-mcp [stdio] [settings]     speak MCP on stdin and stdout
  lilypad-mcp http [settings]        serve http://<host>:<port>/mcp
  lilypad-mcp sell [settings]        sell modules to strangers as paid tools (x402) at http://127.0.0.1:<port>/mcp
  lilypad-mcp token add <name>       print a new token for \`http --auth token\`, once; only its hash is kept
  lilypad-mcp token list             names, limits and ends of the tokens
  lilypad-mcp token revoke <name>    its bearer is refused from now on
  lilypad-mcp approve [quote_id]     approve or decline an order in this terminal; without an id, what waits
  lilypad-mcp ledger [--json]        what was spent, by job
  lilypad-mcp resume                 let spending go on after it was stopped
  lilypad-mcp doctor [--json]        check settings, network, contracts, key, grant and state folder

Settings (a flag wins over its variable)
${rows(settings)}
  --help, --version

Settings of http
${rows(httpSettings)}

Flags of token add, besides --max-per-job, --max-per-day and --max-total, which bound this token
${Object.entries(tokenFlags)
  .map(([name, { type, help }]) => `  --${`${name}${type === 'string' ? ' <value>' : ''}`.padEnd(32)} ${help}`)
  .join('\n')}
`
}
