import { moduleRegistryAbi } from '@lilypad-agents/abi'
import { type Address, type Bytes32, LilypadError, type ModuleName, moduleId } from '@lilypad-agents/protocol'
import { getAbiItem } from 'viem'
import { ContractRevertedError, translateChainErrors } from '../chain/chain-errors.ts'
import type { ChainClient } from '../chain/lilypad-chain.ts'

/** The registry does not know this module or version. */
export class ModuleUnknownError extends LilypadError {
  override readonly name = 'ModuleUnknownError'
  constructor(module: string) {
    super('MODULE_UNKNOWN', 'There is no such module.', {
      details: [`Module: ${JSON.stringify(module.slice(0, 80))}`],
      hint: '`lilypad modules search` lists what is published',
    })
  }
}

const registry = (client: ChainClient) =>
  ({ address: client.chain.contracts.moduleRegistry.address, abi: moduleRegistryAbi }) as const

async function unlessUnknown<T>(module: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof ContractRevertedError && /^(Module|Version)Unknown$/.test(error.errorName))
      throw new ModuleUnknownError(module)
    throw error
  }
}

/**
 * Reads a published version.
 * @throws {@link ModuleUnknownError}
 */
export async function getVersion(client: ChainClient, options: { readonly moduleVersion: Bytes32 }) {
  return unlessUnknown(options.moduleVersion, () =>
    translateChainErrors('getVersion', () =>
      client.readContract({ ...registry(client), functionName: 'getVersion', args: [options.moduleVersion] }),
    ),
  )
}

/**
 * Reads a module by name.
 * @throws {@link ModuleUnknownError}
 */
export async function getModule(client: ChainClient, options: { readonly name: ModuleName }) {
  return unlessUnknown(options.name, () =>
    translateChainErrors('getModule', () =>
      client.readContract({ ...registry(client), functionName: 'getModule', args: [moduleId(options.name)] }),
    ),
  )
}

const versionPublished = getAbiItem({ abi: moduleRegistryAbi, name: 'VersionPublished' })

/** A version as its publication event says it. */
export type PublishedVersion = {
  readonly moduleVersion: Bytes32
  readonly name: string
  readonly author: Address
  readonly manifestDigest: Bytes32
  readonly uri: string
  readonly blockNumber: bigint
}

/** Lists the versions published in a range of blocks. */
export async function listPublished(
  client: ChainClient,
  options: { readonly fromBlock: bigint; readonly toBlock?: bigint },
): Promise<readonly PublishedVersion[]> {
  const logs = await translateChainErrors('VersionPublished', () =>
    client.getLogs({
      address: registry(client).address,
      event: versionPublished,
      fromBlock: options.fromBlock,
      toBlock: options.toBlock ?? 'latest',
      strict: true,
    }),
  )
  return logs.map(({ args, blockNumber }) => ({
    moduleVersion: args.versionId,
    name: args.name,
    author: args.author.toLowerCase() as Address,
    manifestDigest: args.manifestDigest,
    uri: args.uri,
    blockNumber,
  }))
}
