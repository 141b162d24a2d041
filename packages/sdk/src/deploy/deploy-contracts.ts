import { contractDeployerAbi, contractDeployerBytecode } from '@lilypad-agents/abi'
import { type Address, type Bytes32, LilypadError } from '@lilypad-agents/protocol'
import { encodeDeployData, encodeFunctionData, getContractAddress, type Hex, keccak256, zeroHash } from 'viem'
import { ContractRevertedError, translateChainErrors } from '../chain/chain-errors.ts'
import { deterministicProxy } from '../chain/deterministic-proxy.ts'
import type { ChainClient } from '../chain/lilypad-chain.ts'
import type { ContractName, Network } from '../chain/network.ts'
import { type DeploymentOptions, planDeployment } from './deployment-plan.ts'

/** A chain that is slower than this can be deployed to again: what stands is left as it is. */
const blockWaitMilliseconds = 180_000

/** What was put on a chain, and from what: enough to build and compare it again. */
export type Deployment = {
  readonly chainId: number
  readonly contractDeployer: Address
  readonly contracts: Network['contracts']
  readonly created: readonly {
    readonly name: ContractName
    readonly address: Address
    readonly constructorArguments: readonly unknown[]
    readonly initCodeHash: Bytes32
    /** Undefined when it stood there before. */
    readonly transaction: Bytes32 | undefined
  }[]
}

/**
 * Puts all contracts on a chain. The same account gets the same addresses on every chain; started again after an interruption, it
 * goes on where it stopped. Nothing is owned by the account: what can be changed belongs to the timelock from the start.
 */
export async function deployContracts(
  client: ChainClient,
  options: DeploymentOptions & { readonly onCreated?: (name: ContractName, address: Address) => void } = {},
): Promise<Deployment> {
  const { account } = client
  if (!account) throw new TypeError('the client has no account to deploy from')
  const hasCode = async (address: Address) => (await client.getCode({ address })) !== undefined
  const send = (what: string, to: Address, data: Hex): Promise<Bytes32> =>
    translateChainErrors(`deploy ${what}`, async () => {
      const hash = await client.sendTransaction({ account, chain: client.chain, to, data })
      const { status } = await client.waitForTransactionReceipt({ hash, timeout: blockWaitMilliseconds })
      if (status === 'success') return hash
      throw new ContractRevertedError({
        errorName: 'reverted in the block',
        args: [hash],
        functionName: `deploy ${what}`,
      })
    })
  return translateChainErrors('deploy', async () => {
    if (!(await hasCode(deterministicProxy)))
      throw new LilypadError('CONFIG_INVALID', 'This chain has no deterministic deployment proxy.', {
        details: [`Expected at: ${deterministicProxy}`],
        hint: 'deploy it first (github.com/Arachnid/deterministic-deployment-proxy), so that addresses are equal on every chain',
      })
    const deployerCode = encodeDeployData({
      abi: contractDeployerAbi,
      bytecode: contractDeployerBytecode,
      args: [account.address],
    })
    const contractDeployer = getContractAddress({
      opcode: 'CREATE2',
      from: deterministicProxy,
      salt: zeroHash,
      bytecode: deployerCode,
    }).toLowerCase() as Address
    if (!(await hasCode(contractDeployer)))
      await send('ContractDeployer', deterministicProxy, `${zeroHash}${deployerCode.slice(2)}`)
    const { contracts, plan } = planDeployment({ ...options, chainId: client.chain.id, contractDeployer })
    const created: Deployment['created'][number][] = []
    for (const { name, address, constructorArguments, initCode } of plan) {
      let transaction: Bytes32 | undefined
      if (!(await hasCode(address))) {
        const data = encodeFunctionData({ abi: contractDeployerAbi, functionName: 'deploy', args: [initCode] })
        transaction = await send(name, contractDeployer, data)
        if (!(await hasCode(address)))
          throw new LilypadError('INTERNAL', `${name} was created somewhere else than planned.`, {
            details: [`Expected: ${address}`],
          })
        options.onCreated?.(name, address)
      }
      created.push({ name, address, constructorArguments, initCodeHash: keccak256(initCode), transaction })
    }
    return { chainId: client.chain.id, contractDeployer, contracts, created }
  })
}
