import type { EventEmitter } from 'node:events'
import type { SolverContext } from '../context.ts'
import { findJob, type JobRow } from './job-row.ts'
import type { JobSignals } from './job-signals.ts'

/**
 * Waits until a job has come far enough, the time is over, or whoever asked has gone.
 * @returns the job as it is then
 */
export async function waitForJob(
  context: SolverContext,
  job: JobRow,
  options: {
    readonly milliseconds: number
    readonly gone: EventEmitter
    readonly isEnough: (job: JobRow) => boolean
  },
): Promise<JobRow> {
  const end = Date.now() + options.milliseconds
  const waiter = createWaiter(context.signals, job.orderHash, options.gone)
  try {
    let current = job
    // Listening comes before looking, so that no change falls between the two.
    for (;;) {
      current = (await findJob(context, job.orderHash)) ?? current
      if (options.isEnough(current) || waiter.isGone || Date.now() >= end) return current
      await waiter.next(end - Date.now())
    }
  } finally {
    waiter.close()
  }
}

/** Wakes on each signal about a job, at the latest after a time. A signal between two waits is not lost. */
export function createWaiter(signals: JobSignals, orderHash: JobRow['orderHash'], gone: EventEmitter) {
  const state = { changed: false, isGone: false, wake: undefined as (() => void) | undefined }
  const ignore = signals.listen(orderHash, () => {
    state.changed = true
    state.wake?.()
  })
  const leave = () => {
    state.isGone = true
    state.wake?.()
  }
  gone.once('close', leave)
  return {
    get isGone() {
      return state.isGone
    },
    /** Waits. False when the time was over and nothing had changed. */
    async next(milliseconds: number): Promise<boolean> {
      if (!state.changed && !state.isGone && milliseconds > 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, milliseconds)
          state.wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
      state.wake = undefined
      const { changed } = state
      state.changed = false
      return changed
    },
    /** Nobody waits any more. */
    close(): void {
      ignore()
      gone.off('close', leave)
      leave()
    },
  }
}
