import { jobVaultAbi, moduleRegistryAbi } from '@lilypad-agents/abi'
import { type Address, LilypadError, isSignedBy, zeroAddress } from '@lilypad-agents/protocol'
import { createPublicClient, http } from 'viem'
import type { Chain } from './chain.ts'

/** Most blocks asked for in one request for logs; public RPCs refuse more. */
const logRange = 2000

/** The RPC did not answer, or not with a result. The address of the RPC may hold a key and stays out of the message. */
export class RpcUnreachableError extends LilypadError {
  override readonly name = 'RpcUnreachableError'
  constructor(cause: unknown) {
    super('RPC_UNREACHABLE', 'The solver cannot reach its chain.', { hint: 'try again in a moment', cause })
  }
}

async function read<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw LilypadError.is(error) ? error : new RpcUnreachableError(error)
  }
}

/** Reads the contracts over JSON-RPC. */
export function createViemChain(options: {
  readonly rpcUrl: string
  readonly jobVault: Address
  readonly moduleRegistry: Address
  /** Blocks after which a deposit counts. */
  readonly confirmations: number
  /** Block of the contracts' deployment, where searches for events begin. */
  readonly deployedAtBlock: number
}): Chain {
  const { jobVault, moduleRegistry, confirmations, deployedAtBlock } = options
  const client = createPublicClient({
    transport: http(options.rpcUrl, { batch: true, timeout: 10_000, retryCount: 1 }),
    cacheTime: 0,
  })
  const vault = { address: jobVault, abi: jobVaultAbi } as const
  const registry = { address: moduleRegistry, abi: moduleRegistryAbi } as const
  const getBlockNumber = () => read(async () => Number(await client.getBlockNumber()))

  let withdrawDelay: number | undefined
  const getWithdrawDelay = async () =>
    (withdrawDelay ??= Number(await client.readContract({ ...vault, functionName: 'withdrawDelay' })))

  /** Splits a range so that no request asks for more blocks than RPCs give. */
  async function collect<T>(
    range: { fromBlock: number; toBlock: number },
    list: (from: bigint, to: bigint) => Promise<T[]>,
  ): Promise<T[]> {
    const found: T[] = []
    for (let from = range.fromBlock; from <= range.toBlock; from += logRange) {
      found.push(...(await list(BigInt(from), BigInt(Math.min(from + logRange - 1, range.toBlock)))))
    }
    return found
  }

  return {
    getChainId: () => read(() => client.getChainId()),
    getBlockNumber,
    getAccount: ({ payer, token }) =>
      read(async () => {
        const latest = client.readContract({ ...vault, functionName: 'getAccount', args: [payer, token] })
        if (confirmations === 0) return await latest
        const block = Math.max((await getBlockNumber()) - confirmations, deployedAtBlock)
        const confirmed = client.readContract({
          ...vault,
          functionName: 'getAccount',
          args: [payer, token],
          blockNumber: BigInt(block),
        })
        const [now, then] = await Promise.all([latest, confirmed])
        return {
          balance: now.balance < then.balance ? now.balance : then.balance,
          pendingWithdrawal: now.pendingWithdrawal,
        }
      }),
    getGrant: ({ payer, key, token }) =>
      read(async () => {
        const [grant, delay] = await Promise.all([
          client.readContract({ ...vault, functionName: 'getGrant', args: [payer, key, token] }),
          getWithdrawDelay(),
        ])
        return { ...grant, liveUntil: grant.validUntil + delay }
      }),
    isNonceUsed: ({ laneId, nonce }) =>
      read(() => client.readContract({ ...vault, functionName: 'isNonceUsed', args: [laneId, BigInt(nonce)] })),
    isSignedBy: async ({ address, digest, signature }) =>
      isSignedBy(address, digest, signature) || read(() => client.verifyHash({ address, hash: digest, signature })),
    findVersion: (moduleVersion) =>
      read(async () => {
        const [author] = await client.readContract({ ...registry, functionName: 'findFee', args: [moduleVersion] })
        if (author === zeroAddress) return undefined
        const version = await client.readContract({ ...registry, functionName: 'getVersion', args: [moduleVersion] })
        const latest = await getBlockNumber()
        const logs = await collect({ fromBlock: deployedAtBlock, toBlock: latest }, (fromBlock, toBlock) =>
          client.getContractEvents({
            ...registry,
            eventName: 'VersionPublished',
            args: { versionId: moduleVersion },
            fromBlock,
            toBlock,
          }),
        )
        return {
          author: version.author.toLowerCase() as Address,
          feeBips: version.feeBips,
          manifestDigest: version.manifestDigest,
          isDeprecated: version.isDeprecated,
          publishedAtBlock: Number(logs[0]?.blockNumber ?? 0n),
        }
      }),
    listSettlements: (range) =>
      read(() =>
        collect(range, async (fromBlock, toBlock) => {
          const logs = await client.getContractEvents({
            ...vault,
            eventName: 'JobSettled',
            fromBlock,
            toBlock,
            strict: true,
          })
          return logs.map(({ args, transactionHash, blockNumber }) => ({
            orderHash: args.orderHash,
            receiptHash: args.receiptHash,
            price: args.price,
            payer: args.payer.toLowerCase() as Address,
            provider: args.provider.toLowerCase() as Address,
            transaction: transactionHash,
            blockNumber: Number(blockNumber),
          }))
        }),
      ),
    listDeprecations: (range) =>
      read(() =>
        collect(range, async (fromBlock, toBlock) => {
          const logs = await client.getContractEvents({
            ...registry,
            eventName: 'VersionDeprecated',
            fromBlock,
            toBlock,
            strict: true,
          })
          return logs.map(({ args }) => args.versionId)
        }),
      ),
  }
}
