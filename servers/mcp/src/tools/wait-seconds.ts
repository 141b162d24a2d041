import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import type { ToolContext } from '../tool/tool-context.ts'

/** Most seconds a call waits; clients give up soon after. */
const maxWaitSeconds = 50
const reportMilliseconds = 5000

/** Seconds a call may wait for a job to end. */
export const waitSeconds = (fallback: number) =>
  z.number().min(0).max(maxWaitSeconds).default(fallback).describe('seconds to wait for the end')

/** Waits for the work, and tells who asked how it goes meanwhile. */
export async function withReports<T>(
  work: Promise<T>,
  what: () => string,
  { report, signal }: ToolContext,
): Promise<T> {
  const done = new AbortController()
  const stop = AbortSignal.any([done.signal, signal])
  const reports = (async () => {
    while (!stop.aborted) {
      report(what())
      await sleep(reportMilliseconds, undefined, { signal: stop }).catch(() => undefined)
    }
  })()
  try {
    return await work
  } finally {
    done.abort()
    await reports
  }
}
