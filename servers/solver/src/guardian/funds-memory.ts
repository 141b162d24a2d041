import { type Address, laneId, type JobOrder } from '@lilypad-agents/protocol'
import type { ChainGrant } from '../chain/chain.ts'
import type { SolverContext } from '../context.ts'
import { type Funds, readFunds } from './read-funds.ts'

/** What the chain says of a payer, for one more order. */
export type OrderFunds = {
  readonly funds: Funds
  /** Undefined where the payer orders with its own key. */
  readonly grant: ChainGrant | undefined
}

const maxEntries = 10_000
/** Nonces of a lane that are read together, in one request. */
const noncesAtOnce = 16

/**
 * Reads what orders are judged by, once for a burst of them. What leaves an account leaves by settlements, which raise the counter that is
 * read with it, or after the withdraw delay.
 */
export class FundsMemory {
  readonly #context: SolverContext
  readonly #funds = new Map<string, { readonly at: number; readonly value: Promise<OrderFunds> }>()
  readonly #nonces = new Map<string, { readonly at: number; readonly value: Promise<readonly boolean[]> }>()

  constructor(context: SolverContext) {
    this.#context = context
  }

  /** @throws RPC_UNREACHABLE */
  read(order: JobOrder, options: { readonly isFresh: boolean }): Promise<OrderFunds> {
    const { payer, key, token } = order
    return this.#remember(this.#funds, `${payer} ${key} ${token}`, options.isFresh, () => this.#read(payer, key, token))
  }

  /** Whether the nonce of an order is spent on chain. The nonces after it, which come next, are asked for with it. */
  async isNonceUsed(order: JobOrder): Promise<boolean> {
    const { chain } = this.#context
    const id = laneId(order)
    const first = order.nonce - (order.nonce % noncesAtOnce)
    const nonces = Array.from({ length: noncesAtOnce }, (_, index) => first + index)
    const areUsed = await this.#remember(this.#nonces, `${id} ${first}`, false, () =>
      Promise.all(nonces.map((nonce) => chain.isNonceUsed({ laneId: id, nonce }))),
    )
    return areUsed[order.nonce - first] ?? true
  }

  async #read(payer: Address, key: Address, token: Address): Promise<OrderFunds> {
    const [funds, grant] = await Promise.all([
      readFunds(this.#context, { payer, token }),
      key === payer ? undefined : this.#context.chain.getGrant({ payer, key, token }),
    ])
    return { funds, grant }
  }

  #remember<T>(
    memory: Map<string, { readonly at: number; readonly value: Promise<T> }>,
    name: string,
    isFresh: boolean,
    read: () => Promise<T>,
  ): Promise<T> {
    const now = performance.now()
    const known = memory.get(name)
    if (known && !isFresh && now - known.at < this.#context.rules.fundsAgeMilliseconds) return known.value
    if (memory.size > maxEntries) memory.clear()
    const value = read()
    memory.set(name, { at: now, value })
    value.catch(() => memory.delete(name))
    return value
  }
}
