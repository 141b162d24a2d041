import {
  appendRecord,
  type Bytes32,
  keccak256,
  laneId,
  LilypadError,
  settlementHash,
  type SettlementLanes,
  type SignedGrant,
  sha256,
  zeroAddress,
} from '@lilypad-agents/protocol'
import { type LaneSettlement, toSettlements } from '@lilypad-agents/sdk'
import type { ChainGrant, PayerAccount } from '../order/check-order.ts'
import { MemoryClaims } from './memory-claims.ts'
import type { Approval, Chain, ChainAnnouncement, ChainLane, ChainVersion, IncludedTransaction } from './chain.ts'

const withdrawDelaySeconds = 86_400

const noAccount: PayerAccount = {
  balance: 0n,
  pendingWithdrawal: 0n,
  withdrawableAt: 0,
  guardian: zeroAddress,
  guardianChangesAt: 0,
}

const noGrant: ChainGrant = {
  isKnown: false,
  nonce: 0n,
  perJob: 0n,
  perDay: 0n,
  remaining: 0n,
  spentToday: 0n,
  validUntil: 0,
}

/**
 * The contracts in memory: the same counters and refusals as far as a provider can see them, with faults to switch on.
 * For tests of what stands above the chain.
 */
export class MemoryChain implements Chain {
  readonly versions = new Map<Bytes32, ChainVersion>()
  readonly accounts = new Map<string, PayerAccount>()
  readonly grants = new Map<string, ChainGrant>()
  readonly lanes = new Map<Bytes32, ChainLane & { readonly recordsHash: Bytes32 }>()
  readonly credits = new Map<string, bigint>()
  readonly transactions: { readonly hash: Bytes32; readonly lanes: readonly Bytes32[] }[] = []
  /** Settlements with the lane that each announced or settled by announcement, in order. */
  readonly announced: { readonly kind: 'announce' | 'settle'; readonly settlementHash: Bytes32 }[] = []
  /** Time of the chain, in Unix seconds. */
  now = 1_800_000_000
  /** Error that the vault gives for a lane, by lane id. */
  readonly problems = new Map<Bytes32, string>()
  /** While true no call is answered. */
  isDown = false
  /** While true transactions are taken and never included. */
  isStalled = false
  gasPrice = 1_000_000_000n
  readonly ether = new Map<string, bigint>()
  readonly claims = new MemoryClaims({
    now: () => this.now,
    answer: () => this.#answer(),
    include: (name, act) => this.#send(name, act),
  })
  readonly #announcements = new Map<Bytes32, { readonly lane: LaneSettlement | undefined; readonly at: number }>()
  readonly #simulated = new Map<Bytes32, LaneSettlement>()
  readonly #included = new Map<Bytes32, IncludedTransaction>()
  #pending: (() => void)[] = []

  async getTime(): Promise<number> {
    this.#answer()
    return this.now
  }

  async getGasPrice(): Promise<bigint> {
    this.#answer()
    return this.gasPrice
  }

  async getEther(account: string): Promise<bigint> {
    this.#answer()
    return this.ether.get(account) ?? 10n ** 18n
  }

  async findVersion(moduleVersion: Bytes32): Promise<ChainVersion | undefined> {
    this.#answer()
    return this.versions.get(moduleVersion)
  }

  async getAccount(of: { payer: string; token: string }): Promise<PayerAccount> {
    this.#answer()
    return this.accounts.get(`${of.payer}:${of.token}`) ?? noAccount
  }

  async getGrant(of: { payer: string; key: string; token: string }): Promise<ChainGrant> {
    this.#answer()
    return this.grants.get(`${of.payer}:${of.key}:${of.token}`) ?? noGrant
  }

  async getLane(id: Bytes32): Promise<ChainLane> {
    this.#answer()
    return this.lanes.get(id) ?? { settledJobs: 0, settledAmount: 0n, nextNonce: 0 }
  }

  async getCredit(of: { account: string; token: string }): Promise<bigint> {
    this.#answer()
    return this.credits.get(`${of.account}:${of.token}`) ?? 0n
  }

  async isSignedByPayer(): Promise<boolean> {
    this.#answer()
    return false
  }

  async findLaneProblem(lane: LaneSettlement): Promise<string | undefined> {
    this.#answer()
    // What is simulated is what may be announced: the bytes of a lane do not say what its voucher was.
    for (const settlement of toSettlements([lane])) this.#simulated.set(settlementHash(settlement), lane)
    return this.#findProblem(lane, false)
  }

  async settle(lanes: readonly LaneSettlement[], approvals?: ReadonlyMap<Bytes32, Approval>): Promise<Bytes32> {
    this.#answer()
    // All lanes of the same terms are one settlement, which has one hash and one approval.
    const isApproved = (lane: LaneSettlement) => {
      const { provider, solver, token } = lane.acknowledgement.voucher
      const own = toSettlements(lanes).find(
        (settlement) => settlement.provider === provider && settlement.solver === solver && settlement.token === token,
      )
      return own !== undefined && (approvals?.has(settlementHash(own)) ?? false)
    }
    const hash = sha256(`transaction ${this.transactions.length}`)
    this.transactions.push({ hash, lanes: lanes.map((lane) => laneId(lane.acknowledgement.voucher)) })
    const include = () => {
      const skipped = lanes.flatMap((lane) => {
        const reason = this.#findProblem(lane, isApproved(lane))
        if (reason === undefined) this.#settle(lane)
        return reason === undefined ? [] : [{ laneId: laneId(lane.acknowledgement.voucher), reason }]
      })
      this.#included.set(hash, { hasSucceeded: true, blockNumber: this.#included.size + 1, skipped })
    }
    if (this.isStalled) this.#pending.push(include)
    else include()
    return hash
  }

  async announce(settlement: SettlementLanes): Promise<Bytes32> {
    this.#answer()
    const hash = settlementHash(settlement)
    this.announced.push({ kind: 'announce', settlementHash: hash })
    this.#announcements.set(hash, { lane: this.#simulated.get(hash), at: this.now })
    return this.#include(`announce ${this.announced.length}`)
  }

  async findAnnouncement(hash: Bytes32): Promise<ChainAnnouncement | undefined> {
    this.#answer()
    const known = this.#announcements.get(hash)
    if (known === undefined) return undefined
    const executableAt = known.at + withdrawDelaySeconds
    return { executableAt, expiresAt: executableAt + withdrawDelaySeconds, now: this.now }
  }

  async settleAnnounced(settlement: SettlementLanes): Promise<Bytes32> {
    this.#answer()
    const hash = settlementHash(settlement)
    const announcement = await this.findAnnouncement(hash)
    const { lane } = this.#announcements.get(hash) ?? {}
    const isOpen = announcement && this.now >= announcement.executableAt && this.now <= announcement.expiresAt
    if (!isOpen || lane === undefined || this.#findProblem(lane, true) !== undefined)
      throw new LilypadError('CONTRACT_REVERTED', 'The contract refused `settleAnnounced`.')
    this.announced.push({ kind: 'settle', settlementHash: hash })
    this.#settle(lane)
    return this.#include(`settle announced ${this.announced.length}`)
  }

  async registerGrant({ grant }: SignedGrant): Promise<Bytes32> {
    this.#answer()
    const id = `${grant.payer}:${grant.key}:${grant.token}`
    if ((this.grants.get(id)?.nonce ?? -1n) >= grant.nonce)
      throw new LilypadError('CONTRACT_REVERTED', 'The contract refused `registerGrant`: GrantNonceUsed.')
    const { perJob, perDay, total, validUntil, nonce } = grant
    this.grants.set(id, { isKnown: true, nonce, perJob, perDay, remaining: total, spentToday: 0n, validUntil })
    return this.#include(`grant ${id} ${nonce}`)
  }

  async waitForTransaction(hash: Bytes32): Promise<IncludedTransaction> {
    this.#answer()
    const included = this.#included.get(hash)
    if (included === undefined) throw new LilypadError('RPC_UNREACHABLE', 'The transaction is in no block yet.')
    return included
  }

  /** Includes what was sent while the chain was stalled. */
  include(): void {
    this.isStalled = false
    for (const include of this.#pending) include()
    this.#pending = []
  }

  #answer(): void {
    if (this.isDown) throw new LilypadError('RPC_UNREACHABLE', 'The chain cannot be reached over its RPC endpoint.')
  }

  /** Takes a transaction, which acts when it is included. */
  #send(name: string, act: () => void): Bytes32 {
    const hash = keccak256(name)
    const include = () => {
      act()
      this.#included.set(hash, { hasSucceeded: true, blockNumber: this.#included.size + 1, skipped: [] })
    }
    if (this.isStalled) this.#pending.push(include)
    else include()
    return hash
  }

  #include(name: string): Bytes32 {
    const hash = keccak256(name)
    this.#included.set(hash, { hasSucceeded: true, blockNumber: this.#included.size + 1, skipped: [] })
    return hash
  }

  #findProblem(
    { acknowledgement, previousRecordsHash, records }: LaneSettlement,
    isApproved: boolean,
  ): string | undefined {
    const { voucher } = acknowledgement
    const id = laneId(voucher)
    const known = this.problems.get(id)
    if (known !== undefined) return known
    if (voucher.key !== voucher.payer && !this.grants.get(`${voucher.payer}:${voucher.key}:${voucher.token}`)?.isKnown)
      return 'GrantUnknown'
    const settledJobs = this.lanes.get(id)?.settledJobs ?? 0
    if (voucher.jobs !== settledJobs + records.length || records.length === 0) return 'VoucherJobsMismatch'
    if (records.reduce(appendRecord, previousRecordsHash) !== voucher.recordsHash) return 'RecordsHashMismatch'
    const guardian = this.accounts.get(`${voucher.payer}:${voucher.token}`)?.guardian ?? zeroAddress
    return guardian === zeroAddress || isApproved ? undefined : 'LaneUnapproved'
  }

  #settle({ acknowledgement, records }: LaneSettlement): void {
    const { voucher } = acknowledgement
    const nextNonce = Math.max(...records.map((record) => record.nonce)) + 1
    this.lanes.set(laneId(voucher), {
      settledJobs: voucher.jobs,
      settledAmount: voucher.cumulativeAmount,
      nextNonce,
      recordsHash: voucher.recordsHash,
    })
  }
}
