import { jobVaultAbi } from '@lilypad-agents/abi'
import {
  type Address,
  type Bytes32,
  type Hex,
  LilypadError,
  settlementHash,
  type SettlementLanes,
} from '@lilypad-agents/protocol'
import {
  announceSettlement,
  type ChainClient,
  type ContractCall,
  ContractRevertedError,
  getAccount,
  getAnnouncement,
  getCredit,
  getGrant,
  getLane,
  getVersion,
  ModuleUnknownError,
  registerGrant,
  settle,
  settleAnnounced,
  settleOne,
  toSettlements,
  translateChainErrors,
} from '@lilypad-agents/sdk'
import {
  type AbiItem,
  parseEventLogs,
  toFunctionSelector,
  TransactionNotFoundError,
  type TransactionReceipt,
  TransactionReceiptNotFoundError,
} from 'viem'
import { pause } from '../connection/backoff.ts'
import type { Chain } from './chain.ts'
import { createViemClaims } from './viem-claims.ts'

/** Longest wait for a transaction to be in a block; after that the lanes are simply looked at again. */
const inclusionMilliseconds = 120_000
/** A transaction that the chain has not known for this long is gone, with the node or the blocks that had it. */
const unknownMilliseconds = 5000
/** Longest wait of a provider that is stopping. */
const closingMilliseconds = 3000

const errorNames = new Map(
  jobVaultAbi.flatMap((item: AbiItem) =>
    item.type === 'error'
      ? [[toFunctionSelector(`${item.name}(${item.inputs.map(({ type }) => type).join()})`), item.name] as const]
      : [],
  ),
)

/** Name of a custom error of the vault by its selector, as `LaneSkipped` carries it. */
export function skipReason(selector: Hex): string {
  return errorNames.get(selector) ?? (selector === '0x00000000' ? 'OutOfGasOrMalformed' : selector)
}

/** The contracts over a viem client that can send. */
export function createViemChain(client: ChainClient): Chain {
  const { chain } = client
  const simulate = (call: ContractCall) =>
    translateChainErrors(call.functionName, () =>
      client.simulateContract({ ...call, ...(client.account ? { account: client.account } : {}) }),
    )
  return {
    claims: createViemClaims(client),
    async getTime() {
      const { timestamp } = await translateChainErrors('getBlock', () => client.getBlock())
      return Number(timestamp)
    },
    getGasPrice: () => translateChainErrors('getGasPrice', () => client.getGasPrice()),
    getEther: (account) => translateChainErrors('getBalance', () => client.getBalance({ address: account })),
    async findVersion(moduleVersion) {
      try {
        const { manifestDigest, isDeprecated } = await getVersion(client, { moduleVersion })
        return { manifestDigest: manifestDigest.toLowerCase() as Bytes32, isDeprecated }
      } catch (error) {
        if (error instanceof ModuleUnknownError) return undefined
        throw error
      }
    },
    getAccount: (of) => getAccount(client, of),
    async getGrant(of) {
      const { isKnown, nonce, perJob, perDay, remaining, spentToday, day, validUntil } = await getGrant(client, of)
      // The vault starts a new sum with the first settlement of a UTC day, so an old day's sum is still in its storage.
      const isToday = day === Math.floor(Date.now() / 86_400_000)
      return { isKnown, nonce, perJob, perDay, remaining, spentToday: isToday ? spentToday : 0n, validUntil }
    },
    async getLane(laneId) {
      const { settledJobs, settledAmount, nextNonce } = await getLane(client, { laneId })
      return { settledJobs, settledAmount, nextNonce }
    },
    getCredit: (of) => getCredit(client, of),
    isSignedByPayer: (payer: Address, hash: Bytes32, signature: Hex) =>
      translateChainErrors('isValidSignature', () => client.verifyHash({ address: payer, hash, signature })),
    async findLaneProblem(lane) {
      try {
        for (const settlement of toSettlements([lane])) await simulate(settleOne.call(chain, { settlement }))
        return undefined
      } catch (error) {
        if (error instanceof ContractRevertedError) return error.errorName
        throw error
      }
    },
    settle: (lanes, approvals) =>
      settle(client, {
        settlements: toSettlements(lanes).map((settlement) => ({
          ...settlement,
          ...approvals?.get(settlementHash(settlement)),
        })),
      }),
    announce: (settlement) => announceSettlement(client, { settlement: unapproved(settlement) }),
    async findAnnouncement(hash) {
      const [announcement, block] = await Promise.all([
        getAnnouncement(client, { settlementHash: hash }),
        translateChainErrors('getBlock', () => client.getBlock()),
      ])
      if (announcement.announcedAt === 0) return undefined
      const { executableAt, expiresAt } = announcement
      return { executableAt, expiresAt, now: Number(block.timestamp) }
    },
    settleAnnounced: (settlement) => settleAnnounced(client, { settlement: unapproved(settlement) }),
    registerGrant: (grant) => registerGrant(client, grant),
    async waitForTransaction(hash, signal) {
      const receipt = await translateChainErrors('waitForTransaction', () => waitForReceipt(client, hash, signal))
      const skipped = parseEventLogs({ abi: jobVaultAbi, eventName: 'LaneSkipped', logs: receipt.logs })
      return {
        hasSucceeded: receipt.status === 'success',
        blockNumber: Number(receipt.blockNumber),
        skipped: skipped.map(({ args }) => ({
          laneId: args.laneId.toLowerCase() as Bytes32,
          reason: skipReason(args.reason),
        })),
      }
    },
  }
}

const unapproved = (settlement: SettlementLanes) => ({ ...settlement, approvedUntil: 0, approval: '0x' as const })

/**
 * Waits for the receipt by asking for it. Watching for new blocks would not do: after a chain has lost its last ones, its
 * height is below the one seen before, and on a quiet chain it stays there until somebody sends.
 */
async function waitForReceipt(
  client: ChainClient,
  hash: Bytes32,
  signal: AbortSignal | undefined,
): Promise<TransactionReceipt> {
  const startedAt = Date.now()
  let knownAt = startedAt
  let until = startedAt + inclusionMilliseconds
  for (let turn = 0; ; turn += 1) {
    const receipt = await client.getTransactionReceipt({ hash }).catch(undefinedWhen(TransactionReceiptNotFoundError))
    if (receipt) return receipt
    const transaction = await client.getTransaction({ hash }).catch(undefinedWhen(TransactionNotFoundError))
    const now = Date.now()
    if (transaction) knownAt = now
    if (signal?.aborted) until = Math.min(until, now + closingMilliseconds)
    if (now > until || now - knownAt > unknownMilliseconds)
      throw new LilypadError(
        'RPC_UNREACHABLE',
        transaction ? 'The transaction is in no block yet.' : 'The chain does not know the transaction any more.',
        {
          details: [`Transaction: ${hash}`],
        },
      )
    await pause(Math.min(1000, 50 * 1.5 ** turn))
  }
}

function undefinedWhen(expected: new (...args: never[]) => Error) {
  return (error: unknown): undefined => {
    if (!(error instanceof expected)) throw error
  }
}
