import { resolve } from 'node:path'
import { LilypadError } from '@lilypad-agents/protocol'
import { parseTokenAmount } from '@lilypad-agents/sdk'
import { z } from 'zod'

/** An amount of LILY as people write it, read into base units. */
export const Lily = z.string().transform((text, context) => {
  try {
    return parseTokenAmount(text)
  } catch {
    context.addIssue({ code: 'custom', message: 'expected an amount of LILY such as 0.5, with at most 18 decimals' })
    return z.NEVER
  }
})

/** A path, read from the working folder. */
export const File = z
  .string()
  .min(1)
  .transform((path) => resolve(path))

/** A whole number as text, up to a maximum. */
export const count = (max: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, 'expected a number')
    .transform(Number)
    .pipe(z.int().max(max))

/** The items of a list that is written with commas. */
export const splitList = (text: string): string[] =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean)

const unfilled = /^\$(\{[^}]*\}|[A-Z][A-Z_]*)$/

/** A variable of the environment, if it was set. Hosts that fill in what their user set leave the name in place of what was not. */
export function readVariable(
  variables: { readonly [name: string]: string | undefined },
  name: string,
): string | undefined {
  const value = variables[name]?.trim()
  return value && !unfilled.test(value) ? value : undefined
}

/** What is wrong with the configuration and how to set it right. */
export function invalid(fact: string, hint: string): LilypadError {
  return new LilypadError('CONFIG_INVALID', 'The configuration of the MCP server is not valid.', {
    details: [fact],
    hint,
  })
}
