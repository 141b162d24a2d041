import { z } from 'zod'

/**
 * Where a provider says its machine stands, from wide to narrow: `eu`, `eu-west`, `eu-west-paris`. Its own word: nothing proves it, and it
 * travels beside the signed asks.
 */
export const Region = z
  .string()
  .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'expected words of a-z and 0-9 with - between them')
  .max(40)
export type Region = z.output<typeof Region>

/** Whether a region is another one or lies in it. */
export function isInRegion(region: Region | undefined, wider: Region): boolean {
  return region !== undefined && (region === wider || region.startsWith(`${wider}-`))
}
