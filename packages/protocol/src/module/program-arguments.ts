import type { JobInputs } from './inputs.ts'
import type { InputSchema } from './input-schema.ts'
import { recipientInput } from './recipient.ts'

const extensions: ReadonlyMap<string, string> = new Map([
  ['application/json', 'json'],
  ['application/pdf', 'pdf'],
  ['audio/mpeg', 'mp3'],
  ['audio/wav', 'wav'],
  ['image/jpeg', 'jpg'],
  ['image/png', 'png'],
  ['image/webp', 'webp'],
  ['text/csv', 'csv'],
  ['text/plain', 'txt'],
])

/** Name under `/in` of a file input: the input's name and the extension of its media type. */
export function inputFileName(input: string, mediaType: string): string {
  return `${input}.${extensions.get(mediaType) ?? 'bin'}`
}

/** Inputs as the program reads them: each file replaced by `{ "path": "/in/…" }`; whom the outputs are sealed to is not its business. */
export function programInputs({ [recipientInput]: _, ...inputs }: JobInputs): { readonly [name: string]: unknown } {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, value]) =>
      typeof value === 'object' && '$file' in value
        ? [name, { path: `/in/${inputFileName(name, value.$file.mediaType)}` }]
        : [name, value],
    ),
  )
}

/**
 * Arguments with placeholders filled in. A placeholder is a whole argument, so an input can never become two
 * arguments or part of an option; an optional input without a value gives an empty argument.
 */
export function programArguments(args: readonly string[], schema: InputSchema, inputs: JobInputs): readonly string[] {
  return args.map((argument) => {
    const name = /^\{([a-z][a-zA-Z0-9_]{0,63})\}$/.exec(argument)?.[1]
    if (name === undefined || !Object.hasOwn(schema.properties, name)) return argument
    const value = inputs[name]
    if (value === undefined) return ''
    if (typeof value === 'object')
      return '$file' in value ? `/in/${inputFileName(name, value.$file.mediaType)}` : JSON.stringify(value)
    return String(value)
  })
}
