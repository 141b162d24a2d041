import type { ModuleListing } from '@lilypad-agents/protocol'
import { formatTokenAmount } from '@lilypad-agents/sdk'

const wad = 10n ** 18n

/** Dollars of an amount of LILY as a decimal number, cut at 18 decimals. */
export function formatUsd(amount: bigint, usdPerLilyWad: bigint): string {
  return formatTokenAmount((amount * usdPerLilyWad) / wad)
}

/** Prices of one model in base units of LILY: of the cheapest offer of now, else of the manifest. */
export function modelPrice({ offers, manifest }: Pick<ModuleListing, 'offers' | 'manifest'>) {
  type Prices = Pick<typeof manifest.price, 'pricePerJob' | 'pricePerInputUnit' | 'pricePerOutputUnit'>
  // A usual request: a thousand tokens in, as many out.
  const weigh = (price: Prices) => price.pricePerJob + 1000n * (price.pricePerInputUnit + price.pricePerOutputUnit)
  const [first, ...others] = offers as readonly Prices[]
  return others.reduce((best, price) => (weigh(price) < weigh(best) ? price : best), first ?? manifest.price)
}
