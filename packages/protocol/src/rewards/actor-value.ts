/** Classes of actors that share in the rewards of an epoch, in the order of the contracts' `ActorClass`. */
export const actorClasses = ['provider', 'author', 'solver', 'mediator'] as const
export type ActorClass = (typeof actorClasses)[number]

/** How much reputation, fees and collateral weigh in a value, 0 to 1 each. */
export type ValueExponents = { readonly reputation: number; readonly fee: number; readonly collateral: number }

/** Exponents at deployment; the present ones are in `Parameters`, those of an epoch in `Rewards.getTerms`. */
export const defaultExponents: Readonly<Record<ActorClass, ValueExponents>> = {
  provider: { reputation: 0.5, fee: 0.6, collateral: 0.4 },
  author: { reputation: 0, fee: 1, collateral: 0 },
  solver: { reputation: 0.25, fee: 0.75, collateral: 0.25 },
  mediator: { reputation: 0.5, fee: 0.5, collateral: 0.5 },
}

/** Fees and collateral above LILY's whole supply count as the supply. */
const maxAmount = 1_000_000_000n * 10n ** 18n

const power = (base: number, exponent: number): number => (exponent === 0 ? 1 : base ** exponent)
const toFactor = (amount: bigint): number => Number(amount < maxAmount ? amount : maxAmount)

/** Share of jobs done well, above 0 and at most 1: a newcomer has 1 / prior, a fault weighs like `faultWeight` jobs not done. */
export function reputation(options: {
  readonly jobs: number
  readonly faults: number
  readonly prior: number
  readonly faultWeight: number
}): number {
  return (options.jobs + 1) / (options.jobs + Math.max(options.prior, 1) + options.faultWeight * options.faults)
}

/**
 * Returns the value of an actor in an epoch, `R^a1 x F^a2 x C^a3`; only its ratio to other values means something.
 * Within 1e-13 of the exact value; `ValueMath.toValue` gives the same in WAD, within 1e-17 and one unit.
 *
 * @param options.reputation 0 to 1.
 * @param options.fees Base units of LILY earned in the epoch; without fees the value is zero.
 * @param options.collateral Base units of LILY, averaged over the epoch.
 * @see Litepaper, section 6.
 */
export function actorValue(options: {
  readonly reputation: number
  readonly fees: bigint
  readonly collateral: bigint
  readonly exponents: ValueExponents
}): number {
  const { fees, collateral, exponents } = options
  if (fees === 0n) return 0
  return (
    power(Math.min(options.reputation, 1), exponents.reputation) *
    power(toFactor(fees), exponents.fee) *
    power(toFactor(collateral), exponents.collateral)
  )
}
