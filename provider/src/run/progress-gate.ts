import type { Progress } from '../executors/executor.ts'

/** Most progress frames of a job in a second. */
export const progressPerSecond = 4

/**
 * Lets through at most {@link progressPerSecond} reports a second, always the first and the newest. `flush` sends the
 * one held back; call it when the run is over.
 */
export function progressGate(send: (progress: Progress) => void): {
  readonly report: (progress: Progress) => void
  readonly flush: () => void
} {
  let held: Progress | undefined
  let timer: NodeJS.Timeout | undefined
  const release = () => {
    timer = undefined
    if (held === undefined) return
    send(held)
    held = undefined
    timer = setTimeout(release, 1000 / progressPerSecond)
  }
  return {
    report(progress) {
      held = progress
      if (timer === undefined) release()
    },
    flush() {
      clearTimeout(timer)
      timer = undefined
      if (held !== undefined) send(held)
      held = undefined
    },
  }
}
