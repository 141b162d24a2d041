import type { ModuleLimits } from '../module/module-limits.ts'

/** Most that the stream of one run holds, whatever its module allows. */
export const maxStreamBytes = 64 * 1024 ** 2
export const maxStreamChunks = 131_072
/** Most bytes of chunks of one job, counted as they travel, that a provider sends before the relay has answered. */
export const streamWindowBytes = 256 * 1024

/**
 * What the stream of one run of a module may hold: both logs, a reply as long as its outputs, and a notice for each file. Provider and
 * relay count by the same numbers, so that a relay never refuses what an honest provider sends.
 */
export function streamLimits(limits: Pick<ModuleLimits, 'logBytes' | 'outputBytes'>): {
  readonly bytes: number
  readonly chunks: number
} {
  return { bytes: Math.min(2 * limits.logBytes + limits.outputBytes, maxStreamBytes), chunks: maxStreamChunks }
}
