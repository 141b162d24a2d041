import type { EventEmitter } from 'node:events'
import type { SolverContext } from '../context.ts'
import { findJob, type JobRow } from './job-row.ts'

/** Waits until a job is in another state than it was, the time is over, or whoever asked has gone. */
export async function waitForJob(
  context: SolverContext,
  job: Pick<JobRow, 'orderHash' | 'state'>,
  options: { readonly milliseconds: number; readonly gone: EventEmitter },
): Promise<void> {
  const end = Date.now() + options.milliseconds
  const waiter = createWaiter(context, job.orderHash, options.gone)
  try {
    // Listening comes before looking, so that no change falls between the two.
    while (!waiter.isGone && Date.now() < end) {
      const current = await findJob(context.database, job.orderHash)
      if (current?.state !== job.state) return
      await waiter.next(end - Date.now())
    }
  } finally {
    waiter.close()
  }
}

/** Wakes on each change of a job, at the latest after a time. A change between two waits is not lost. */
export function createWaiter(
  context: Pick<SolverContext, 'signals'>,
  orderHash: JobRow['orderHash'],
  gone: EventEmitter,
) {
  const state = { changed: false, isGone: false, wake: undefined as (() => void) | undefined }
  const stop = context.signals.listen(orderHash, () => {
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
    async next(milliseconds: number): Promise<void> {
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
      state.changed = false
    },
    close(): void {
      stop()
      gone.off('close', leave)
    },
  }
}
