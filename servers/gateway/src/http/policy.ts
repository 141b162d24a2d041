import type { Request } from 'express'
import { Address, LilypadError, parseWire, Region, verificationPolicies } from '@lilypad-agents/protocol'
import { parseTokenAmount } from '@lilypad-agents/sdk'
import type { RequestPolicy } from '../completion/place-job.ts'
import { assertPossible, ProviderPreferences, toAddresses } from '../routing/provider-preferences.ts'

export const maxPriceHeader = 'x-lilypad-max-price'
export const providerHeader = 'x-lilypad-provider'
export const regionHeader = 'x-lilypad-region'
export const verificationHeader = 'x-lilypad-verification'
export const hedgeHeader = 'x-lilypad-hedge'

/** Headers of a request that bound what is ordered for it, with what each says. */
export const policyHeaders: { readonly [name: string]: string } = {
  [maxPriceHeader]: 'Most the request may cost, in LILY',
  [providerHeader]: 'Address of the one provider it is for',
  [regionHeader]: 'Where the provider has to say that it is: `eu`, `eu-west`',
  [verificationHeader]: 'How the answer is verified: `client` (files, digests, signatures and price of every answer)',
  [hedgeHeader]: '`on`: where a stream is slow to begin, another provider is asked too, and the first one answers',
}

const million = 1_000_000n
const wad = 10n ** 18n

/**
 * What a request allows: by its headers, and by `provider` of its body as OpenRouter's clients send it.
 * @throws InvalidRequestError
 */
export function readPolicy(
  request: Request,
  rules: { readonly usdPerLilyWad: bigint; readonly isHedged: boolean },
): RequestPolicy {
  const price = request.get(maxPriceHeader)
  const provider = request.get(providerHeader)
  const region = request.get(regionHeader)
  assertVerification(request.get(verificationHeader))
  return {
    ...readPreferences(request.body, rules.usdPerLilyWad),
    maxPrice: price === undefined ? undefined : readPrice(price),
    provider: provider === undefined ? undefined : parseWire(Address, provider.toLowerCase(), providerHeader),
    region: region === undefined ? undefined : parseWire(Region, region.toLowerCase(), regionHeader),
    isHedged: readHedge(request.get(hedgeHeader)) ?? rules.isHedged,
  }
}

/** `provider` of a body; one that is an address belongs to the job that the body describes. */
function readPreferences(body: unknown, usdPerLilyWad: bigint): RequestPolicy {
  const { provider: given } = (body ?? {}) as { readonly provider?: unknown }
  if (typeof given !== 'object' || given === null) return {}
  const wanted = parseWire(ProviderPreferences, given, 'provider')
  assertPossible(wanted)
  const { allow_fallbacks, sort, max_price } = wanted
  const order = toAddresses(wanted.order, 'provider.order')
  const named = toAddresses(wanted.only, 'provider.only')
  const isClosed = allow_fallbacks === false && order.length > 0
  const only = isClosed && named.length > 0 ? order.filter((one) => named.includes(one)) : isClosed ? order : named
  const lily = (dollars: number | string | null | undefined, per: bigint) =>
    dollars == null || usdPerLilyWad === 0n ? undefined : (toWad(dollars) * wad) / usdPerLilyWad / per
  const prices = max_price && {
    input: lily(max_price.prompt, million),
    output: lily(max_price.completion, million),
    job: lily(max_price.request, 1n),
  }
  return {
    ...(order.length > 0 ? { order } : {}),
    ...(isClosed || named.length > 0 ? { only } : {}),
    ignore: toAddresses(wanted.ignore, 'provider.ignore'),
    sort: typeof sort === 'object' ? sort?.by : sort,
    maxUnitPrices: prices && Object.values(prices).some((one) => one !== undefined) ? prices : undefined,
  }
}

/** Dollars times 10^18. A number has the digits that it is written with. */
const toWad = (dollars: number | string): bigint =>
  parseTokenAmount(typeof dollars === 'string' ? dollars : dollars.toFixed(12).replace(/\.?0+$/, ''))

function assertVerification(asked: string | undefined): void {
  const [client] = verificationPolicies
  if (asked === undefined || asked.toLowerCase() === client) return
  throw new LilypadError('INVALID_REQUEST', `The header ${verificationHeader} names nothing that this network does.`, {
    details: [`Expected: ${client}   Actual: ${JSON.stringify(asked.slice(0, 40))}`],
    hint: 'leave it out: files, digests, signatures and price of every answer are verified before it is paid',
  })
}

function readHedge(text: string | undefined): boolean | undefined {
  switch (text?.toLowerCase()) {
    case undefined:
      return undefined
    case 'on':
      return true
    case 'off':
      return false
    default:
      throw new LilypadError('INVALID_REQUEST', `The header ${hedgeHeader} is "on" or "off".`)
  }
}

function readPrice(text: string): bigint {
  const amount = parseTokenAmount(text)
  if (amount > 0n) return amount
  throw new LilypadError('INVALID_REQUEST', `The header ${maxPriceHeader} is an amount of LILY above zero.`)
}
