import {
  agentRegistryAbi,
  agentRegistryBytecode,
  identityRegistryAbi,
  identityRegistryBytecode,
  jobClaimsAbi,
  jobClaimsBytecode,
  jobEscrowAbi,
  jobEscrowBytecode,
  jobVaultAbi,
  jobVaultBytecode,
  juryAbi,
  juryBytecode,
  lilypadGovernorAbi,
  lilypadGovernorBytecode,
  lilyTokenAbi,
  lilyTokenBytecode,
  mediationAbi,
  mediationBytecode,
  moduleRegistryAbi,
  moduleRegistryBytecode,
  parametersAbi,
  parametersBytecode,
  rewardsAbi,
  rewardsBytecode,
  stakeVaultAbi,
  stakeVaultBytecode,
  timelockControllerAbi,
  timelockControllerBytecode,
} from '@lilypad-agents/abi'
import { type Address, zeroAddress } from '@lilypad-agents/protocol'
import { type Abi, encodeDeployData, getContractAddress, type Hex } from 'viem'
import type { ContractName, Network } from '../chain/network.ts'

/** What differs from one deployment to another; every other number is a parameter with a default of its own. */
export type DeploymentOptions = {
  /** Receives the whole supply of LILY. @default the timelock */
  readonly recipient?: Address
  /** Receives the protocol's shares. @default the timelock */
  readonly treasury?: Address
  /** Seconds between a passed proposal and its execution. @default 172800 */
  readonly timelockDelaySeconds?: number
  /** Blocks from a proposal to its vote, and of the vote. @default a day and three days of blocks of 12 seconds */
  readonly votingDelayBlocks?: number
  readonly votingPeriodBlocks?: number
}

/** One contract of a deployment, with what it was built from. */
export type PlannedContract = {
  readonly name: ContractName
  readonly address: Address
  readonly constructorArguments: readonly unknown[]
  readonly initCode: Hex
}

const artifacts = {
  lilyToken: { abi: lilyTokenAbi, bytecode: lilyTokenBytecode },
  timelock: { abi: timelockControllerAbi, bytecode: timelockControllerBytecode },
  governor: { abi: lilypadGovernorAbi, bytecode: lilypadGovernorBytecode },
  parameters: { abi: parametersAbi, bytecode: parametersBytecode },
  identityRegistry: { abi: identityRegistryAbi, bytecode: identityRegistryBytecode },
  agentRegistry: { abi: agentRegistryAbi, bytecode: agentRegistryBytecode },
  moduleRegistry: { abi: moduleRegistryAbi, bytecode: moduleRegistryBytecode },
  stakeVault: { abi: stakeVaultAbi, bytecode: stakeVaultBytecode },
  jobVault: { abi: jobVaultAbi, bytecode: jobVaultBytecode },
  jobClaims: { abi: jobClaimsAbi, bytecode: jobClaimsBytecode },
  jobEscrow: { abi: jobEscrowAbi, bytecode: jobEscrowBytecode },
  mediation: { abi: mediationAbi, bytecode: mediationBytecode },
  jury: { abi: juryAbi, bytecode: juryBytecode },
  rewards: { abi: rewardsAbi, bytecode: rewardsBytecode },
} as const satisfies Record<ContractName, { abi: Abi; bytecode: Hex }>

/** The order of creation, which fixes the addresses: the n-th contract that the deployer creates has an address of its own. */
export const creationOrder = Object.keys(artifacts) as readonly ContractName[]

/** ERC-8004 identity registries that exist already, by chain. @see https://eips.ethereum.org/EIPS/eip-8004 */
const canonicalIdentityRegistries: Readonly<Record<number, Address>> = {
  42161: '0x8004a169fb4a3325136eb29fa0ceb6d2e539a432',
  421614: '0x8004a818bfb912233c491871b3d84c89a494bd9e',
}

/**
 * Says which contracts will stand where, from the deployer's address alone. The contracts name each other, so all addresses
 * are known before the first is created. Nobody but the timelock ever owns anything: it is the owner from the start.
 */
export function planDeployment(
  options: DeploymentOptions & { readonly chainId: number; readonly contractDeployer: Address },
): { readonly contracts: Network['contracts']; readonly plan: readonly PlannedContract[] } {
  const {
    chainId,
    contractDeployer,
    timelockDelaySeconds = 172_800,
    votingDelayBlocks = 7200,
    votingPeriodBlocks = 21_600,
  } = options
  const created = Object.fromEntries(
    creationOrder.map((name, index) => [
      name,
      getContractAddress({ from: contractDeployer, nonce: BigInt(index + 1) }).toLowerCase() as Address,
    ]),
  ) as Network['contracts']
  const contracts = { ...created, identityRegistry: canonicalIdentityRegistries[chainId] ?? created.identityRegistry }
  const { recipient = contracts.timelock, treasury = contracts.timelock } = options
  const constructorArguments: Record<ContractName, readonly unknown[]> = {
    lilyToken: [recipient],
    // Only the governor proposes, anyone executes what has passed, and there is no admin.
    timelock: [BigInt(timelockDelaySeconds), [contracts.governor], [zeroAddress], zeroAddress],
    governor: [contracts.lilyToken, contracts.timelock, votingDelayBlocks, votingPeriodBlocks],
    parameters: [contracts.timelock],
    identityRegistry: [],
    agentRegistry: [contracts.identityRegistry],
    moduleRegistry: [],
    stakeVault: [contracts.parameters, contracts.jobVault, contracts.jobClaims, contracts.mediation],
    jobVault: [
      contracts.moduleRegistry,
      contracts.parameters,
      contracts.stakeVault,
      contracts.jobClaims,
      contracts.agentRegistry,
      treasury,
    ],
    jobClaims: [
      contracts.jobVault,
      contracts.stakeVault,
      contracts.parameters,
      contracts.mediation,
      contracts.jobEscrow,
    ],
    jobEscrow: [contracts.jobVault, contracts.jobClaims],
    mediation: [
      contracts.jobVault,
      contracts.jobClaims,
      contracts.stakeVault,
      contracts.moduleRegistry,
      contracts.parameters,
      contracts.jury,
      contracts.lilyToken,
      contracts.timelock,
      treasury,
    ],
    jury: [
      contracts.jobVault,
      contracts.stakeVault,
      contracts.parameters,
      contracts.mediation,
      contracts.lilyToken,
      treasury,
    ],
    rewards: [contracts.lilyToken, contracts.parameters, contracts.jobVault, contracts.stakeVault, contracts.mediation],
  }
  const plan = creationOrder.map((name): PlannedContract => {
    const { abi, bytecode } = artifacts[name]
    return {
      name,
      // The canonical identity registry leaves its place in the order unused: ours is created there all the same, so that the
      // addresses after it are equal on every chain.
      address: created[name],
      constructorArguments: constructorArguments[name],
      initCode: encodeDeployData({ abi: abi as Abi, bytecode, args: constructorArguments[name] }),
    }
  })
  return { contracts, plan }
}
