import { type Ask, jobPrice } from '@lilypad-agents/protocol'

/** Whole seconds that an order pays for at most; undefined when the ask does not price seconds. */
export function affordableSeconds(
  ask: Ask,
  order: { readonly maxPrice: bigint; readonly inputUnits: number },
): number | undefined {
  if (ask.pricePerSecond === 0n) return undefined
  const fixed = jobPrice(ask, { meteredSeconds: 0, inputUnits: order.inputUnits, outputUnits: 0 })
  const left = order.maxPrice > fixed ? order.maxPrice - fixed : 0n
  return Number(left / ask.pricePerSecond)
}

/** Seconds a run is charged for: started seconds, at least one, never more than the order pays for. */
export function meteredSeconds(runMilliseconds: number, affordable: number | undefined): number {
  const started = Math.max(1, Math.ceil(runMilliseconds / 1000))
  return affordable === undefined ? started : Math.min(started, affordable)
}
