import { createHash } from 'node:crypto'
import { type Address, type Bytes32, isInRegion, LilypadError, type ModuleListing } from '@lilypad-agents/protocol'
import type { Conversation } from '../conversation/conversation.ts'
import type { RouteMemory } from './route-memory.ts'

/** What a request allows of the providers that may answer it. */
export type ProviderPolicy = {
  readonly provider?: Address | undefined
  readonly only?: readonly Address[] | undefined
  readonly ignore?: readonly Address[] | undefined
  readonly order?: readonly Address[] | undefined
  readonly region?: string | undefined
  readonly sort?: 'price' | 'latency' | 'throughput' | undefined
  /** Most that an offer may ask, in base units of LILY. */
  readonly maxUnitPrices?:
    | { readonly input?: bigint | undefined; readonly output?: bigint | undefined; readonly job?: bigint | undefined }
    | undefined
}

/** Which providers a quote is asked of. */
export type Route = {
  readonly only?: readonly Address[]
  readonly ignore?: readonly Address[]
  readonly prefer?: readonly Address[]
}

type Offer = ModuleListing['offers'][number]

/** A module is offered, but by nobody whom the request allows. Asking again changes nothing, other than with a busy network. */
export class NobodyAllowedError extends LilypadError {
  override readonly name = 'NobodyAllowedError'
  constructor(fact?: string, cause?: unknown) {
    super('NOT_FOUND', 'No provider that the request allows offers this module now.', {
      details: fact === undefined ? [] : [fact],
      hint: 'allow other providers or a wider region; GET /v1/models lists who offers a model under `lilypad.offers`',
      cause,
    })
  }
}

/** An error of placing a job, for a request that says who may run it. */
export function toRouteError(error: unknown, policy: ProviderPolicy): unknown {
  const isAlone =
    LilypadError.is(error) && error.name !== 'GatewayCannotOrderError' && error.code === 'NO_PROVIDER_AVAILABLE'
  return isAlone && isSteered(policy) ? new NobodyAllowedError(undefined, error) : error
}

/** A provider that knows a conversation may be dearer than the cheapest by a quarter: reading it again costs time and warmth elsewhere. */
const stickyPercent = 125n

/** Whether a request says who may answer it, so that it may have chosen a provider of its own. */
export function isSteered({ provider, only, ignore, order, region, sort, maxUnitPrices }: ProviderPolicy): boolean {
  // Who is the fastest may ask any price.
  const isByPrice = sort === undefined || sort === 'price'
  const isNamed = [provider, region, maxUnitPrices].some(Boolean) || [only, ignore, order].some((list) => list?.length)
  return isNamed || !isByPrice
}

/** Remembers who served a request. One that was steered is left out: who chose their own provider must not be sent there unasked. */
export function rememberServed(
  memory: RouteMemory,
  served: { readonly keys: readonly string[]; readonly policy: ProviderPolicy; readonly provider: Address },
): void {
  const { keys, policy, provider } = served
  if (!isSteered(policy)) memory.remember(keys, provider)
}

/**
 * Chooses among the offers of a module what a request allows, and puts first what it wants, else who served it lately.
 * @throws {@link NobodyAllowedError} LilypadError PRICE_OVER_CAP when no offer is left
 */
export function toRoute(options: {
  readonly moduleVersion: Bytes32
  readonly offers: readonly Offer[]
  readonly policy: ProviderPolicy
  readonly memory: RouteMemory
  /** Under which the providers of earlier requests are remembered. @default none */
  readonly stickyKeys?: readonly string[]
}): Route {
  const { moduleVersion, offers, policy, memory, stickyKeys = [] } = options
  const { provider, ignore, order, region, sort, maxUnitPrices } = policy
  const inRegion = region === undefined ? offers : offers.filter((offer) => isInRegion(offer.region, region))
  if (inRegion.length === 0 && offers.length > 0)
    throw new NobodyAllowedError(
      `Region: ${region}   There are: ${[...new Set(offers.map((offer) => offer.region ?? 'none'))].join(', ')}`,
    )
  const affordable = maxUnitPrices ? inRegion.filter((offer) => costsAtMost(offer, maxUnitPrices)) : inRegion
  if (affordable.length === 0 && inRegion.length > 0)
    throw new LilypadError('PRICE_OVER_CAP', 'Every provider of this module asks more than the request allows.', {
      hint: 'raise `provider.max_price`; GET /v1/models has the prices of now',
    })
  const isNarrowed = affordable.length < offers.length
  const allowed = affordable.map((offer) => offer.provider)
  const named = provider === undefined ? policy.only : [provider]
  const only = isNarrowed && named ? allowed.filter((one) => named.includes(one)) : isNarrowed ? allowed : named
  if (only?.length === 0) throw new NobodyAllowedError()
  const measured = sort === 'latency' || sort === 'throughput' ? bySpeed(moduleVersion, allowed, sort, memory) : []
  const sticky = sort === undefined && !order?.length ? findSticky(affordable, memory.recall(stickyKeys)) : []
  const prefer = [...new Set([...(order ?? []), ...measured, ...sticky])].slice(0, 100)
  return {
    ...(only ? { only: only.slice(0, 100) } : {}),
    ...(ignore?.length ? { ignore } : {}),
    ...(prefer.length > 0 ? { prefer } : {}),
  }
}

/** Names of a conversation for the memory: by how it began, and by whose it is. */
export function stickyKeys(
  moduleVersion: Bytes32,
  account: string,
  conversation?: Pick<Conversation, 'items'>,
): readonly string[] {
  const whose = `${moduleVersion} ${account}`
  if (!conversation) return [whose]
  const first = conversation.items.findIndex((item) => item.kind === 'message' && item.role === 'user')
  const opening = JSON.stringify(conversation.items.slice(0, first + 1))
  return [`${whose} ${createHash('sha256').update(opening).digest('base64')}`, whose]
}

function costsAtMost(offer: Offer, { input, output, job }: NonNullable<ProviderPolicy['maxUnitPrices']>): boolean {
  return (
    (input === undefined || offer.pricePerInputUnit <= input) &&
    (output === undefined || offer.pricePerOutputUnit <= output) &&
    (job === undefined || offer.pricePerJob <= job)
  )
}

/** A usual request: a thousand units in, as many out. */
const weigh = (offer: Offer) => offer.pricePerJob + 1000n * (offer.pricePerInputUnit + offer.pricePerOutputUnit)

function findSticky(offers: readonly Offer[], provider: Address | undefined): readonly Address[] {
  const own = offers.find((offer) => offer.provider === provider)
  if (!own) return []
  const isNear = offers.every((offer) => weigh(own) * 100n <= weigh(offer) * stickyPercent)
  return isNear ? [own.provider] : []
}

function bySpeed(
  moduleVersion: Bytes32,
  providers: readonly Address[],
  sort: 'latency' | 'throughput',
  memory: RouteMemory,
): readonly Address[] {
  return providers
    .flatMap((provider) => {
      const speed = memory.speedOf(moduleVersion, provider)
      if (!speed) return []
      return [{ provider, rank: sort === 'latency' ? speed.firstTokenMilliseconds : -speed.tokensPerSecond }]
    })
    .sort((a, b) => a.rank - b.rank)
    .map(({ provider }) => provider)
}
