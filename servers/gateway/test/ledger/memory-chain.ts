import { type Address, type Bytes32, keccak256 } from '@lilypad-agents/protocol'
import type { Deposit, DepositChain } from '../../src/deposits/deposit-chain.ts'
import type { LedgerChain } from '../../src/ledger/check-ledger.ts'

const hashOf = (text: string) => keccak256(new TextEncoder().encode(text))

/** A chain in memory, with a block for everything that happens on it. */
export function createMemoryChain() {
  const waiting = new Map<Address, bigint>()
  const deposits: Deposit[] = []
  const arrivals: { readonly to: Address; readonly block: bigint }[] = []
  let head = 1n
  let vault = 0n
  const within = <T extends { readonly block: bigint }>(items: readonly T[], from: bigint, to: bigint) =>
    items.filter(({ block }) => block >= from && block <= to)
  const addressOf = (accountId: string) => hashOf(accountId).slice(0, 42) as Address
  const chain: DepositChain & LedgerChain = {
    name: 'memory',
    chainId: 1,
    token: addressOf('token'),
    payer: addressOf('payer'),
    addressOf,
    getHead: async () => head,
    getBlock: async (number) => ({ number, hash: hashOf(`block ${number}`) }),
    listDeposits: async (from, to) => within(deposits, from, to),
    async listArrivals(addresses, from, to) {
      return [...new Set(within(arrivals, from, to).map((arrival) => arrival.to))].filter((to) =>
        addresses.includes(to),
      )
    },
    getWaiting: async (accountId) => waiting.get(addressOf(accountId)) ?? 0n,
    async sweep(accountId): Promise<Bytes32> {
      const from = addressOf(accountId)
      const amount = waiting.get(from) ?? 0n
      const transaction = hashOf(`sweep ${deposits.length}`)
      if (amount === 0n) return transaction
      waiting.set(from, 0n)
      head += 1n
      vault += amount
      deposits.push({ transaction, ordinal: 0, from, amount, block: head })
      return transaction
    },
    listSettled: async () => [],
    getVaultBalance: async () => vault,
  }
  return {
    chain,
    mine(blocks: number): void {
      head += BigInt(blocks)
    },
    send(to: Address, amount: bigint): void {
      head += 1n
      waiting.set(to, (waiting.get(to) ?? 0n) + amount)
      arrivals.push({ to, block: head })
    },
  }
}
