import {
  jobVaultAbi,
  lilypadGovernorAbi,
  mediationAbi,
  parametersAbi,
  stakeVaultAbi,
  timelockControllerAbi,
} from '@lilypad-agents/abi'
import { type Address, LilypadError } from '@lilypad-agents/protocol'
import { keccak256, stringToBytes, zeroAddress, zeroHash } from 'viem'
import { translateChainErrors } from '../chain/chain-errors.ts'
import type { ChainClient } from '../chain/lilypad-chain.ts'
import type { Network } from '../chain/network.ts'

/** One thing that must hold on a chain after a deployment. */
export type DeploymentCheck = { readonly name: string; readonly isMet: boolean; readonly actual: string }

/** Reads from the chain who owns and may do what: ownership ends at the timelock, and the money contracts know each other. */
export async function checkDeployment(
  client: ChainClient,
  options: { readonly contracts: Network['contracts']; readonly deployer: Address },
): Promise<readonly DeploymentCheck[]> {
  const { contracts, deployer } = options
  const timelock = { address: contracts.timelock, abi: timelockControllerAbi } as const
  const role = (name: string) => keccak256(stringToBytes(name))
  const hasRole = (name: Hash, account: Address) =>
    client.readContract({ ...timelock, functionName: 'hasRole', args: [name, account] })
  const address = async (name: string, expected: Address, read: Promise<string>): Promise<DeploymentCheck> => {
    const actual = (await read).toLowerCase()
    return { name, isMet: actual === expected, actual }
  }
  const holds = async (name: string, expected: boolean, read: Promise<boolean>): Promise<DeploymentCheck> => {
    const actual = await read
    return { name, isMet: actual === expected, actual: String(actual) }
  }
  const { governor, parameters, jobVault, stakeVault, mediation, jobClaims } = contracts
  return translateChainErrors('check', () =>
    Promise.all([
      address(
        'parameters belong to the timelock',
        contracts.timelock,
        client.readContract({ address: parameters, abi: parametersAbi, functionName: 'owner' }),
      ),
      holds('the governor proposes', true, hasRole(role('PROPOSER_ROLE'), governor)),
      holds('anyone executes', true, hasRole(role('EXECUTOR_ROLE'), zeroAddress)),
      holds('the timelock administers itself', true, hasRole(zeroHash, contracts.timelock)),
      holds('the deployer administers nothing', false, hasRole(zeroHash, deployer)),
      holds('the deployer does not propose', false, hasRole(role('PROPOSER_ROLE'), deployer)),
      address(
        'the governor acts through the timelock',
        contracts.timelock,
        client.readContract({ address: governor, abi: lilypadGovernorAbi, functionName: 'timelock' }),
      ),
      address(
        'the vault takes orders from the claims alone',
        jobClaims,
        client.readContract({ address: jobVault, abi: jobVaultAbi, functionName: 'claims' }),
      ),
      address(
        'the vault reads these parameters',
        parameters,
        client.readContract({ address: jobVault, abi: jobVaultAbi, functionName: 'parameters' }),
      ),
      address(
        'the stakes are slashed by mediation alone',
        mediation,
        client.readContract({ address: stakeVault, abi: stakeVaultAbi, functionName: 'mediation' }),
      ),
      address(
        'the last appeal goes to the timelock',
        contracts.timelock,
        client.readContract({ address: mediation, abi: mediationAbi, functionName: 'governance' }),
      ),
    ]),
  )
}

type Hash = `0x${string}`

/** Throws unless all checks of a deployment are met. */
export function assertDeployment(checks: readonly DeploymentCheck[]): void {
  const failed = checks.filter(({ isMet }) => !isMet)
  if (failed.length === 0) return
  throw new LilypadError('INTERNAL', 'The contracts on chain are not wired as planned; do not use them.', {
    details: failed.map(({ name, actual }) => `Not so: ${name}   Actual: ${actual}`),
  })
}
