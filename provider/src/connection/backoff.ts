import { setTimeout as sleep } from 'node:timers/promises'

export type BackoffOptions = {
  /** Delay before the second try. @default 250 */
  readonly baseMilliseconds?: number
  /** @default 30000 */
  readonly maxMilliseconds?: number
  /** Number between 0 and 1. @default Math.random */
  readonly random?: () => number
}

/** Delay before try number `attempt` (0 is the first retry): doubles up to a ceiling, half of it by chance, so that providers do not come back all at once. */
export function backoffMilliseconds(attempt: number, options: BackoffOptions = {}): number {
  const { baseMilliseconds = 250, maxMilliseconds = 30_000, random = Math.random } = options
  const ceiling = Math.min(maxMilliseconds, baseMilliseconds * 2 ** Math.min(attempt, 30))
  return Math.round(ceiling / 2 + (ceiling / 2) * random())
}

/** Waits, or returns at once when the signal is aborted. */
export async function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, signal ? { signal } : {}).catch(() => {})
}

export type RetryOptions = BackoffOptions & {
  readonly signal: AbortSignal
  /** Whether another try can help. */
  readonly isRetryable: (error: unknown) => boolean
  /** Unix milliseconds after which no new try starts. */
  readonly until?: number
  readonly onFailure?: (error: unknown, attempt: number) => void
}

/** Calls until it succeeds, the failure cannot be mended by waiting, time is over, or the signal is aborted; then throws the last failure. */
export async function retry<T>(call: () => Promise<T>, options: RetryOptions): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await call()
    } catch (error) {
      options.onFailure?.(error, attempt)
      const isOver = options.until !== undefined && Date.now() >= options.until
      if (options.signal.aborted || isOver || !options.isRetryable(error)) throw error
      await pause(backoffMilliseconds(attempt, options), options.signal)
      if (options.signal.aborted) throw error
    }
  }
}
