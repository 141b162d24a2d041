import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { createSigner, LilypadError, parseWire, SignedGrant, type Signer } from '@lilypad-agents/protocol'
import type { Network, SpendingPolicy } from '@lilypad-agents/sdk'
import { readKeyFile, readNetworkFile } from '@lilypad-agents/sdk/node'
import { z } from 'zod'
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
  /** Whose jobs these are, where one process serves several. */
  readonly principal?: string
  readonly logLevel?: LogLevel
}

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
  'max-per-job': { env: 'LILYPAD_MAX_PER_JOB', value: 'LILY', help: 'most one job may cost  [1]' },
  'max-per-day': { env: 'LILYPAD_MAX_PER_DAY', value: 'LILY', help: 'most in any 24 hours  [10]' },
  'max-total': { env: 'LILYPAD_MAX_TOTAL', value: 'LILY', help: 'most ever, with this state folder  [100]' },
  'allow-module': {
    env: 'LILYPAD_ALLOW_MODULES',
    value: 'name',
    help: 'only this module may be bought; repeat for more (variable: comma-separated)  [all]',
  },
  'input-dir': { env: 'LILYPAD_INPUT_DIR', value: 'folder', help: 'files in it may be job inputs by path  [none]' },
  'output-dir': { env: 'LILYPAD_OUTPUT_DIR', value: 'folder', help: 'outputs are saved into it  [none]' },
  images: { env: 'LILYPAD_IMAGES', value: 'how', help: 'images of outputs: preview or omit  [preview]' },
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
const lists: ReadonlySet<string> = new Set<SettingName>(['allow-module', 'pin', 'toolsets', 'tools'])
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
  'max-per-job': Lily.prefault('1'),
  'max-per-day': Lily.prefault('10'),
  'max-total': Lily.prefault('100'),
  'allow-module': z
    .array(z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'expected the name of a module'))
    .min(1)
    .optional(),
  'input-dir': File.optional(),
  'output-dir': File.optional(),
  images: z.enum(['preview', 'omit']).default('preview'),
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

const unfilled = /^\$(\{[^}]*\}|[A-Z][A-Z_]*)$/

/** What the command line asks for. */
export type McpCommand =
  | { readonly name: 'stdio' | 'http'; readonly config: McpConfig }
  | { readonly name: 'token'; readonly command: TokenCommand }
  | { readonly name: 'help' }
  | { readonly name: 'version' }

/**
 * Reads the command line and, for what it leaves open, the environment.
 * @throws LilypadError CONFIG_INVALID naming the setting; a key is never in it
 */
export function readCommand(options: {
  readonly args: readonly string[]
  readonly env: { readonly [name: string]: string | undefined }
}): McpCommand {
  const { values, positionals } = readFlags(options.args)
  if (values.help) return { name: 'help' }
  if (values.version) return { name: 'version' }
  const [name = 'stdio', ...rest] = positionals
  if (name === 'token') return { name, command: readTokenCommand(rest, values, options.env) }
  const stray = Object.keys(tokenFlags).find((flag) => values[flag] !== undefined)
  if (stray) throw invalid(`--${stray}`, 'it belongs to `token add`')
  if ((name !== 'stdio' && name !== 'http') || rest.length > 0) {
    throw invalid(
      `Command: ${JSON.stringify(positionals.join(' ').slice(0, 60))}`,
      'the commands are `stdio`, `http` and `token`',
    )
  }
  const given = Object.fromEntries(
    Object.entries(allSettings).flatMap(([setting, { env }]) => {
      const flag = values[setting]
      const variable = options.env[env]?.trim()
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
  const config = toConfig(parsed.data)
  return {
    name,
    config: name === 'http' ? { ...config, http: toHttpConfig(parsed.data, config.stateDirectory) } : config,
  }
}

function readFlags(args: readonly string[]): {
  readonly values: { readonly [flag: string]: string | boolean | (string | boolean)[] | undefined }
  readonly positionals: readonly string[]
} {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean' },
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

function toConfig(given: z.output<typeof Settings>): McpConfig {
  const fromFile = readNetworkFile(given.network)
  const network: Network = {
    ...fromFile,
    rpcUrl: given['rpc-url'] ?? fromFile.rpcUrl,
    solverUrl: given['solver-url'] ?? fromFile.solverUrl,
  }
  const { signer, grant } = readWallet(given, network)
  return {
    network,
    stateDirectory: given['state-dir'],
    policy: limitPolicy(
      {
        perJob: given['max-per-job'],
        perDay: given['max-per-day'],
        total: given['max-total'],
        ...(given['allow-module'] ? { modules: given['allow-module'] } : {}),
      },
      grant,
    ),
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
    ...(given['input-dir'] ? { inputDirectory: given['input-dir'] } : {}),
    ...(given['output-dir'] ? { outputDirectory: given['output-dir'] } : {}),
  }
}

/**
 * Reads a key and the grant under which it orders, if any.
 * @throws LilypadError CONFIG_INVALID; the key is never in it
 */
export function readWallet(
  given: { readonly 'key-file'?: string | undefined; readonly 'grant-file'?: string | undefined },
  network: Network,
): Pick<McpConfig, 'signer' | 'grant'> {
  const { 'key-file': keyFile, 'grant-file': grantFile } = given
  const signer = keyFile === undefined ? undefined : createSigner(readKeyFile(keyFile))
  const grant = grantFile === undefined ? undefined : readGrantFile(grantFile)
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
  lilypad-mcp token add <name>       print a new token for \`http --auth token\`, once; only its hash is kept
  lilypad-mcp token list             names, limits and ends of the tokens
  lilypad-mcp token revoke <name>    its bearer is refused from now on

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
