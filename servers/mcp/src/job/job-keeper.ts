import { setTimeout as sleep } from 'node:timers/promises'
import { type Bytes32, isFinal, LilypadError, toLilypadError } from '@lilypad-agents/protocol'
import { type Lilypad, type StoredJob, StillRunningError } from '@lilypad-agents/sdk'
import { failureFacts, type Logger } from '../log/logger.ts'
import type { JobWatch } from './job-watch.ts'

/** A job and what stands in its way right now, if anything. */
export type KeptJob = { readonly job: StoredJob; readonly problem: LilypadError | undefined }

const roundSeconds = 60
const firstPauseMilliseconds = 500
const longestPauseMilliseconds = 15_000
// Even a call that does not want to wait may take this long to learn the newest state.
const graceMilliseconds = 700

/** The order was not signed and stored in the time the call allowed. */
class OrderPendingError extends LilypadError {
  override readonly name = 'OrderPendingError'
  constructor() {
    super('TIMED_OUT', 'The order could not be stored in the time given.', {
      charged: 'unknown',
      hint: 'call lilypad_run_job again with the same quote_id; it is the same job',
    })
  }
}

/** Whoever called has gone before anything was signed. */
class GivenUpError extends LilypadError {
  override readonly name = 'GivenUpError'
  constructor() {
    super('TIMED_OUT', 'The call was given up before anything was ordered.', {
      hint: 'call lilypad_run_job again with the same quote_id',
    })
  }
}

/**
 * The order is signed and the solver refused it. Who was to take it has its signature, and it is sent again at the next start, so its money is
 * not free before its time is over.
 */
export class OrderRefusedError extends LilypadError {
  override readonly name = 'OrderRefusedError'
  constructor(refusal: LilypadError) {
    const { code, shortMessage, details } = refusal
    super(code, 'The order is signed, and the solver refused it.', {
      details: [shortMessage, ...details],
      charged: 'reserved',
      cause: refusal,
    })
  }
}

/**
 * Brings jobs to their end in the background: waits, verifies, acknowledges, and tries again while the network is
 * away. Calls only look at it for a bounded time, so none of them holds a job up and none is needed to finish one.
 */
export type JobKeeper = {
  /** Orders the quote and waits for the end. The same quote again is the same job. */
  run(quoteId: Bytes32, waitSeconds: number, signal: AbortSignal): Promise<KeptJob>
  /** Reads the job, waiting for its end. */
  wait(orderHash: Bytes32, waitSeconds: number, signal: AbortSignal): Promise<KeptJob>
  /** Cancels the job, and waits until its end shows. */
  cancel(orderHash: Bytes32, waitSeconds: number, signal: AbortSignal): Promise<KeptJob>
  /** Takes up what an earlier process left open. */
  resume(): Promise<void>
  /** Whether a job is being placed, taken up or followed. */
  isBusy(): boolean
  close(): void
}

/** Whether nothing is left for the requester to do. */
export function isDone(job: StoredJob): boolean {
  if (job.state === 'declined' || job.state === 'expired' || job.state === 'refunded' || job.verified === false)
    return true
  if (job.acknowledgement) return job.acknowledgementSent
  return job.price !== null || (job.state === 'failed' && job.delivery === null)
}

/** Makes the keeper of a client's jobs. */
export function createJobKeeper(options: {
  readonly lilypad: Lilypad
  readonly logger: Logger
  /** Told about each job that is taken up, and about each change of one. */
  readonly watch?: Pick<JobWatch, 'start' | 'touch'>
}): JobKeeper {
  const { lilypad, logger, watch } = options
  const closing = new AbortController()
  const following = new Map<Bytes32, Promise<void>>()
  const placing = new Map<Bytes32, Promise<StoredJob>>()
  const problems = new Map<Bytes32, LilypadError>()
  const canSign = lilypad.key !== undefined
  let resuming = 0

  async function bringToEnd(orderHash: Bytes32): Promise<void> {
    let pause = firstPauseMilliseconds
    while (!closing.signal.aborted) {
      try {
        const { job } = await lilypad.complete(orderHash, { timeoutSeconds: roundSeconds, signal: closing.signal })
        problems.delete(orderHash)
        logger.info(
          { jobId: orderHash, module: job.module.name, price: job.price?.toString() },
          'job verified and acknowledged',
        )
        return
      } catch (error) {
        if (closing.signal.aborted) return
        if (error instanceof StillRunningError) {
          problems.delete(orderHash)
          // A relay that answers at once with a state without its delivery must not turn this into a busy loop.
          await sleep(firstPauseMilliseconds, undefined, { signal: closing.signal }).catch(() => undefined)
          continue
        }
        const failure = toLilypadError(error)
        problems.set(orderHash, failure)
        const hasEnded = failure.code === 'JOB_DECLINED' || failure.code === 'JOB_EXPIRED'
        if (hasEnded || !failure.retryable) {
          logger[failure.row.log]({ jobId: orderHash, ...failureFacts(failure) }, 'job ended without a paid result')
          return
        }
        logger.warn({ jobId: orderHash, pauseMs: pause, ...failureFacts(failure) }, 'job is tried again')
        await sleep(pause, undefined, { signal: closing.signal }).catch(() => undefined)
        pause = Math.min(pause * 2, longestPauseMilliseconds)
      }
    }
  }

  function follow(orderHash: Bytes32): Promise<void> {
    const known = following.get(orderHash)
    if (known) return known
    watch?.start(orderHash)
    const work = bringToEnd(orderHash).finally(() => {
      following.delete(orderHash)
      watch?.touch(orderHash)
    })
    following.set(orderHash, work)
    return work
  }

  function place(quoteId: Bytes32): Promise<StoredJob> {
    const known = placing.get(quoteId)
    if (known) return known
    const work = lilypad.order(quoteId).finally(() => placing.delete(quoteId))
    placing.set(quoteId, work)
    return work
  }

  const findByQuote = async (quoteId: Bytes32) => (await lilypad.listJobs()).find((job) => job.quoteId === quoteId)

  const report = async (orderHash: Bytes32): Promise<KeptJob> => {
    const job = await lilypad.getStoredJob(orderHash)
    return { job, problem: isDone(job) ? undefined : problems.get(orderHash) }
  }

  async function wait(orderHash: Bytes32, waitSeconds: number, signal: AbortSignal): Promise<KeptJob> {
    const job = await lilypad.getStoredJob(orderHash)
    if (!canSign || isFinal(job.state)) {
      if (canSign && !isDone(job)) await within(follow(orderHash), graceMilliseconds, signal)
      return report(orderHash)
    }
    const refresh = lilypad
      .getJob(orderHash)
      .catch((error: unknown) => void problems.set(orderHash, toLilypadError(error)))
    if (isDone(job)) {
      await within(refresh, graceMilliseconds, signal)
      return report(orderHash)
    }
    const work = follow(orderHash)
    await within(
      waitSeconds > 0 ? work : Promise.race([work, refresh]),
      Math.max(waitSeconds * 1000, graceMilliseconds),
      signal,
    )
    return report(orderHash)
  }

  return {
    wait,
    async cancel(orderHash, waitSeconds, signal) {
      const job = await lilypad.cancel(orderHash)
      watch?.touch(orderHash)
      return isDone(job) ? report(orderHash) : wait(orderHash, waitSeconds, signal)
    },
    async run(quoteId, waitSeconds, signal) {
      if (signal.aborted) throw new GivenUpError()
      const startedAt = Date.now()
      const placed = place(quoteId)
      const outcome = await within(
        placed.then(
          (job) => ({ job }),
          (error: unknown) => ({ error }),
        ),
        Math.max(waitSeconds * 1000, graceMilliseconds),
        signal,
      )
      if (outcome && 'job' in outcome)
        return wait(outcome.job.orderHash, Math.max(0, waitSeconds - (Date.now() - startedAt) / 1000), signal)
      const stored = await findByQuote(quoteId)
      if (!outcome) {
        if (!stored) throw new OrderPendingError()
        void placed.catch(() => undefined).then(() => follow(stored.orderHash))
        return report(stored.orderHash)
      }
      const failure = toLilypadError(outcome.error)
      if (!stored) throw failure
      if (!failure.retryable) throw isFinal(stored.state) ? failure : new OrderRefusedError(failure)
      // The order is signed and stored, so it is sent again until it arrives or is too old.
      problems.set(stored.orderHash, failure)
      void follow(stored.orderHash)
      return report(stored.orderHash)
    },
    async resume() {
      if (!canSign) return
      resuming += 1
      const failures = await lilypad
        .resume({ timeoutSeconds: 0, signal: closing.signal })
        .finally(() => (resuming -= 1))
      for (const { orderHash, error } of failures) {
        const failure = toLilypadError(error)
        const isOpen = failure.retryable && failure.code !== 'JOB_DECLINED' && failure.code !== 'JOB_EXPIRED'
        if (isOpen && !closing.signal.aborted) void follow(orderHash)
        else logger.info({ jobId: orderHash, ...failureFacts(failure) }, 'job not taken up again')
      }
    },
    isBusy: () => resuming + placing.size + following.size > 0,
    close: () => closing.abort(),
  }
}

/** The result of the work if it comes in time, else undefined; the work goes on. */
async function within<T>(work: Promise<T>, milliseconds: number, signal: AbortSignal): Promise<T | undefined> {
  const timer = new AbortController()
  const stop = () => timer.abort()
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  try {
    return await Promise.race([work, sleep(milliseconds, undefined, { signal: timer.signal }).catch(() => undefined)])
  } finally {
    signal.removeEventListener('abort', stop)
    stop()
  }
}
