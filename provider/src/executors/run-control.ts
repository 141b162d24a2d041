import type { ExecutorTask, Outcome, RunOptions } from './executor.ts'

// Timers of Node take at most this many milliseconds.
const maxTimerMilliseconds = 2 ** 31 - 1

/** What may stop a run from outside: time, the caller, a limit. The first reason stands. */
export class RunControl {
  readonly #kill: () => void
  readonly #release: (() => void)[] = []
  #stopped: Outcome | undefined

  constructor(task: ExecutorTask, options: RunOptions, startedAt: number, kill: () => void) {
    this.#kill = kill
    const { signal } = options
    const untilDeadline = task.deadline === undefined ? Number.POSITIVE_INFINITY : task.deadline * 1000 - startedAt
    const milliseconds = Math.max(0, Math.min(task.limits.timeoutSeconds * 1000, untilDeadline, maxTimerMilliseconds))
    const timer = setTimeout(() => this.stop({ kind: 'timed-out' }), milliseconds)
    const cancel = () => this.stop({ kind: 'cancelled' })
    signal?.addEventListener('abort', cancel, { once: true })
    this.#release.push(
      () => clearTimeout(timer),
      () => signal?.removeEventListener('abort', cancel),
    )
    if (signal?.aborted) cancel()
  }

  get stopped(): Outcome | undefined {
    return this.#stopped
  }

  stop(outcome: Outcome): void {
    if (this.#stopped !== undefined) return
    this.#stopped = outcome
    this.#kill()
  }

  /** Lets go of timer and signal. */
  release(): void {
    for (const release of this.#release) release()
  }
}
