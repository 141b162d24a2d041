import { parseArgs } from 'node:util'
import { type McpConfig, toConfig } from './config.ts'
import { toHttpConfig } from './http-settings.ts'
import { allSettings, type FlagValues, type GivenSettings, isSwitch, lists, readSettings } from './settings.ts'
import { readTokenCommand, type TokenCommand, tokenFlags } from './token-command.ts'
import { invalid } from './values.ts'

const commands = ['stdio', 'http', 'sell', 'approve', 'ledger', 'resume', 'doctor'] as const

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
