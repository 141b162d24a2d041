import { moduleRegistryAbi } from '@lilypad-agents/abi'
import { type Address, type Bytes32, type ModuleName, zeroBytes32 } from '@lilypad-agents/protocol'
import type { LilypadChain } from '../chain/lilypad-chain.ts'
import type { ContractCall } from '../chain/send-call.ts'

/** Publishes a version of the sender's module; the first version of a name takes the name. */
export function publishVersionCall(
  chain: LilypadChain,
  options: {
    readonly name: ModuleName
    readonly manifestDigest: Bytes32
    /** Share of each job's price for the author, in hundredths of a percent; fixed for this version. */
    readonly feeBips: number
    readonly pricePerJob: bigint
    readonly priceToken: Address
    readonly parentVersion?: Bytes32
    readonly parentRoyaltyBips?: number
    readonly uri?: string
  },
): ContractCall {
  const {
    name,
    manifestDigest,
    feeBips,
    pricePerJob,
    priceToken,
    parentVersion = zeroBytes32,
    parentRoyaltyBips = 0,
    uri = '',
  } = options
  return {
    address: chain.contracts.moduleRegistry.address,
    abi: moduleRegistryAbi,
    functionName: 'publishVersion',
    args: [{ name, manifestDigest, priceToken, pricePerJob, feeBips, parentVersion, parentRoyaltyBips, uri }],
  }
}

/** Marks a version as not recommended; it stays payable and is never deleted. */
export function deprecateVersionCall(chain: LilypadChain, options: { readonly moduleVersion: Bytes32 }): ContractCall {
  return {
    address: chain.contracts.moduleRegistry.address,
    abi: moduleRegistryAbi,
    functionName: 'deprecateVersion',
    args: [options.moduleVersion],
  }
}
