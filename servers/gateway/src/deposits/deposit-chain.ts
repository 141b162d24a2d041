import { jobVaultAbi, lilyTokenAbi } from '@lilypad-agents/abi'
import { type Address, type Bytes32, keccak256, type Signer } from '@lilypad-agents/protocol'
import {
  createChainClient,
  getAccount,
  getTokenBalance,
  type Network,
  sweepDepositAddress,
  toDepositAddress,
  toLilypadChain,
  toSignerAccount,
} from '@lilypad-agents/sdk'
import { getAbiItem } from 'viem'
import type { LedgerChain } from '../ledger/check-ledger.ts'

/** A block by which a place in a chain is told again. */
export type Block = { readonly number: bigint; readonly hash: Bytes32 }

/** Money that came to the gateway's account in the vault, from an address of its own or any other. */
export type Deposit = {
  readonly transaction: Bytes32
  /** Its place among the deposits to this account in the transaction. Unlike the place in the block it outlives a reorganisation. */
  readonly ordinal: number
  readonly from: Address
  readonly amount: bigint
  readonly block: bigint
}

/** What of a chain the gateway reads and writes for deposits. */
export type DepositChain = {
  /** Chain, vault, payer and token: what a cursor is kept for. */
  readonly name: string
  readonly chainId: number
  readonly token: Address
  readonly payer: Address
  /** Where an account's customer sends tokens. */
  addressOf(accountId: string): Address
  getHead(): Promise<bigint>
  getBlock(number: bigint): Promise<Block>
  /** Deposits to the payer, both blocks included, in their order. */
  listDeposits(from: bigint, to: bigint): Promise<readonly Deposit[]>
  /** Which of these addresses were sent tokens in these blocks. */
  listArrivals(addresses: readonly Address[], from: bigint, to: bigint): Promise<readonly Address[]>
  /** Tokens at an account's address that are not in the vault yet. */
  getWaiting(accountId: string): Promise<bigint>
  /** Moves them there. Costs the gateway gas. */
  sweep(accountId: string): Promise<Bytes32>
}

const deposited = getAbiItem({ abi: jobVaultAbi, name: 'Deposited' })
const jobSettled = getAbiItem({ abi: jobVaultAbi, name: 'JobSettled' })
const transfer = getAbiItem({ abi: lilyTokenAbi, name: 'Transfer' })

const saltOf = (accountId: string) => keccak256(new TextEncoder().encode(`lilypad-gateway ${accountId}`))

/** Deposits over the RPC endpoint of a network; `signer` pays for sweeps, and without one there are none. */
export function createDepositChain(options: {
  readonly network: Network
  readonly payer: Address
  readonly signer?: Signer | undefined
}): DepositChain & LedgerChain {
  const { network, signer, payer } = options
  const chain = toLilypadChain(network)
  const client = createChainClient({ chain, ...(signer ? { account: toSignerAccount(signer) } : {}) })
  const token = network.contracts.lilyToken
  const vault = network.contracts.jobVault
  const termsOf = (accountId: string) => ({ beneficiary: payer, token, salt: saltOf(accountId) })
  const addressOf = (accountId: string) => toDepositAddress(chain, termsOf(accountId))
  return {
    name: `deposits ${network.chainId} ${vault} ${payer} ${token}`,
    chainId: network.chainId,
    token,
    payer,
    addressOf,
    getHead: () => client.getBlockNumber({ cacheTime: 0 }),
    async getBlock(blockNumber) {
      const { number, hash } = await client.getBlock({ blockNumber })
      return { number, hash }
    },
    async listDeposits(fromBlock, toBlock) {
      const args = { payer, token }
      const logs = await client.getLogs({ address: vault, event: deposited, args, fromBlock, toBlock, strict: true })
      const counted = new Map<string, number>()
      return logs.map(({ transactionHash: transaction, blockNumber: block, args: { from, amount } }) => {
        const ordinal = counted.get(transaction) ?? 0
        counted.set(transaction, ordinal + 1)
        return { transaction, ordinal, block, from: from.toLowerCase() as Address, amount }
      })
    },
    async listArrivals(addresses, fromBlock, toBlock) {
      const args = { to: [...addresses] }
      const logs = await client.getLogs({ address: token, event: transfer, args, fromBlock, toBlock, strict: true })
      return [...new Set(logs.map(({ args: { to } }) => to.toLowerCase() as Address))]
    },
    getWaiting: (accountId) => getTokenBalance(client, { token, account: addressOf(accountId) }),
    sweep: (accountId) => sweepDepositAddress(client, termsOf(accountId)),
    async listSettled(orderHashes, fromBlock) {
      if (orderHashes.length === 0) return []
      const args = { orderHash: [...orderHashes] }
      const logs = await client.getLogs({ address: vault, event: jobSettled, args, fromBlock, strict: true })
      return logs.map(({ args: { orderHash, receiptHash, price } }) => ({ orderHash, receiptHash, price }))
    },
    getVaultBalance: async () => (await getAccount(client, { payer, token })).balance,
  }
}
