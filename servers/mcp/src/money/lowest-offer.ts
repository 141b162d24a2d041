import type { Address, ModuleListing } from '@lilypad-agents/protocol'
import { formatAmount } from './token.ts'

/** The cheapest offer for a job before metered units, in the network's token, as amounts a model reads. */
export function lowestOffer({ offers }: ModuleListing, token: Address) {
  const [offer] = offers
    .filter((candidate) => candidate.token === token)
    .sort((a, b) => (a.pricePerJob < b.pricePerJob ? -1 : a.pricePerJob > b.pricePerJob ? 1 : 0))
  if (!offer) return undefined
  return {
    price_per_job: formatAmount(offer.pricePerJob),
    price_per_second: formatAmount(offer.pricePerSecond),
    price_per_input_unit: formatAmount(offer.pricePerInputUnit),
    price_per_output_unit: formatAmount(offer.pricePerOutputUnit),
  }
}
