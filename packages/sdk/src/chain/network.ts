import { Address, Bytes32 } from '@lilypad-agents/protocol'
import { z } from 'zod'

/** Our contracts, by the names under which a network file and a chain carry them. */
export const contractNames = [
  'lilyToken',
  'moduleRegistry',
  'jobVault',
  'jobClaims',
  'jobEscrow',
  'stakeVault',
  'mediation',
  'jury',
  'parameters',
  'identityRegistry',
  'agentRegistry',
  'rewards',
  'timelock',
  'governor',
] as const
export type ContractName = (typeof contractNames)[number]

/** One address for all of them: a chain to deploy on, or a sample. */
export function sampleContracts(address: Address): Record<ContractName, Address> {
  return Object.fromEntries(contractNames.map((name) => [name, address])) as Record<ContractName, Address>
}

/** Where a network is: its chain, its contracts and a solver. Written by `lilypad up`, read by every client. */
export const Network = z.strictObject({
  name: z.string().min(1).max(64),
  chainId: z.int().positive(),
  rpcUrl: z.url(),
  solverUrl: z.url(),
  contracts: z.record(z.enum(contractNames), Address),
  /** keccak256 of the code at each address, by contract: a client that signs for the network refuses other code. */
  codeHashes: z.partialRecord(z.enum(contractNames), Bytes32).optional(),
})
export type Network = z.output<typeof Network>
