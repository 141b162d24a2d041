import {
  agentRegistryAbi,
  contractDeployerAbi,
  identityRegistryAbi,
  jobClaimsAbi,
  jobEscrowAbi,
  jobVaultAbi,
  juryAbi,
  lilypadGovernorAbi,
  lilyTokenAbi,
  mediationAbi,
  moduleRegistryAbi,
  parametersAbi,
  rewardsAbi,
  stakeVaultAbi,
  timelockControllerAbi,
} from '@lilypad-agents/abi'
import { type Abi, parseAbi } from 'viem'

const abis: readonly Abi[] = [
  agentRegistryAbi,
  contractDeployerAbi,
  identityRegistryAbi,
  jobClaimsAbi,
  jobEscrowAbi,
  jobVaultAbi,
  juryAbi,
  lilypadGovernorAbi,
  lilyTokenAbi,
  mediationAbi,
  moduleRegistryAbi,
  parametersAbi,
  rewardsAbi,
  stakeVaultAbi,
  timelockControllerAbi,
]

/** Every error that a contract of ours, a token or a library of theirs can revert with; one contract passes on what another says. */
export const contractErrors: Abi = [
  ...abis.flat().filter(({ type }) => type === 'error'),
  ...parseAbi(['error TransferFailed()', 'error TransferFromFailed()', 'error ApproveFailed()', 'error Reentrancy()']),
]
