import { jobVaultAbi, moduleRegistryAbi, parametersAbi } from '@lilypad-agents/abi'
import {
  type Address,
  type Bytes32,
  type Hex,
  isSignedBy,
  SettlementLanes,
  settlementHash,
  zeroAddress,
} from '@lilypad-agents/protocol'
import { translateChainErrors } from '@lilypad-agents/sdk'
import { createPublicClient, decodeFunctionData, http, stringToHex } from 'viem'
import { smallerAmount } from '../amount/smaller-amount.ts'
import type { Chain, ChainAccount } from './chain.ts'

/** Most blocks asked for in one request for logs; public RPCs refuse more. */
const logRange = 2000

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
  const getBlockNumber = () => translateChainErrors('getBlockNumber', async () => Number(await client.getBlockNumber()))

  const getParameters = async () => (parameters ??= await client.readContract({ ...vault, functionName: 'parameters' }))
  let parameters: Address | undefined
  const getWithdrawDelay = async () =>
    Number(
      await client.readContract({
        address: await getParameters(),
        abi: parametersAbi,
        functionName: 'get',
        args: [stringToHex('withdrawDelay', { size: 32 })],
      }),
    )

  const lanes = new Map<Bytes32, { readonly payer: Address; readonly provider: Address }>()
  /** Who pays whom in a lane: what the chain said when it opened, which it says once. */
  const getLaneParties = async (laneId: Bytes32) => {
    const known = lanes.get(laneId)
    if (known) return known
    const toBlock = await getBlockNumber()
    const [log] = await collect({ fromBlock: deployedAtBlock, toBlock }, (fromBlock, to) =>
      client.getContractEvents({
        ...vault,
        eventName: 'LaneOpened',
        args: { laneId },
        fromBlock,
        toBlock: to,
        strict: true,
      }),
    )
    const found = log && {
      payer: log.args.payer.toLowerCase() as Address,
      provider: log.args.provider.toLowerCase() as Address,
    }
    if (found) lanes.set(laneId, found)
    return found
  }

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
    getChainId: () => translateChainErrors('getChainId', () => client.getChainId()),
    getBlockNumber,
    getAccount: ({ payer, token }) =>
      translateChainErrors('getAccount', async () => {
        const latest = client.readContract({ ...vault, functionName: 'getAccount', args: [payer, token] })
        if (confirmations === 0) return toAccount(await latest)
        const block = Math.max((await getBlockNumber()) - confirmations, deployedAtBlock)
        const confirmed = client.readContract({
          ...vault,
          functionName: 'getAccount',
          args: [payer, token],
          blockNumber: BigInt(block),
        })
        const [now, then] = await Promise.all([latest, confirmed])
        return { ...toAccount(now), balance: smallerAmount(now.balance, then.balance) }
      }),
    getGrant: ({ payer, key, token }) =>
      translateChainErrors('getGrant', async () => {
        const [grant, delay] = await Promise.all([
          client.readContract({ ...vault, functionName: 'getGrant', args: [payer, key, token] }),
          getWithdrawDelay(),
        ])
        return { ...grant, liveUntil: grant.validUntil + delay }
      }),
    getLane: (laneId) =>
      translateChainErrors('getLane', async () => {
        const { settledAmount, settledJobs, nextNonce } = await client.readContract({
          ...vault,
          functionName: 'getLane',
          args: [laneId],
        })
        return { settledAmount, settledJobs, nextNonce }
      }),
    isNonceUsed: ({ laneId, nonce }) =>
      translateChainErrors('isNonceUsed', () =>
        client.readContract({ ...vault, functionName: 'isNonceUsed', args: [laneId, BigInt(nonce)] }),
      ),
    isSignedBy: async ({ address, digest, signature }) =>
      isSignedBy(address, digest, signature) ||
      translateChainErrors('isSignedBy', () => client.verifyHash({ address, hash: digest, signature })),
    findVersion: (moduleVersion) =>
      translateChainErrors('findVersion', async () => {
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
      translateChainErrors('listSettlements', () =>
        collect(range, async (fromBlock, toBlock) => {
          const logs = await client.getContractEvents({
            ...vault,
            eventName: 'JobSettled',
            fromBlock,
            toBlock,
            strict: true,
          })
          const settled = await Promise.all(
            logs.map(async ({ args, transactionHash, blockNumber }) => {
              const parties = await getLaneParties(args.laneId)
              // The chain lost the block between the two reads; the next round reads it again.
              if (!parties) return []
              const { orderHash, receiptHash, price } = args
              return [
                {
                  orderHash,
                  receiptHash,
                  price,
                  ...parties,
                  transaction: transactionHash,
                  blockNumber: Number(blockNumber),
                },
              ]
            }),
          )
          return settled.flat()
        }),
      ),
    listAnnouncements: (range) =>
      translateChainErrors('listAnnouncements', () =>
        collect(range, async (fromBlock, toBlock) => {
          const logs = await client.getContractEvents({
            ...vault,
            eventName: 'SettlementAnnounced',
            fromBlock,
            toBlock,
            strict: true,
          })
          return Promise.all(
            logs.map(async ({ args, transactionHash, blockNumber }) => ({
              settlementHash: args.settlementHash,
              payer: args.payer.toLowerCase() as Address,
              token: args.token.toLowerCase() as Address,
              amount: args.amount,
              expiresAt: Number(args.expiresAt),
              blockNumber: Number(blockNumber),
              settlement: findAnnounced((await client.getTransaction({ hash: transactionHash })).input, args),
            })),
          )
        }),
      ),
    listDeprecations: (range) =>
      translateChainErrors('listDeprecations', () =>
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

function toAccount({
  balance,
  pendingWithdrawal,
  guardian,
  nextGuardian,
  guardianChangesAt,
}: ChainAccount): ChainAccount {
  return {
    balance,
    pendingWithdrawal,
    guardian: guardian.toLowerCase() as Address,
    nextGuardian: nextGuardian.toLowerCase() as Address,
    guardianChangesAt,
  }
}

/** What a transaction announced, if it called the vault itself. */
function findAnnounced(input: Hex, event: { readonly settlementHash: Bytes32 }): SettlementLanes | undefined {
  try {
    const { functionName, args } = decodeFunctionData({ abi: jobVaultAbi, data: input })
    if (functionName !== 'announceSettlement') return undefined
    const { provider, solver, token, moduleVersions, lanes } = args[0]
    const settlement = SettlementLanes.parse({ provider, solver, token, moduleVersions, lanes })
    return settlementHash(settlement) === event.settlementHash ? settlement : undefined
  } catch {
    // Some other call: the event alone is believed then.
    return undefined
  }
}
