import { LilypadError } from '@lilypad-agents/protocol'
import { z } from 'zod'

/** Names that models and other servers use for arguments of ours. */
const aliases: { readonly [alias: string]: string } = {
  job: 'job_id',
  id: 'job_id',
  order_hash: 'job_id',
  task_id: 'job_id',
  quote: 'quote_id',
  module_id: 'module',
  module_name: 'module',
  name: 'module',
  input: 'inputs',
  arguments: 'inputs',
  params: 'inputs',
  parameters: 'inputs',
  q: 'query',
  search: 'query',
  text: 'query',
  max_cost: 'max_price',
  budget: 'max_price',
  max_charge: 'max_price',
  wait: 'wait_s',
  timeout: 'wait_s',
  wait_seconds: 'wait_s',
  lines: 'log_lines',
  tail: 'log_lines',
  page_token: 'cursor',
  next_cursor: 'cursor',
  page_size: 'limit',
  max_results: 'limit',
  count: 'limit',
  file: 'path',
  filename: 'path',
  file_path: 'path',
  files: 'paths',
  folder: 'subdir',
  directory: 'subdir',
}

const toSnakeCase = (name: string) => name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase()

/** Arguments do not fit. Each line names the field, what came, and what is expected; an example shows a whole call. */
export class ArgumentsError extends LilypadError {
  override readonly name = 'ArgumentsError'
  constructor(options: { readonly details: readonly string[]; readonly example: unknown }) {
    super('INVALID_REQUEST', 'The arguments of the call do not fit.', {
      details: [...options.details, `Example: ${JSON.stringify(options.example)}`],
      hint: 'correct the arguments named in the message and call again',
    })
  }
}

/**
 * Reads the arguments of a call as they were meant: objects, lists and numbers that came as JSON text, and other common names.
 * What no schema asks for is still refused.
 * @throws {@link ArgumentsError}
 */
export function readArguments<I extends z.ZodObject>(
  input: I,
  given: unknown,
  example: Readonly<Record<string, unknown>>,
): z.output<I> {
  const read = withRightTypes(input, withRightNames(input, given))
  const parsed = input.safeParse(read)
  if (parsed.success) return parsed.data
  const details = parsed.error.issues.slice(0, 6).flatMap((issue) => describeIssue(issue, read))
  throw new ArgumentsError({ details, example })
}

function withRightNames(input: z.ZodObject, given: unknown): unknown {
  if (given === undefined || given === null) return {}
  if (typeof given !== 'object' || Array.isArray(given)) return given
  const has = (name: string) => Object.hasOwn(input.shape, name)
  const entries = Object.entries(given)
  const taken = new Set(entries.map(([name]) => name).filter(has))
  return Object.fromEntries(
    entries.map(([name, value]) => {
      if (has(name)) return [name, value]
      const snake = toSnakeCase(name)
      const meant = has(snake) ? snake : aliases[snake]
      if (meant === undefined || !has(meant) || taken.has(meant)) return [name, value]
      taken.add(meant)
      return [meant, value]
    }),
  )
}

function withRightTypes(input: z.ZodObject, given: unknown): unknown {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return given
  const shape: Readonly<Record<string, z.core.$ZodType>> = input.shape
  return Object.fromEntries(
    Object.entries(given).flatMap(([name, value]): [string, unknown][] => {
      const schema = Object.hasOwn(shape, name) ? shape[name] : undefined
      if (!schema || z.safeParse(schema, value).success) return [[name, value]]
      // What is optional and came empty was left out.
      if ((value === null || value === '') && z.safeParse(schema, undefined).success) return []
      if (typeof value === 'number' && z.safeParse(schema, String(value)).success) return [[name, String(value)]]
      if (typeof value !== 'string') return [[name, value]]
      const json = parseJson(value)
      if (json !== undefined && z.safeParse(schema, json).success) return [[name, json]]
      // One of a list, without the list.
      if (z.safeParse(schema, [value]).success) return [[name, [value]]]
      return [[name, json !== undefined && typeof json === 'object' ? json : value]]
    }),
  )
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function describeIssue(issue: z.core.$ZodIssue, given: unknown): readonly string[] {
  const path = issue.path.map(String).join('.').slice(0, 100)
  if (issue.code === 'unrecognized_keys')
    return issue.keys.slice(0, 5).map((key) => `${JSON.stringify(key.slice(0, 60))}: there is no such argument`)
  const value = issue.path.reduce<unknown>(
    (at, key) => (typeof at === 'object' && at !== null ? (at as Record<PropertyKey, unknown>)[key] : undefined),
    given,
  )
  const got = value === undefined ? 'nothing' : JSON.stringify(value)?.slice(0, 60)
  return [`${path || 'arguments'}: ${issue.message.slice(0, 200)}; got ${got}`]
}
