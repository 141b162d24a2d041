import { z } from 'zod'

/** Calls that make sense next, with their arguments filled in. Only ids that were given out here stand in them. */
export const NextCalls = z.array(z.looseObject({})).optional()
export type NextCall = { readonly tool: string; readonly args: Readonly<Record<string, unknown>> }

/** The `next` of a result, left out when there is nothing to do. */
export function withNext(...calls: readonly (NextCall | undefined | false)[]): { readonly next?: NextCall[] } {
  const next = calls.filter((call) => call !== undefined && call !== false)
  return next.length > 0 ? { next } : {}
}
