import { chargeRequest, releaseRequest } from '../account/paid-request.ts'
import { type GatewayContext, nowSeconds } from '../context.ts'
import { listOrphans } from './replica.ts'

/** A replica that is silent for so long is taken for gone with its client store. */
const goneSeconds = 3600
/** No order lives longer than two days, and a claim of its provider on chain follows within one more. */
const unclaimedSeconds = 3 * 86_400

/**
 * Settles requests of a replica that never came back. Its jobs are not acknowledged any more, so what they cost is what the chain pays on a
 * claim: that is charged; what was not claimed long after it could, is free.
 */
export async function settleOrphans(context: GatewayContext): Promise<void> {
  const { database, deposits, replica, log } = context
  const now = nowSeconds(context)
  const orphans = await listOrphans(database, { replica, awaySeconds: goneSeconds, openedBefore: now - goneSeconds })
  for (const { id, state, quoteId, orderHash, createdAt, held } of orphans) {
    const isOrdered = state === 'reserved' && quoteId !== null
    const [settled] =
      isOrdered && orderHash !== null ? ((await deposits?.chain.listSettled([orderHash], 0n)) ?? []) : []
    if (settled) {
      const { receiptHash: receipt } = settled
      // biome-ignore lint/complexity/useMathMinMax: there is none for bigint
      const price = settled.price < held ? settled.price : held
      await chargeRequest(database, { id, price, receipt, inputUnits: 0, outputUnits: 0, now })
    } else if (!isOrdered || createdAt < now - unclaimedSeconds)
      await releaseRequest(database, { id, errorCode: 'EXECUTOR_UNAVAILABLE', now })
    else continue
    log.warn({ requestId: id, charged: settled !== undefined }, 'request.orphan')
  }
}
