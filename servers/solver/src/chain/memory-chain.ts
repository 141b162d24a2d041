import { type Address, type Bytes32, findSigner, type LaneProgress, zeroAddress } from '@lilypad-agents/protocol'
import type { Chain, ChainAccount, ChainAnnouncement, ChainGrant, ChainSettlement, ChainVersion } from './chain.ts'

const noAccount: ChainAccount = {
  balance: 0n,
  pendingWithdrawal: 0n,
  guardian: zeroAddress,
  nextGuardian: zeroAddress,
  guardianChangesAt: 0,
}

const noGrant: ChainGrant = {
  isKnown: false,
  nonce: 0n,
  perJob: 0n,
  perDay: 0n,
  remaining: 0n,
  spentToday: 0n,
  day: 0,
  validUntil: 0,
  liveUntil: 0,
}

/** A chain in memory, with the means to change what it says. */
export type MemoryChain = Chain & {
  setBalance(payer: Address, token: Address, account: Partial<ChainAccount>): void
  setGrant(payer: Address, key: Address, token: Address, grant: Partial<ChainGrant>): void
  setLane(laneId: Bytes32, lane: LaneProgress): void
  announce(announcement: Omit<ChainAnnouncement, 'blockNumber'>): void
  setNonceUsed(laneId: Bytes32, nonce: number): void
  publish(moduleVersion: Bytes32, version: Partial<ChainVersion> & Pick<ChainVersion, 'manifestDigest'>): void
  deprecate(moduleVersion: Bytes32): void
  settle(settlement: Omit<ChainSettlement, 'blockNumber' | 'transaction'>): ChainSettlement
  mine(blocks?: number): void
  /** Drops the newest blocks, as a reorganisation does. */
  rewind(blocks: number): void
  /** Makes every call fail until it is set back. */
  setUnreachable(error: Error | undefined): void
}

/** Creates an empty chain in memory. */
export function createMemoryChain(options: { readonly chainId: number }): MemoryChain {
  const accounts = new Map<string, ChainAccount>()
  const grants = new Map<string, ChainGrant>()
  const nonces = new Set<string>()
  const lanes = new Map<Bytes32, LaneProgress>()
  const versions = new Map<Bytes32, ChainVersion>()
  const state = {
    block: 1,
    failure: undefined as Error | undefined,
    settlements: [] as ChainSettlement[],
    announcements: [] as ChainAnnouncement[],
    deprecations: [] as { moduleVersion: Bytes32; blockNumber: number }[],
  }
  const answer = async <T>(read: () => T): Promise<T> => {
    if (state.failure) throw state.failure
    return read()
  }
  return {
    getChainId: () => answer(() => options.chainId),
    getBlockNumber: () => answer(() => state.block),
    getAccount: ({ payer, token }) => answer(() => accounts.get(`${payer}:${token}`) ?? noAccount),
    getGrant: ({ payer, key, token }) => answer(() => grants.get(`${payer}:${key}:${token}`) ?? noGrant),
    getLane: (laneId) => answer(() => lanes.get(laneId) ?? { settledAmount: 0n, settledJobs: 0, nextNonce: 0 }),
    isNonceUsed: ({ laneId, nonce }) => answer(() => nonces.has(`${laneId}:${nonce}`)),
    isSignedBy: ({ address, digest, signature }) => answer(() => findSigner(digest, signature) === address),
    findVersion: (moduleVersion) => answer(() => versions.get(moduleVersion)),
    listSettlements: ({ fromBlock, toBlock }) =>
      answer(() => state.settlements.filter(({ blockNumber }) => blockNumber >= fromBlock && blockNumber <= toBlock)),
    listAnnouncements: ({ fromBlock, toBlock }) =>
      answer(() => state.announcements.filter(({ blockNumber }) => blockNumber >= fromBlock && blockNumber <= toBlock)),
    listDeprecations: ({ fromBlock, toBlock }) =>
      answer(() =>
        state.deprecations
          .filter(({ blockNumber }) => blockNumber >= fromBlock && blockNumber <= toBlock)
          .map(({ moduleVersion }) => moduleVersion),
      ),
    setBalance: (payer, token, account) => void accounts.set(`${payer}:${token}`, { ...noAccount, ...account }),
    setLane: (laneId, lane) => void lanes.set(laneId, lane),
    announce: (announcement) => void state.announcements.push({ ...announcement, blockNumber: ++state.block }),
    setGrant: (payer, key, token, grant) =>
      void grants.set(`${payer}:${key}:${token}`, { ...noGrant, isKnown: true, ...grant }),
    setNonceUsed: (laneId, nonce) => void nonces.add(`${laneId}:${nonce}`),
    publish: (moduleVersion, version) =>
      void versions.set(moduleVersion, {
        author: zeroAddress,
        feeBips: 0,
        isDeprecated: false,
        publishedAtBlock: ++state.block,
        ...version,
      }),
    deprecate: (moduleVersion) => void state.deprecations.push({ moduleVersion, blockNumber: ++state.block }),
    settle(settlement) {
      const blockNumber = ++state.block
      const settled = {
        ...settlement,
        blockNumber,
        transaction: `0x${blockNumber.toString(16).padStart(64, '0')}` as const,
      }
      state.settlements.push(settled)
      return settled
    },
    mine(blocks = 1) {
      state.block += blocks
    },
    rewind(blocks) {
      state.block -= blocks
      state.settlements = state.settlements.filter(({ blockNumber }) => blockNumber <= state.block)
      state.announcements = state.announcements.filter(({ blockNumber }) => blockNumber <= state.block)
      state.deprecations = state.deprecations.filter(({ blockNumber }) => blockNumber <= state.block)
    },
    setUnreachable(error) {
      state.failure = error
    },
  }
}
