import { jobVaultAbi } from '@lilypad-agents/abi'
import type { Address, Bytes32 } from '@lilypad-agents/protocol'
import { translateChainErrors } from '../chain/chain-errors.ts'
import type { ChainClient } from '../chain/lilypad-chain.ts'

const vault = (client: ChainClient) => ({ address: client.chain.contracts.jobVault.address, abi: jobVaultAbi }) as const

/**
 * What a payer has in the vault, in base units. `balance` includes what is pending withdrawal, since that still pays orders.
 * `guardian` is the solver without whose consent nothing is debited before the withdraw delay; zero when there is none.
 */
export type Account = {
  readonly balance: bigint
  readonly guardian: Address
  readonly pendingWithdrawal: bigint
  readonly withdrawableAt: number
  readonly nextGuardian: Address
  readonly guardianChangesAt: number
}

/** Reads a payer's account for one token. */
export async function getAccount(
  client: ChainClient,
  options: { readonly payer: Address; readonly token: Address },
): Promise<Account> {
  const account = await translateChainErrors('getAccount', () =>
    client.readContract({ ...vault(client), functionName: 'getAccount', args: [options.payer, options.token] }),
  )
  const lower = (address: Address) => address.toLowerCase() as Address
  return { ...account, guardian: lower(account.guardian), nextGuardian: lower(account.nextGuardian) }
}

/** What the chain has settled of a lane. Nonces below `nextNonce` are used. The shares are fixed when the lane opens. */
export type LaneState = {
  readonly settledAmount: bigint
  readonly settledJobs: number
  readonly nextNonce: number
  readonly solverFeeBips: number
  readonly protocolFeeBips: number
}

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

/** When an announced settlement can be paid without the guardian, in Unix seconds; zeros when it was not announced. */
export async function getAnnouncement(
  client: ChainClient,
  options: { readonly settlementHash: Bytes32 },
): Promise<{ readonly announcedAt: number; readonly executableAt: number; readonly expiresAt: number }> {
  return translateChainErrors('getAnnouncement', () =>
    client.readContract({ ...vault(client), functionName: 'getAnnouncement', args: [options.settlementHash] }),
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

/** What an account earned, over all time, as a provider; `credit` is what it may withdraw now. */
export async function getEarnings(
  client: ChainClient,
  options: { readonly account: Address; readonly token: Address },
): Promise<{ readonly credit: bigint; readonly earned: bigint; readonly jobs: number }> {
  return translateChainErrors('getEarnings', () =>
    client.readContract({ ...vault(client), functionName: 'getEarnings', args: [options.account, options.token] }),
  )
}
