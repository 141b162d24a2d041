import {
  type Address,
  type Ask,
  askType,
  type Bytes32,
  type ModuleManifest,
  type Signer,
  type SignedAsk,
  type SigningDomain,
} from '@lilypad-agents/protocol'

/** How long an ask stands. */
export const askSeconds = 3600

const bips = 10_000n

/** Share of a list price in hundredths of a percent, rounded up so that a factor never gives work away. */
export function scaledPriceRoundedUp(price: bigint, factorBips: number): bigint {
  return (price * BigInt(factorBips) + bips - 1n) / bips
}

/** A provider's offer for one module: the author's list prices times the provider's factor. */
export function createAsk(options: {
  readonly provider: Address
  readonly solver: Address
  readonly token: Address
  readonly moduleVersion: Bytes32
  readonly price: ModuleManifest['price']
  /** Hundredths of a percent of the list price; 10000 is the list price. */
  readonly priceFactorBips: number
  readonly slots: number
  /** Unix seconds. */
  readonly now: number
  readonly salt: Bytes32
}): Ask {
  const { provider, solver, token, moduleVersion, price, priceFactorBips, slots, now, salt } = options
  return {
    provider,
    solver,
    moduleVersion,
    token,
    pricePerJob: scaledPriceRoundedUp(price.pricePerJob, priceFactorBips),
    pricePerSecond: scaledPriceRoundedUp(price.pricePerSecond, priceFactorBips),
    pricePerInputUnit: scaledPriceRoundedUp(price.pricePerInputUnit, priceFactorBips),
    // A manifest says in words what an output unit is, not how to count it, so nobody could check the meter.
    pricePerOutputUnit: 0n,
    slots,
    validUntil: now + askSeconds,
    salt,
  }
}

/** Whether an ask is due for a new one: half of its time is over. */
export function isDue(ask: Pick<Ask, 'validUntil'>, now: number): boolean {
  return ask.validUntil - now < askSeconds / 2
}

/** Signs an ask. */
export function signAsk(domain: SigningDomain, ask: Ask, signer: Signer): SignedAsk {
  return { ask, signature: askType.sign(domain, ask, signer) }
}
