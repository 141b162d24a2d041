import {
  type Address,
  type Ask,
  askType,
  type Bytes32,
  type Signer,
  type SignedAsk,
  type SigningDomain,
} from '@lilypad-agents/protocol'

/** How long an ask stands. */
export const askSeconds = 3600

/** A provider's offer for one module. */
export function createAsk(options: {
  readonly provider: Address
  readonly solver: Address
  readonly token: Address
  readonly moduleVersion: Bytes32
  readonly prices: Pick<Ask, 'pricePerJob' | 'pricePerSecond' | 'pricePerInputUnit' | 'pricePerOutputUnit'>
  /** Whether the module says how its output is counted. */
  readonly isOutputMetered: boolean
  readonly slots: number
  /** Unix seconds. */
  readonly now: number
  readonly salt: Bytes32
}): Ask {
  const { provider, solver, token, moduleVersion, prices, isOutputMetered, slots, now, salt } = options
  return {
    provider,
    solver,
    moduleVersion,
    token,
    ...prices,
    // In words alone nobody could check the meter.
    pricePerOutputUnit: isOutputMetered ? prices.pricePerOutputUnit : 0n,
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
