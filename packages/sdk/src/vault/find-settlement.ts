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
const laneOpened = getAbiItem({ abi: jobVaultAbi, name: 'LaneOpened' })

/** Reads who pays whom in a lane, as the chain said when the lane opened. */
async function findLaneParties(
  client: ChainClient,
  options: { readonly laneId: Bytes32; readonly fromBlock: bigint },
): Promise<{ readonly payer: Address; readonly provider: Address } | undefined> {
  const { laneId, fromBlock } = options
  const [log] = await translateChainErrors('LaneOpened', () =>
    client.getLogs({
      address: client.chain.contracts.jobVault.address,
      event: laneOpened,
      args: { laneId },
      fromBlock,
      strict: true,
    }),
  )
  if (!log) return undefined
  return { payer: log.args.payer.toLowerCase() as Address, provider: log.args.provider.toLowerCase() as Address }
}

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
  const parties = await findLaneParties(client, {
    laneId: args.laneId,
    fromBlock: options.fromBlock ?? 0n,
  })
  // The chain lost the lane's opening between the two reads; the caller asks again.
  if (!parties) return undefined
  return {
    orderHash: args.orderHash,
    receiptHash: args.receiptHash,
    moduleVersion: args.moduleVersion,
    price: args.price,
    ...parties,
    transaction: log.transactionHash,
    blockNumber: log.blockNumber,
  }
}
