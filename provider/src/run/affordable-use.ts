import { type Ask, jobPrice, type ServerUsage } from '@lilypad-agents/protocol'

/** What an order pays for at most. Any use within it costs no more than the order's maximum. */
export type AffordableUse = {
  /** Whole seconds; undefined when the ask does not price them. */
  readonly seconds: number | undefined
  readonly inputUnits: number
  readonly outputUnits: number
}

/**
 * Shares an order's maximum out: all input units that there can be, then output units and seconds. Where it does not cover
 * both to their ends, half of what is left pays for seconds.
 */
export function affordableUse(
  ask: Ask,
  order: { readonly maxPrice: bigint; readonly bounds: ServerUsage; readonly timeoutSeconds: number },
): AffordableUse {
  const { inputUnits, outputUnits: wanted } = order.bounds
  const { pricePerSecond, pricePerOutputUnit } = ask
  const fixed = jobPrice(ask, { meteredSeconds: 0, inputUnits, outputUnits: 0 })
  const left = order.maxPrice > fixed ? order.maxPrice - fixed : 0n
  if (wanted === 0 || pricePerOutputUnit === 0n)
    return { seconds: secondsFor(left, pricePerSecond), inputUnits, outputUnits: wanted }
  const allSeconds = pricePerSecond * BigInt(order.timeoutSeconds)
  const coversAll = allSeconds + pricePerOutputUnit * BigInt(wanted) <= left
  // One second and one token are in every order that is taken.
  const share = smaller(larger(left / 2n, pricePerSecond), larger(left - pricePerOutputUnit, 0n))
  const seconds = secondsFor(coversAll ? allSeconds : share, pricePerSecond)
  const rest = left - pricePerSecond * BigInt(seconds ?? 0)
  return { seconds, inputUnits, outputUnits: Number(smaller(rest / pricePerOutputUnit, BigInt(wanted))) }
}

/** Seconds a run is charged for: started seconds, at least one, never more than the order pays for. */
export function meteredSeconds(runMilliseconds: number, affordable: number | undefined): number {
  const started = Math.max(1, Math.ceil(runMilliseconds / 1000))
  return affordable === undefined ? started : Math.min(started, affordable)
}

const secondsFor = (amount: bigint, pricePerSecond: bigint) =>
  pricePerSecond === 0n ? undefined : Number(amount / pricePerSecond)
const smaller = (a: bigint, b: bigint) => (a < b ? a : b)
const larger = (a: bigint, b: bigint) => (a > b ? a : b)
