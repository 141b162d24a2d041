import { Address, LilypadError } from '@lilypad-agents/protocol'
import { z } from 'zod'
import { maxPins, Pin, pinToolName } from '../pins/pin.ts'
import { ToolName, toolNames, Toolset, toolsets } from '../tools/tool-selection.ts'
import { x402Schemas, x402Settings } from '../x402/x402-settings.ts'
import { httpSettings, httpShape } from './http-settings.ts'
import { approvalModes } from './policy.ts'
import { modes } from './read-network.ts'
import { count, File, Lily, readVariable, splitList } from './values.ts'

const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

const maxCount = 999_999

/** Each setting: a flag, the variable it falls back to, and what the help says. */
export const settings = {
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
export const allSettings = { ...settings, ...httpSettings }
type SettingName = keyof typeof allSettings
/** Settings that hold several values: a flag that is repeated, or commas. */
export const lists: ReadonlySet<string> = new Set<SettingName>([
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
export const isSwitch = (name: string) => name === 'read-only'

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
  'max-jobs-per-hour': count(maxCount).prefault('120'),
  'max-concurrent': count(maxCount).prefault('20'),
  'stop-after': count(maxCount).prefault('3'),
  'allow-module': ModuleNames,
  'deny-module': ModuleNames,
  'allow-publisher': Publishers,
  'deny-publisher': Publishers,
  'input-dir': File.optional(),
  'output-dir': File.optional(),
  images: z.enum(['preview', 'omit']).default('preview'),
  ...x402Schemas,
  pin: z
    .array(Pin)
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

export type FlagValues = { readonly [flag: string]: string | boolean | (string | boolean)[] | undefined }

/**
 * The settings of a command line, and of the environment where it leaves them open.
 * @throws LilypadError CONFIG_INVALID naming the setting
 */
export function readSettings(
  values: FlagValues,
  variables: { readonly [name: string]: string | undefined },
): GivenSettings {
  const given = Object.fromEntries(
    Object.entries(allSettings).flatMap(([setting, { env }]) => {
      const flag = values[setting]
      const variable = readVariable(variables, env)
      const isList = lists.has(setting)
      if (flag !== undefined)
        return [
          [
            setting,
            isList ? [flag].flat().flatMap((text) => splitList(String(text))) : isSwitch(setting) ? String(flag) : flag,
          ],
        ]
      if (variable === undefined) return []
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
