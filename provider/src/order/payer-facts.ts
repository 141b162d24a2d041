import type { Address, Bytes32, OrderRequest, SigningDomain } from '@lilypad-agents/protocol'
import { laneId, sessionGrantType } from '@lilypad-agents/protocol'
import type { Chain, ChainLane } from '../chain/chain.ts'
import type { ChainGrant, PayerAccount } from './check-order.ts'

/** What the chain has to say about an order. */
export type PayerFacts = {
  readonly account: PayerAccount
  readonly chainGrant: ChainGrant | undefined
  readonly chainLane: ChainLane
  readonly isGrantSigned: boolean
}

/**
 * Reads what an order is judged by from the chain. Answers are used for a moment, so that a burst of orders of one
 * payer costs one read: a balance cannot fall faster than the withdraw delay except by settlements, and those are
 * covered by the solver's reservation.
 */
export class PayerFactsReader {
  readonly #chain: Chain
  readonly #domain: SigningDomain
  readonly #memory = new Map<string, { readonly until: number; readonly value: Promise<unknown> }>()

  constructor(options: { readonly chain: Chain; readonly domain: SigningDomain }) {
    this.#chain = options.chain
    this.#domain = options.domain
  }

  /** @throws RPC_UNREACHABLE */
  async read(request: OrderRequest, options: { readonly maxAgeMilliseconds: number }): Promise<PayerFacts> {
    const { payer, key, token } = request.order
    const id = laneId(request.order)
    const remember = <T>(name: string, read: () => Promise<T>) => this.#remember(name, options.maxAgeMilliseconds, read)
    const [account, chainGrant, chainLane, isGrantSigned] = await Promise.all([
      remember(`account ${payer} ${token}`, () => this.#chain.getAccount({ payer, token })),
      key === payer
        ? undefined
        : remember(`grant ${payer} ${key} ${token}`, () => this.#chain.getGrant({ payer, key, token })),
      remember(`lane ${id}`, () => this.#chain.getLane(id)),
      this.#isGrantSigned(request, payer),
    ])
    return { account, chainGrant, chainLane, isGrantSigned }
  }

  async #isGrantSigned({ grant }: OrderRequest, payer: Address): Promise<boolean> {
    if (grant === null) return false
    const digest: Bytes32 = sessionGrantType.hash(this.#domain, grant.grant)
    if (sessionGrantType.findSigner(this.#domain, grant.grant, grant.signature) === payer) return true
    // 65 bytes of a plain key that do not fit are still possibly the signature of a contract.
    return this.#remember(`signature ${digest} ${grant.signature}`, 600_000, () =>
      this.#chain.isSignedByPayer(payer, digest, grant.signature),
    )
  }

  #remember<T>(name: string, maxAgeMilliseconds: number, read: () => Promise<T>): Promise<T> {
    const now = Date.now()
    const known = this.#memory.get(name)
    // The name says which of the four reads this is, and each has one type.
    if (known !== undefined && known.until > now && maxAgeMilliseconds > 0) return known.value as Promise<T>
    if (this.#memory.size > 10_000) this.#memory.clear()
    const value = read()
    this.#memory.set(name, { until: now + Math.max(maxAgeMilliseconds, 2000), value })
    value.catch(() => this.#memory.delete(name))
    return value
  }
}
