import { jobVaultAbi } from '@lilypad-agents/abi'
import type { Address, Bytes32 } from '@lilypad-agents/protocol'
import { translateChainErrors } from '../chain/chain-errors.ts'
import type { ChainClient } from '../chain/lilypad-chain.ts'

const vault = (client: ChainClient) => ({ address: client.chain.contracts.jobVault.address, abi: jobVaultAbi }) as const

/** What a payer has in the vault, in base units. `balance` includes what is pending withdrawal, since that still pays orders. */
export type Account = { readonly balance: bigint; readonly pendingWithdrawal: bigint; readonly withdrawableAt: number }

/** Reads a payer's account for one token. */
export async function getAccount(
  client: ChainClient,
  options: { readonly payer: Address; readonly token: Address },
): Promise<Account> {
  return translateChainErrors('getAccount', () =>
    client.readContract({ ...vault(client), functionName: 'getAccount', args: [options.payer, options.token] }),
  )
}

/** What the chain has settled of a lane. Nonces below `nextNonce` are used. */
export type LaneState = { readonly settledAmount: bigint; readonly settledJobs: bigint; readonly nextNonce: bigint }

/** Reads a lane by its id; a lane never settled is all zero. */
export async function getLane(client: ChainClient, options: { readonly laneId: Bytes32 }): Promise<LaneState> {
  return translateChainErrors('getLane', () =>
    client.readContract({ ...vault(client), functionName: 'getLane', args: [options.laneId] }),
  )
}

/** Reads the grant of a payer to a key; `isKnown` is false when none was registered. */
export async function getGrant(
  client: ChainClient,
  options: { readonly payer: Address; readonly key: Address; readonly token: Address },
) {
  return translateChainErrors('getGrant', () =>
    client.readContract({
      ...vault(client),
      functionName: 'getGrant',
      args: [options.payer, options.key, options.token],
    }),
  )
}

/** Credit that an account may withdraw now, in base units. */
export async function getCredit(
  client: ChainClient,
  options: { readonly account: Address; readonly token: Address },
): Promise<bigint> {
  return translateChainErrors('getCredit', () =>
    client.readContract({ ...vault(client), functionName: 'getCredit', args: [options.account, options.token] }),
  )
}
