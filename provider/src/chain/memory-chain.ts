import {
  appendRecord,
  type Bytes32,
  keccak256,
  laneId,
  LilypadError,
  type SignedGrant,
  sha256,
} from '@lilypad-agents/protocol'
import type { LaneSettlement } from '@lilypad-agents/sdk'
import type { ChainGrant, PayerAccount } from '../order/check-order.ts'
import type { Chain, ChainLane, ChainVersion, IncludedTransaction } from './chain.ts'

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
  /** Error that the vault gives for a lane, by lane id. */
  readonly problems = new Map<Bytes32, string>()
  /** While true no call is answered. */
  isDown = false
  /** While true transactions are taken and never included. */
  isStalled = false
  readonly #included = new Map<Bytes32, IncludedTransaction>()
  #pending: (() => void)[] = []

  async findVersion(moduleVersion: Bytes32): Promise<ChainVersion | undefined> {
    this.#answer()
    return this.versions.get(moduleVersion)
  }

  async getAccount(of: { payer: string; token: string }): Promise<PayerAccount> {
    this.#answer()
    return this.accounts.get(`${of.payer}:${of.token}`) ?? { balance: 0n, pendingWithdrawal: 0n, withdrawableAt: 0 }
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
    return this.#findProblem(lane)
  }

  async settle(lanes: readonly LaneSettlement[]): Promise<Bytes32> {
    this.#answer()
    const hash = sha256(`transaction ${this.transactions.length}`)
    this.transactions.push({ hash, lanes: lanes.map((lane) => laneId(lane.acknowledgement.voucher)) })
    const include = () => {
      const skipped = lanes.flatMap((lane) => {
        const reason = this.#findProblem(lane)
        if (reason === undefined) this.#settle(lane)
        return reason === undefined ? [] : [{ laneId: laneId(lane.acknowledgement.voucher), reason }]
      })
      this.#included.set(hash, { hasSucceeded: true, blockNumber: this.#included.size + 1, skipped })
    }
    if (this.isStalled) this.#pending.push(include)
    else include()
    return hash
  }

  async registerGrant({ grant }: SignedGrant): Promise<Bytes32> {
    this.#answer()
    const id = `${grant.payer}:${grant.key}:${grant.token}`
    if ((this.grants.get(id)?.nonce ?? -1n) >= grant.nonce)
      throw new LilypadError('CONTRACT_REVERTED', 'The contract refused `registerGrant`: GrantNonceUsed.')
    const { perJob, perDay, total, validUntil, nonce } = grant
    this.grants.set(id, { isKnown: true, nonce, perJob, perDay, remaining: total, spentToday: 0n, validUntil })
    const hash = keccak256(`grant ${id} ${nonce}`)
    this.#included.set(hash, { hasSucceeded: true, blockNumber: this.#included.size + 1, skipped: [] })
    return hash
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

  #findProblem({ acknowledgement, previousRecordsHash, records }: LaneSettlement): string | undefined {
    const { voucher } = acknowledgement
    const id = laneId(voucher)
    const known = this.problems.get(id)
    if (known !== undefined) return known
    if (voucher.key !== voucher.payer && !this.grants.get(`${voucher.payer}:${voucher.key}:${voucher.token}`)?.isKnown)
      return 'GrantUnknown'
    const settledJobs = this.lanes.get(id)?.settledJobs ?? 0
    if (voucher.jobs !== settledJobs + records.length || records.length === 0) return 'VoucherJobsMismatch'
    if (records.reduce(appendRecord, previousRecordsHash) !== voucher.recordsHash) return 'RecordsHashMismatch'
    return undefined
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
