import { type Address, type Bytes32, LilypadError } from '@lilypad-agents/protocol'
import type { GivenFile, StoredJob, StoredQuote } from '@lilypad-agents/sdk'
import { notePlaced, reserveFor } from '../account/paid-request.ts'
import { type GatewayContext, nowSeconds } from '../context.ts'
import type { ProviderPolicy, Route } from '../routing/route.ts'
import { toOrderError } from './job-errors.ts'

/** What a customer allows for one request. */
export type RequestPolicy = ProviderPolicy & {
  /** Base units of LILY. */
  readonly maxPrice?: bigint | undefined
  /** Whether another provider is asked too where a stream is slow to begin. */
  readonly isHedged?: boolean | undefined
}

/** A module with its inputs, as it is ordered. */
export type JobRequest = {
  readonly module: string
  readonly inputs: Readonly<Record<string, unknown>>
  readonly files?: Readonly<Record<string, GivenFile>>
}

/** An order that was placed, and what is held for it. */
export type PlacedJob = {
  readonly orderHash: Bytes32
  readonly held: bigint
  readonly deliverBy: number
  readonly provider?: Address | undefined
  /** The request says which order it became. Until then it is found by its quote. */
  readonly noted: Promise<void>
}

/** How old the solver's choice of a provider may be. One that declines is not chosen again for the same request. */
const maxQuoteSeconds = 1

/** A job with its price, and the files that its inputs name. */
export type PricedJob = StoredQuote & Pick<JobRequest, 'files'>

/** Gets a price: a new one, or one whose provider was chosen at most so long ago. Nothing is reserved. */
export async function quoteJob(
  { client }: Pick<GatewayContext, 'client'>,
  { module, inputs, files }: JobRequest,
  { maxPrice, provider }: RequestPolicy,
  how: { readonly maxAgeSeconds?: number; readonly route?: Route | undefined } = {},
): Promise<PricedJob> {
  const stored = await client.quote({
    module,
    inputs,
    maxAgeSeconds: how.maxAgeSeconds ?? 0,
    ...(files ? { files } : {}),
    ...(maxPrice === undefined ? {} : { maxPrice }),
    ...(provider === undefined ? {} : { provider }),
    ...how.route,
  })
  return { ...stored, ...(files ? { files } : {}) }
}

/**
 * Gets a price, sets it aside in the account, and orders. `held` is what an earlier try of the request has set aside: the
 * next one may cost no more.
 * @throws AccountEmptyError PriceOverCapError {@link GatewayCannotOrderError}
 */
export async function placeJob(
  context: Pick<GatewayContext, 'client' | 'database' | 'clock'>,
  options: {
    readonly requestId: string
    readonly request: JobRequest
    readonly policy: RequestPolicy
    readonly held?: bigint | undefined
    readonly route?: Route | undefined
  },
): Promise<PlacedJob> {
  const { requestId, request, policy, held, route } = options
  const { database } = context
  const ask = (maxPrice: bigint | undefined, maxAgeSeconds: number) =>
    quoteJob(context, request, { ...policy, maxPrice }, { maxAgeSeconds, route })
  const placeAgain = async (amount: bigint): Promise<PlacedJob> => {
    const { quoteId } = (await ask(amount, 0)).quote
    await notePlaced(database, { id: requestId, quoteId, orderHash: null })
    return { ...(await order(context, requestId, quoteId)), held: amount }
  }
  if (held !== undefined) return placeAgain(held)
  const { quoteId, maxPrice } = (await ask(policy.maxPrice, maxQuoteSeconds)).quote
  try {
    return await placeQuote(context, { requestId, quoteId, maxPrice })
  } catch (error) {
    // It went away after it was chosen: the solver chooses another.
    if (!LilypadError.is(error) || error.code !== 'PROVIDER_GONE') throw error
    return placeAgain(maxPrice)
  }
}

/** Sets the price of a quote aside in the account, and orders it. */
export async function placeQuote(
  context: Pick<GatewayContext, 'client' | 'database' | 'clock'>,
  options: { readonly requestId: string; readonly quoteId: Bytes32; readonly maxPrice: bigint },
): Promise<PlacedJob> {
  const { requestId, quoteId, maxPrice } = options
  await reserveFor(context.database, { id: requestId, amount: maxPrice, quoteId, now: nowSeconds(context) })
  return { ...(await order(context, requestId, quoteId)), held: maxPrice }
}

/** Orders a quote that the money of a request is set aside for. */
export async function order(
  { client, database }: Pick<GatewayContext, 'client' | 'database' | 'clock'>,
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
  const noted = notePlaced(database, { id: requestId, orderHash })
  // Whoever waits for it is told; nobody else is to be harmed.
  noted.catch(() => {})
  return { orderHash, deliverBy: job.order.deliverBy, provider: job.order.provider, noted }
}
