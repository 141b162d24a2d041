import { LilypadError } from '@lilypad-agents/protocol'
import { listUnsettled, type PaidRequest, releaseRequest } from '../account/paid-request.ts'
import { type GatewayContext, nowSeconds } from '../context.ts'
import { failureFacts } from '../log/logger.ts'
import { finishJob, isDecided, settleAbandoned } from './finish-job.ts'
import { order } from './place-job.ts'

/** Requests younger than this are left to whoever just opened them. */
const settleAfterSeconds = 5
export const jobKind = 'job'

/**
 * Brings requests to their end that a crash or a lost connection left open: charges what was delivered, frees the money of
 * what never ran. Replies that nobody waits for are stopped; jobs go on.
 */
export async function settleUnsettled(context: GatewayContext): Promise<void> {
  for (const request of await listUnsettled(context.database, context.replica)) {
    if (context.active.has(request.id) || request.createdAt > nowSeconds(context) - settleAfterSeconds) continue
    await settleRequest(context, request).catch((error: unknown) =>
      context.log.warn({ requestId: request.id, ...failureFacts(error) }, 'request.unsettled'),
    )
  }
}

async function settleRequest(context: GatewayContext, request: PaidRequest): Promise<void> {
  const { id, state, quoteId, orderHash } = request
  const release = (errorCode: string) => releaseRequest(context.database, { id, errorCode, now: nowSeconds(context) })
  if (state === 'open' || quoteId === null) {
    await release('CANCELLED')
    return
  }
  try {
    // The same quote again is the same order: one that was signed is found, and stopped with the others.
    const placed = orderHash === null ? await order(context, id, quoteId) : await findPlaced(context, orderHash)
    // A job whose id nobody was told is wanted only by who can ask for it by its idempotency key.
    const isWanted = request.kind === jobKind && (orderHash !== null || request.idempotencyKey !== null)
    if (!isWanted) return await settleAbandoned(context, id, placed)
    const finished = await finishJob(context, id, { orderHash: placed.orderHash, timeoutSeconds: 0 })
    await finished.charge()
  } catch (error) {
    if (LilypadError.is(error) && error.code === 'TIMED_OUT') return
    if (!isDecided(error)) throw error
    await release(error.code)
  }
}

async function findPlaced({ client }: GatewayContext, orderHash: PaidRequest['orderHash'] & string) {
  const { order: placed } = await client.getStoredJob(orderHash)
  return { orderHash, deliverBy: placed.deliverBy }
}
