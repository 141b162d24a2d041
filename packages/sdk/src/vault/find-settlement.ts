import { jobVaultAbi } from '@lilypad-agents/abi'
import type { Address, Bytes32 } from '@lilypad-agents/protocol'
import { getAbiItem } from 'viem'
import { translateChainErrors } from '../chain/chain-errors.ts'
import type { ChainClient } from '../chain/lilypad-chain.ts'

/** The record of a settled job on chain. */
export type Settlement = {
  readonly orderHash: Bytes32
  readonly receiptHash: Bytes32
  readonly moduleVersion: Bytes32
  readonly price: bigint
  readonly payer: Address
  readonly provider: Address
  readonly transaction: Bytes32
  readonly blockNumber: bigint
}

const jobSettled = getAbiItem({ abi: jobVaultAbi, name: 'JobSettled' })

/** Finds the record of a job on chain, or undefined while it is not settled. */
export async function findSettlement(
  client: ChainClient,
  options: { readonly orderHash: Bytes32; readonly fromBlock?: bigint },
): Promise<Settlement | undefined> {
  const logs = await translateChainErrors('JobSettled', () =>
    client.getLogs({
      address: client.chain.contracts.jobVault.address,
      event: jobSettled,
      args: { orderHash: options.orderHash },
      fromBlock: options.fromBlock ?? 0n,
      strict: true,
    }),
  )
  const [log] = logs
  if (!log) return undefined
  const { args } = log
  return {
    orderHash: args.orderHash,
    receiptHash: args.receiptHash,
    moduleVersion: args.moduleVersion,
    price: args.price,
    payer: args.payer.toLowerCase() as Address,
    provider: args.provider.toLowerCase() as Address,
    transaction: log.transactionHash,
    blockNumber: log.blockNumber,
  }
}
