import type { Abi, Hash, TransactionReceipt } from 'viem'
import { ContractRevertedError, type RpcUnreachableError, translateChainErrors } from './chain-errors.ts'
import type { ChainClient } from './lilypad-chain.ts'

/** A contract call, checked and unsent: to send, to simulate, or to put in a batch. */
export type ContractCall = {
  readonly address: `0x${string}`
  readonly abi: Abi
  readonly functionName: string
  readonly args: readonly unknown[]
}

/**
 * Simulates a call, then sends it.
 * @returns the transaction's hash
 * @throws {@link ContractRevertedError} {@link RpcUnreachableError} before anything was sent
 */
export async function sendCall(client: ChainClient, call: ContractCall): Promise<Hash> {
  const { account } = client
  if (!account) throw new TypeError('the client has no account to send from')
  return translateChainErrors(call.functionName, async () => {
    const { request } = await client.simulateContract({ ...call, account })
    return client.writeContract(request as Parameters<ChainClient['writeContract']>[0])
  })
}

/**
 * Sends a call and waits until it is in a block.
 * @throws {@link ContractRevertedError} when it was included and reverted
 */
export async function sendCallSync(client: ChainClient, call: ContractCall): Promise<TransactionReceipt> {
  const hash = await sendCall(client, call)
  const receipt = await translateChainErrors(call.functionName, () =>
    client.waitForTransactionReceipt({ hash, timeout: 60_000 }),
  )
  if (receipt.status !== 'success')
    throw new ContractRevertedError({
      errorName: 'reverted in the block',
      args: [hash],
      functionName: call.functionName,
    })
  return receipt
}

export type { RpcUnreachableError }
