import { type Bytes32, type JobOrder, laneId } from '@lilypad-agents/protocol'
import type { ChainClaim, ClaimChain, ClaimItem, ClaimStatus, ClaimTerms, ProviderStake } from './claim-chain.ts'

/** The contract of claims in memory, part of `MemoryChain`. */
export class MemoryClaims implements ClaimChain {
  terms: ClaimTerms = {
    claimGraceSeconds: 21_600,
    challengeWindowSeconds: 1800,
    collateralRatioBips: 25_000,
    newcomerCollateralBips: 10_000,
  }
  readonly states = new Map<Bytes32, { status: ClaimStatus; readonly deadline: number; readonly exposure: bigint }>()
  /** Error that the contract gives for a job, by order hash. */
  readonly problems = new Map<Bytes32, string>()
  /** What was sent, in order. */
  readonly calls: { readonly kind: 'claim' | 'finalize' | 'withdraw'; readonly jobs: number }[] = []
  /** Prices that claims have paid, by order hash. */
  readonly paid = new Map<Bytes32, bigint>()
  active = 10n ** 24n
  /** Tokens and credit of the provider. */
  ownTokens = 0n
  readonly #items = new Map<string, { readonly orderHash: Bytes32; readonly price: bigint }>()
  readonly #options: {
    readonly now: () => number
    readonly answer: () => void
    readonly include: (name: string, act: () => void) => Bytes32
  }

  constructor(options: {
    readonly now: () => number
    readonly answer: () => void
    readonly include: (name: string, act: () => void) => Bytes32
  }) {
    this.#options = options
  }

  async getTerms(): Promise<ClaimTerms> {
    this.#options.answer()
    return this.terms
  }

  async getClaim(orderHash: Bytes32): Promise<ChainClaim> {
    this.#options.answer()
    const state = this.states.get(orderHash)
    return { status: state?.status ?? 'none', finalizableAt: (state?.deadline ?? 0) + 1 }
  }

  async getStake(): Promise<ProviderStake> {
    this.#options.answer()
    const exposure = [...this.states.values()].reduce(
      (sum, state) => sum + (isOver(state.status) ? 0n : state.exposure),
      0n,
    )
    return { active: this.active, exposure, free: this.active > exposure ? this.active - exposure : 0n }
  }

  async findClaimProblem(item: ClaimItem): Promise<string | undefined> {
    this.#options.answer()
    return this.#findProblem(item)
  }

  async claim(items: readonly ClaimItem[]): Promise<readonly Bytes32[]> {
    this.#options.answer()
    this.calls.push({ kind: 'claim', jobs: items.length })
    const act = () => {
      for (const item of items) {
        const { orderHash, price } = item.receipt
        if (this.#findProblem(item) !== undefined) continue
        const deadline = this.#options.now() + this.terms.challengeWindowSeconds
        this.states.set(orderHash, { status: 'claimed', deadline, exposure: this.#exposureOf(price) })
        this.#items.set(nameOf(item.order), { orderHash, price })
      }
    }
    return [this.#options.include(`claim ${this.calls.length}`, act)]
  }

  async finalize(orders: readonly JobOrder[]): Promise<readonly Bytes32[]> {
    this.#options.answer()
    this.calls.push({ kind: 'finalize', jobs: orders.length })
    const act = () => {
      for (const order of orders) {
        const item = this.#items.get(nameOf(order))
        const state = item && this.states.get(item.orderHash)
        if (item === undefined || state === undefined) continue
        if (state.status === 'denied') state.status = 'refunded'
        else if (state.status === 'upheld' || (state.status === 'claimed' && this.#options.now() > state.deadline)) {
          state.status = 'paid'
          this.paid.set(item.orderHash, item.price)
        }
      }
    }
    return [this.#options.include(`finalize ${this.calls.length}`, act)]
  }

  async addStake({ amount }: { readonly amount: bigint }): Promise<bigint> {
    this.#options.answer()
    const added = this.ownTokens < amount ? this.ownTokens : amount
    this.ownTokens -= added
    this.active += added
    return added
  }

  async withdraw(order: JobOrder): Promise<Bytes32> {
    this.#options.answer()
    this.calls.push({ kind: 'withdraw', jobs: 1 })
    const act = () => {
      const state = this.states.get(this.#items.get(nameOf(order))?.orderHash ?? '0x')
      if (state?.status === 'claimed') state.status = 'withdrawn'
    }
    return this.#options.include(`withdraw ${this.calls.length}`, act)
  }

  #exposureOf(price: bigint): bigint {
    return (price * BigInt(this.terms.collateralRatioBips)) / 10_000n
  }

  #findProblem({ order, receipt }: ClaimItem): string | undefined {
    const known = this.problems.get(receipt.orderHash)
    if (known !== undefined) return known
    if (this.states.has(receipt.orderHash)) return 'ClaimStatusInvalid'
    if (this.#options.now() > order.deliverBy + this.terms.claimGraceSeconds) return 'ClaimWindowInvalid'
    const exposure = [...this.states.values()].reduce(
      (sum, state) => sum + (isOver(state.status) ? 0n : state.exposure),
      0n,
    )
    return this.active < exposure + this.#exposureOf(receipt.price) ? 'StakeBelowMinimum' : undefined
  }
}

const nameOf = (order: JobOrder) => `${laneId(order)} ${order.nonce}`
const isOver = (status: ClaimStatus) => status === 'paid' || status === 'refunded' || status === 'withdrawn'
