import { type Bytes32, LilypadError, receiptType } from '@lilypad-agents/protocol'
import { formatTokenAmount, type Output } from '@lilypad-agents/sdk'
import { chargeRequest, releaseRequest } from '../account/paid-request.ts'
import { type GatewayContext, nowSeconds, runInBackground } from '../context.ts'
import type { Settlement } from '../dialects/dialect.ts'
import { formatUsd } from '../models/model-price.ts'
import { UpstreamFaultError } from '../upstream/upstream-fault.ts'
import type { PlacedJob } from './place-job.ts'

/** A job that was delivered, verified and acknowledged. */
export type FinishedJob<Answer = undefined> = {
  /** What was read from the outputs. */
  readonly answer: Answer
  readonly settlement: Settlement
  readonly inputUnits: number
  readonly outputUnits: number
  /** Charges the account; `answer` is kept for repeats. */
  charge(answer?: unknown): Promise<void>
}

/** How long after the time of delivery a job is still waited for. */
const graceSeconds = 60
/** Codes after which a job may still be delivered, and so still cost something. */
const undecided: readonly string[] = ['TIMED_OUT', 'SOLVER_UNREACHABLE', 'RPC_UNREACHABLE', 'RATE_LIMITED', 'INTERNAL']

/** Whether an error tells that a job costs nothing and never will. */
export function isDecided(error: unknown): error is LilypadError {
  return LilypadError.is(error) && !undecided.includes(error.code)
}

/**
 * Waits for a job, verifies and acknowledges it. With `read`, what cannot be read is not acknowledged, so it is not paid. Nothing is charged
 * yet.
 * @throws what `read` throws, JobNotRunError JobFailedError VerificationFailedError StillRunningError and what the signal aborts with
 */
export async function finishJob<Answer = undefined>(
  context: GatewayContext,
  requestId: string,
  options: {
    readonly orderHash: Bytes32
    readonly timeoutSeconds: number
    readonly signal?: AbortSignal
    readonly read?: (outputs: readonly Output[]) => Answer | Promise<Answer>
  },
): Promise<FinishedJob<Answer>> {
  const { client, database, rules } = context
  const { orderHash, timeoutSeconds, signal, read } = options
  let accepted: { readonly answer: Answer } | undefined
  const accept = async (files: readonly Output[]) => {
    if (read) accepted = { answer: await read(files) }
  }
  const completing = client.complete(orderHash, {
    timeoutSeconds,
    accept,
    // Signed and kept is paid: nobody waits until the solver has it too.
    acknowledgement: 'signed',
    ...(signal ? { signal } : {}),
  })
  const { job, outputs } = await (signal ? orAborted(completing, signal) : completing)
  // One that was acknowledged before is not looked at again on the way.
  if (!accepted) await accept(outputs)
  const { delivery, price } = job
  if (!delivery || price === null) throw new LilypadError('INTERNAL', 'A finished job has no price.')
  const { inputUnits, outputUnits } = delivery.receipt
  const receipt = receiptType.hash(client.domain, delivery.receipt)
  return {
    // Without `read` there is no answer, and its type is undefined.
    answer: accepted?.answer as Answer,
    inputUnits,
    outputUnits,
    settlement: {
      jobId: orderHash,
      receipt,
      cost: formatTokenAmount(price),
      costUsd: Number(formatUsd(price, rules.usdPerLilyWad)),
    },
    async charge(answer) {
      const text = answer === undefined ? undefined : JSON.stringify(answer)
      const facts = { id: requestId, price, receipt, inputUnits, outputUnits, answer: text }
      if (await chargeRequest(database, { ...facts, now: nowSeconds(context) }))
        context.metrics.settled.inc({ outcome: 'charged' })
    },
  }
}

/** Seconds until a placed job is over, one way or another. */
export function secondsLeft(
  context: Pick<GatewayContext, 'clock'>,
  { deliverBy }: Pick<PlacedJob, 'deliverBy'>,
): number {
  return Math.max(1, deliverBy - nowSeconds(context)) + graceSeconds
}

/**
 * Settles a request that failed: gives the money back where the job cannot cost anything any more; otherwise asks the provider to
 * stop, and goes on in the background until that is known.
 */
export async function abandonRequest(
  context: GatewayContext,
  requestId: string,
  options: {
    readonly placed: PlacedJob | undefined
    readonly error: unknown
    /** Whether the customer has named the provider. */
    readonly isChosen?: boolean
  },
): Promise<void> {
  const { placed, error, isChosen = false } = options
  const errorCode = LilypadError.is(error) ? error.code : 'CANCELLED'
  const release = async () => {
    if (await releaseRequest(context.database, { id: requestId, errorCode, now: nowSeconds(context) }))
      context.metrics.settled.inc({ outcome: 'released' })
    context.active.delete(requestId)
  }
  if (!placed) {
    // Whether an order left is known where the solver answered, or none was signed.
    if (isDecided(error)) return release()
    // The sweep finds the order by its quote.
    context.active.delete(requestId)
    return
  }
  const { orderHash } = placed
  // A provider can claim what it delivered without an acknowledgement. Were the gateway to bear that, who names their own provider and has it
  // answer nonsense would be paid by everybody else.
  const isUnusable = error instanceof UpstreamFaultError
  if (isUnusable && !isChosen) {
    // What cannot be used is not acknowledged, so it is not paid.
    runInBackground(context, context.client.cancel(orderHash))
    return release()
  }
  if (isDecided(error) && !isUnusable) return release()
  runInBackground(context, settleAbandoned(context, requestId, placed))
}

/** Stops a job that nobody waits for, and charges what it has cost all the same. */
export async function settleAbandoned(
  context: GatewayContext,
  requestId: string,
  placed: Pick<PlacedJob, 'orderHash' | 'deliverBy'>,
): Promise<void> {
  const { client, database, metrics, log } = context
  try {
    // One that was delivered meanwhile cannot be stopped any more.
    await client.cancel(placed.orderHash).catch(() => undefined)
    const timeoutSeconds = secondsLeft(context, placed)
    const finished = await finishJob(context, requestId, { orderHash: placed.orderHash, timeoutSeconds })
    await finished.charge()
  } catch (error) {
    if (!isDecided(error)) throw error
    if (await releaseRequest(database, { id: requestId, errorCode: error.code, now: nowSeconds(context) }))
      metrics.settled.inc({ outcome: 'released' })
    log.info({ requestId, job: placed.orderHash, code: error.code }, 'request.released')
  } finally {
    context.active.delete(requestId)
  }
}

/** The result, or what the signal aborts with as soon as it does. */
function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
