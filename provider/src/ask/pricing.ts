import type { ModuleManifest } from '@lilypad-agents/protocol'

/** What an operator asks for a module, in base units of the token. What is not said is the module's list price times the factor. */
export type ModulePricing = {
  /** Hundredths of a percent of the list price. */
  readonly factorBips?: number
  readonly pricePerJob?: bigint
  readonly pricePerSecond?: bigint
  /** Per input unit: what a module counts, such as tokens or characters. */
  readonly pricePerInputUnit?: bigint
  /** Per output unit, of modules whose server counts them: tokens it made. */
  readonly pricePerOutputUnit?: bigint
}

/** Prices of all modules, and those of single ones by name or version id; what a single one does not say, all say. */
export type Pricing = { readonly all: ModulePricing; readonly modules: Readonly<Record<string, ModulePricing>> }

export const listPrices: Pricing = { all: {}, modules: {} }

type Prices = ModuleManifest['price']

const bips = 10_000n

/** Share of a list price in hundredths of a percent, rounded up so that a factor never gives work away. */
export function scaledPriceRoundedUp(price: bigint, factorBips: number): bigint {
  return (price * BigInt(factorBips) + bips - 1n) / bips
}

/** What is asked for a module: its version's own prices, else those of its name, else those of all modules, else its scaled list price. */
export function pricesOf(
  pricing: Pricing,
  module: { readonly name: string; readonly moduleVersion: string; readonly listPrice: Prices },
): Prices {
  const { name, moduleVersion, listPrice } = module
  const own = { ...pricing.all, ...pricing.modules[name], ...pricing.modules[moduleVersion] }
  const { factorBips = 10_000 } = own
  const priceOf = (part: keyof Prices) => own[part] ?? scaledPriceRoundedUp(listPrice[part], factorBips)
  return {
    pricePerJob: priceOf('pricePerJob'),
    pricePerSecond: priceOf('pricePerSecond'),
    pricePerInputUnit: priceOf('pricePerInputUnit'),
    pricePerOutputUnit: priceOf('pricePerOutputUnit'),
  }
}
