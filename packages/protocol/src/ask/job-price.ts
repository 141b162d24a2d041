import type { Ask } from './ask.ts'

/** What a job used, in the units its ask prices. */
export type MeteredUnits = {
  readonly meteredSeconds: number
  readonly inputUnits: number
  readonly outputUnits: number
}

type Prices = Pick<Ask, 'pricePerJob' | 'pricePerSecond' | 'pricePerInputUnit' | 'pricePerOutputUnit'>

/** Price of a job in base units of the ask's token: exact, no rounding, since every factor is an integer. */
export function jobPrice(ask: Prices, units: MeteredUnits): bigint {
  return (
    ask.pricePerJob +
    ask.pricePerSecond * BigInt(units.meteredSeconds) +
    ask.pricePerInputUnit * BigInt(units.inputUnits) +
    ask.pricePerOutputUnit * BigInt(units.outputUnits)
  )
}
