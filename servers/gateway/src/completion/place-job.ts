import type { Address, Bytes32 } from '@lilypad-agents/protocol'
import type { GivenFile, StoredJob } from '@lilypad-agents/sdk'
import { notePlaced, reserveFor } from '../account/paid-request.ts'
import type { GatewayContext } from '../context.ts'
import { toOrderError } from './job-errors.ts'

/** What a customer allows for one request. */
export type RequestPolicy = {
  /** Base units of LILY. */
  readonly maxPrice?: bigint | undefined
  readonly provider?: Address | undefined
}

/** A module with its inputs, as it is ordered. */
export type JobRequest = {
  readonly module: string
  readonly inputs: Readonly<Record<string, unknown>>
  readonly files?: Readonly<Record<string, GivenFile>>
}

/** An order that was placed, and what is held for it. */
export type PlacedJob = { readonly orderHash: Bytes32; readonly held: bigint; readonly deliverBy: number }

/**
 * Gets a price, sets it aside in the account, and orders. `held` is what an earlier try of the request has set aside: the
 * next one may cost no more.
 * @throws AccountEmptyError PriceOverCapError {@link GatewayCannotOrderError}
 */
export async function placeJob(
  context: Pick<GatewayContext, 'client' | 'database'>,
  options: {
    readonly requestId: string
    readonly request: JobRequest
    readonly policy: RequestPolicy
    readonly held?: bigint | undefined
  },
): Promise<PlacedJob> {
  const { requestId, request, policy, held } = options
  const { client, database } = context
  const { module, inputs, files } = request
  const { provider } = policy
  const maxPrice = held ?? policy.maxPrice
  const { quote } = await client.quote({
    module,
    inputs,
    ...(files ? { files } : {}),
    ...(maxPrice === undefined ? {} : { maxPrice }),
    ...(provider === undefined ? {} : { provider }),
  })
  const { quoteId } = quote
  if (held === undefined) return placeQuote(context, { requestId, quoteId, maxPrice: quote.maxPrice })
  await notePlaced(database, { id: requestId, quoteId, orderHash: null })
  return { ...(await order(context, requestId, quoteId)), held }
}

/** Sets the price of a quote aside in the account, and orders it. */
export async function placeQuote(
  context: Pick<GatewayContext, 'client' | 'database'>,
  options: { readonly requestId: string; readonly quoteId: Bytes32; readonly maxPrice: bigint },
): Promise<PlacedJob> {
  const { requestId, quoteId, maxPrice } = options
  await reserveFor(context.database, { id: requestId, amount: maxPrice, quoteId })
  return { ...(await order(context, requestId, quoteId)), held: maxPrice }
}

/** Orders a quote that the money of a request is set aside for. */
export async function order(
  { client, database }: Pick<GatewayContext, 'client' | 'database'>,
  requestId: string,
  quoteId: Bytes32,
): Promise<Omit<PlacedJob, 'held'>> {
  let job: StoredJob
  try {
    job = await client.order(quoteId)
  } catch (error) {
    throw toOrderError(error)
  }
  const { orderHash } = job
  await notePlaced(database, { id: requestId, orderHash })
  return { orderHash, deliverBy: job.order.deliverBy }
}
