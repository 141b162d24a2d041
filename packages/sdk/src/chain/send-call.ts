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

/** The newest send of each account. */
const sending = new Map<string, Promise<unknown>>()

/**
 * Lets the sends of one account wait for each other, so that each is counted by the chain before the next asks for its
 * number. A counter kept here would be wrong for good once the chain has lost a transaction: every later one would wait
 * for the number that is missing.
 */
async function inTurn<T>(account: string, send: () => Promise<T>): Promise<T> {
  const turn = (sending.get(account) ?? Promise.resolve()).then(send, send)
  sending.set(account, turn)
  try {
    return await turn
  } finally {
    if (sending.get(account) === turn) sending.delete(account)
  }
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
    return inTurn(`${client.chain.id} ${account.address}`, () =>
      client.writeContract(request as Parameters<ChainClient['writeContract']>[0]),
    )
  })
}

/** `errorName` of a {@link ContractRevertedError} whose transaction was sent, included and paid for. */
export const revertedInBlock = 'reverted in the block'

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
      errorName: revertedInBlock,
      args: [hash],
      functionName: call.functionName,
    })
  return receipt
}
