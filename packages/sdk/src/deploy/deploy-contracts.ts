import {
  jobVaultAbi,
  jobVaultBytecode,
  lilyTokenAbi,
  lilyTokenBytecode,
  moduleRegistryAbi,
  moduleRegistryBytecode,
} from '@lilypad-agents/abi'
import type { Address } from '@lilypad-agents/protocol'
import type { Abi } from 'viem'
import { ContractRevertedError, translateChainErrors } from '../chain/chain-errors.ts'
import type { ChainClient } from '../chain/lilypad-chain.ts'
import type { Network } from '../chain/network.ts'

/** Numbers fixed for the life of a vault. */
export type DeploymentOptions = {
  /** Receives the whole supply of LILY. */
  readonly recipient: Address
  /** Receives the protocol's share. */
  readonly treasury: Address
  readonly solverFeeBips: number
  readonly protocolFeeBips: number
  /** Must be longer than the longest order and its settlement. */
  readonly withdrawDelaySeconds: number
}

/** Puts a new set of contracts on a chain; for local networks and tests. */
export async function deployContracts(client: ChainClient, options: DeploymentOptions): Promise<Network['contracts']> {
  const { recipient, treasury, solverFeeBips, protocolFeeBips, withdrawDelaySeconds } = options
  const { account } = client
  if (!account) throw new TypeError('the client has no account to deploy from')
  const deploy = (name: string, abi: Abi, bytecode: `0x${string}`, args: readonly unknown[]) =>
    translateChainErrors(`deploy ${name}`, async () => {
      const hash = await client.deployContract({ abi, bytecode, args, account } as Parameters<
        ChainClient['deployContract']
      >[0])
      const { contractAddress, status } = await client.waitForTransactionReceipt({ hash })
      if (status !== 'success' || !contractAddress)
        throw new ContractRevertedError({
          errorName: 'reverted in the block',
          args: [hash],
          functionName: `deploy ${name}`,
        })
      return contractAddress.toLowerCase() as Address
    })
  const lilyToken = await deploy('LilyToken', lilyTokenAbi, lilyTokenBytecode, [recipient])
  const moduleRegistry = await deploy('ModuleRegistry', moduleRegistryAbi, moduleRegistryBytecode, [])
  const jobVault = await deploy('JobVault', jobVaultAbi, jobVaultBytecode, [
    moduleRegistry,
    treasury,
    solverFeeBips,
    protocolFeeBips,
    withdrawDelaySeconds,
  ])
  return { jobVault, moduleRegistry, lilyToken }
}
