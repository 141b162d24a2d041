import { stakeVaultAbi } from '@lilypad-agents/abi'
import type { Address } from '@lilypad-agents/protocol'
import { translateChainErrors } from '../chain/chain-errors.ts'
import type { ChainClient } from '../chain/lilypad-chain.ts'

/** Indexes of the contracts' `StakeRole`. */
export const stakeRoles = { provider: 0, solver: 1, mediator: 2 } as const
export type StakeRole = keyof typeof stakeRoles

const vault = (client: ChainClient) =>
  ({ address: client.chain.contracts.stakeVault.address, abi: stakeVaultAbi }) as const

/**
 * Collateral of an account in one role, in base units. `free` is what new jobs may bind; `unbonding` was asked back, backs no new
 * job, and leaves from `unbondableAt` (Unix seconds) on.
 */
export type Stake = {
  readonly active: bigint
  readonly exposure: bigint
  readonly free: bigint
  readonly unbonding: bigint
  readonly unbondableAt: number
}

/** Reads the stake of an account in one role and token. */
export async function getStake(
  client: ChainClient,
  options: { readonly role: StakeRole; readonly account: Address; readonly token: Address },
): Promise<Stake> {
  const args = [stakeRoles[options.role], options.account, options.token] as const
  const [{ active, exposure, unbonding, unbondableAt }, free] = await translateChainErrors('getStake', () =>
    Promise.all([
      client.readContract({ ...vault(client), functionName: 'getStake', args }),
      client.readContract({ ...vault(client), functionName: 'getFreeStake', args }),
    ]),
  )
  return { active, exposure, free, unbonding, unbondableAt }
}

/** Reads what slashes and penalties gave to an account and it has not withdrawn, in base units. */
export async function getStakeCredit(
  client: ChainClient,
  options: { readonly account: Address; readonly token: Address },
): Promise<bigint> {
  return translateChainErrors('getCredit', () =>
    client.readContract({ ...vault(client), functionName: 'getCredit', args: [options.account, options.token] }),
  )
}
