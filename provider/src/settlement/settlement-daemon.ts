import { type Address, type Bytes32, LilypadError } from '@lilypad-agents/protocol'
import type { Chain, ChainLane } from '../chain/chain.ts'
import { backoffMilliseconds, pause } from '../connection/backoff.ts'
import type { ReachPoint } from '../fault/fault-point.ts'
import type { Journal, JournalLane } from '../journal/journal.ts'
import { failureFacts, type Logger } from '../log/logger.ts'
import { Announcer } from './announcer.ts'
import { chooseLanes } from './choose-lanes.ts'
import { type Approve, collectApprovals, type PayableLane } from './collect-approvals.ts'
import {
  defaultSettlementLimits,
  type LaneBacklog,
  type PlannedLane,
  planSettlement,
  type SettlementLimits,
  type SettlementPlan,
} from './plan-settlement.ts'

export type SettlementOptions = {
  /** Settles as soon as this many jobs are acknowledged and not on chain. @default 100 */
  readonly maxJobs?: number
  /** Settles when the oldest of them is this old. @default 2 */
  readonly maxAgeSeconds?: number
  /** Announces a lane when its guardian has not consented for this long. @default 21600 */
  readonly announceAfterSeconds?: number
  readonly limits?: SettlementLimits
  /** What one ether is worth in base units of the token; without it gas counts as free, and nothing waits for being worth it. */
  readonly tokenPerEther?: bigint
  /** A batch waits until its value is this many times its gas. @default 10 */
  readonly worthGasTimes?: number
  /** The longest that a voucher waits for a batch that is worth its gas. @default 3600 */
  readonly maxWaitSeconds?: number
}

export type SettlementDaemonOptions = SettlementOptions & {
  readonly journal: Journal
  readonly chain: Chain
  readonly approve: Approve
  readonly reach: ReachPoint
  readonly log: Logger
}

/** A settled lane is looked at again for this long: a reorganisation may take its settlement back. */
const reorganisationSeconds = 600
const recheckSeconds = 30
const chainReadsAtOnce = 16
/** Error of the vault for a lane that only the payer's guardian keeps from being paid. */
const unapprovedError = 'LaneUnapproved'

const seconds = () => Math.floor(Date.now() / 1000)

/**
 * Brings vouchers to the chain in batches, without being asked. It keeps no decision of its own: each round compares
 * the journal with the lane counters on chain and sends the difference, one transaction at a time.
 */
export class SettlementDaemon {
  readonly #options: SettlementDaemonOptions
  readonly #stop = new AbortController()
  readonly #announcer: Announcer
  /** Lanes the vault refused, with the time of the next try. */
  readonly #refused = new Map<Bytes32, { readonly attempts: number; readonly nextAt: number }>()
  #wake: (() => void) | undefined
  #loop: Promise<void> | undefined
  #round: Promise<unknown> = Promise.resolve()

  constructor(options: SettlementDaemonOptions) {
    this.#options = options
    const { journal, chain, log, announceAfterSeconds = 21_600 } = options
    this.#announcer = new Announcer({ journal, chain, log, afterSeconds: announceAfterSeconds })
  }

  start(): void {
    this.#loop ??= this.#run()
  }

  /** Tells that a voucher has arrived. */
  notify(): void {
    this.#wake?.()
  }

  /** Settles all that is open now and returns how many jobs the chain has afterwards that it did not have before. */
  settleNow(): Promise<number> {
    return this.#inTurn(() => this.#settle(this.#options.journal.listLanes().filter(isOpen)))
  }

  /** Looks up what the chain has of a payer's lanes, so that nothing settled still counts as owed. */
  async refreshLanes(of: { readonly payer: Address; readonly token: Address }): Promise<void> {
    await this.#readLanes(this.#options.journal.listLanesOf(of).filter(isOpen))
  }

  /** Sends what is open, if the chain answers within the time, and stops. */
  async close(options: { readonly flushMilliseconds?: number } = {}): Promise<void> {
    const { flushMilliseconds = 3000 } = options
    this.#stop.abort()
    this.#wake?.()
    const flush = this.#inTurn(() => this.#settleWorthwhile()).catch((error: unknown) => {
      this.#options.log.warn(
        { event: 'settlement.not-flushed', ...failureFacts(error) },
        'vouchers stay for the next start',
      )
    })
    await Promise.race([flush, pause(flushMilliseconds)])
    await this.#loop
  }

  async #run(): Promise<void> {
    const { log } = this.#options
    for (let failures = 0; !this.#stop.signal.aborted; ) {
      try {
        await this.#inTurn(async () => this.#settle(await this.#listDue()))
        failures = 0
        await this.#sleep(this.#millisecondsToNextRound())
      } catch (error) {
        if (failures === 0)
          log.warn({ event: 'settlement.waiting', ...failureFacts(error) }, 'vouchers are not settled yet')
        await pause(backoffMilliseconds(failures++, { baseMilliseconds: 500 }), this.#stop.signal)
      }
    }
  }

  /** Rounds never overlap, so two transactions are never sent for one voucher by this process. */
  #inTurn<T>(round: () => Promise<T>): Promise<T> {
    const turn = this.#round.then(round, round)
    this.#round = turn.catch(() => {})
    return turn
  }

  async #settleWorthwhile(): Promise<number> {
    return this.#settle(await this.#chooseWorthwhile(this.#options.journal.listLanes().filter(isOpen)))
  }

  async #chooseWorthwhile(lanes: readonly JournalLane[]): Promise<readonly JournalLane[]> {
    const { chain, tokenPerEther, worthGasTimes = 10, maxWaitSeconds = 3600 } = this.#options
    if (tokenPerEther === undefined || lanes.length === 0) return lanes
    const gasPrice = await chain.getGasPrice()
    return chooseLanes(lanes, { gasPrice, tokenPerEther, worthGasTimes, maxWaitSeconds }, seconds())
  }

  async #listDue(): Promise<readonly JournalLane[]> {
    const { journal, maxJobs = 100, maxAgeSeconds = 2 } = this.#options
    const now = seconds()
    const lanes = journal.listLanesToSettle(now - reorganisationSeconds)
    const open = lanes.filter(isOpen).filter(({ laneId }) => (this.#refused.get(laneId)?.nextAt ?? 0) <= now)
    const jobs = open.reduce((sum, lane) => sum + lane.jobs - lane.settledJobs, 0)
    const isAged = open.some(
      ({ oldestUnsettledAt }) => oldestUnsettledAt !== undefined && oldestUnsettledAt + maxAgeSeconds <= now,
    )
    // One lane that is due takes all the others along: the transaction is paid for anyway.
    const due = jobs >= maxJobs || isAged ? await this.#chooseWorthwhile(open) : []
    return [...due, ...lanes.filter((lane) => !isOpen(lane) && lane.checkedAt + recheckSeconds <= now)]
  }

  #millisecondsToNextRound(): number {
    const { maxAgeSeconds = 2, tokenPerEther } = this.#options
    // What is worth its gas changes with the price of gas, which has to be asked for.
    if (tokenPerEther !== undefined) return 5000
    return Math.max(100, Math.min(1000, (maxAgeSeconds * 1000) / 4))
  }

  #sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds)
      this.#wake = () => {
        const { journal, maxJobs = 100, maxAgeSeconds = 2 } = this.#options
        const isNow = this.#stop.signal.aborted || maxAgeSeconds === 0 || journal.countUnsettled() >= maxJobs
        if (!isNow) return
        clearTimeout(timer)
        resolve()
      }
      if (this.#stop.signal.aborted) this.#wake()
    })
  }

  async #settle(lanes: readonly JournalLane[]): Promise<number> {
    if (lanes.length === 0) return 0
    const { log, limits = defaultSettlementLimits } = this.#options
    const before = await this.#readLanes(lanes)
    const plan = planSettlement(this.#loadBacklogs(lanes, before, limits), before, limits)
    for (const { laneId, reason } of plan.broken) this.#refuse(laneId, reason)
    await this.#registerGrants(lanes, plan)
    for (const batch of plan.batches) await this.#settleBatch(batch)
    if (plan.batches.length === 0) return 0
    const after = await this.#readLanes(lanes)
    const settledJobs = lanes.reduce(
      (sum, { laneId }) =>
        sum + Math.max(0, (after.get(laneId)?.settledJobs ?? 0) - (before.get(laneId)?.settledJobs ?? 0)),
      0,
    )
    log.info({ event: 'settlement.settled', jobs: settledJobs, lanes: plan.batches.flat().length }, 'jobs settled')
    return settledJobs
  }

  async #readLanes(lanes: readonly JournalLane[]): Promise<ReadonlyMap<Bytes32, ChainLane>> {
    const { chain, journal } = this.#options
    const states = new Map<Bytes32, ChainLane>()
    for (let start = 0; start < lanes.length; start += chainReadsAtOnce) {
      await Promise.all(
        lanes.slice(start, start + chainReadsAtOnce).map(async ({ laneId }) => {
          const state = await chain.getLane(laneId)
          states.set(laneId, state)
          journal.noteSettled(laneId, {
            settledJobs: state.settledJobs,
            settledAmount: state.settledAmount,
            now: seconds(),
          })
        }),
      )
    }
    return states
  }

  #loadBacklogs(
    lanes: readonly JournalLane[],
    chain: ReadonlyMap<Bytes32, ChainLane>,
    limits: SettlementLimits,
  ): readonly LaneBacklog[] {
    const { journal } = this.#options
    return lanes.flatMap(({ laneId, jobs }) => {
      const from = chain.get(laneId)?.settledJobs ?? 0
      const previousRecordsHash = journal.findRecordsHash(laneId, from)
      const entries = journal.listEntries(laneId, { from, limit: limits.maxRecords })
      return previousRecordsHash === undefined
        ? [{ laneId, jobs, entries: [], previousRecordsHash: laneId }]
        : [{ laneId, jobs, entries, previousRecordsHash }]
    })
  }

  /** A key's vouchers count once its grant is on chain; whoever is owed may bring it there. */
  async #registerGrants(lanes: readonly JournalLane[], plan: SettlementPlan): Promise<void> {
    const { journal, chain, log } = this.#options
    const planned = new Set(plan.batches.flat().map(({ laneId }) => laneId))
    const keys = new Map(
      lanes
        .filter(({ laneId, key, payer }) => planned.has(laneId) && key !== payer)
        .map((lane) => [`${lane.payer}:${lane.key}:${lane.token}`, lane]),
    )
    for (const { payer, key, token } of keys.values()) {
      const signed = journal.findGrant({ payer, key, token })
      if (signed === undefined) continue
      const known = await chain.getGrant({ payer, key, token })
      if (known.isKnown && known.nonce >= signed.grant.nonce) continue
      try {
        await chain.waitForTransaction(await chain.registerGrant(signed))
        log.info({ event: 'grant.registered', payer, key }, 'grant registered')
      } catch (error) {
        if (LilypadError.is(error) && error.retryable) throw error
        // An older grant that is still live may do; the vault decides when the lane is settled.
        log.warn({ event: 'grant.not-registered', payer, key, ...failureFacts(error) }, 'grant not registered')
      }
    }
  }

  async #settleBatch(batch: readonly PlannedLane[]): Promise<void> {
    const payable = await this.#listPayable(batch)
    const { transactions, approvals, unapproved } = await collectApprovals(payable, this.#options.approve)
    for (const lanes of transactions) await this.#send(lanes, approvals)
    for (const { lane, reason } of unapproved) await this.#waitForGuardian(lane, reason)
  }

  /** Lanes that the vault would pay now, as far as consent of a guardian does not keep it from that. */
  async #listPayable(batch: readonly PlannedLane[]): Promise<readonly PayableLane[]> {
    const { chain } = this.#options
    const payable: PayableLane[] = []
    for (const lane of batch) {
      const problem = await chain.findLaneProblem(lane.settlement)
      if (problem === undefined) payable.push({ ...lane, isGuarded: false })
      else if (problem !== unapprovedError) this.#refuse(lane.laneId, problem)
      else {
        const { payer, token, solver } = lane.settlement.acknowledgement.voucher
        const { guardian } = await chain.getAccount({ payer, token })
        // Only the solver that the lane names can consent to it, so a guardian that came later need not be asked.
        if (guardian === solver) payable.push({ ...lane, isGuarded: true })
        else await this.#waitForGuardian(lane, `the guardian is ${guardian}`)
      }
    }
    return payable
  }

  async #send(lanes: readonly PlannedLane[], approvals: Parameters<Chain['settle']>[1]): Promise<void> {
    const { chain, journal, log, reach } = this.#options
    const jobs = lanes.reduce((sum, { settlement }) => sum + settlement.records.length, 0)
    const transaction = await chain.settle(
      lanes.map(({ settlement }) => settlement),
      approvals,
    )
    reach('settlement-sent')
    journal.noteSettlement({ transaction, lanes: lanes.length, jobs, now: seconds() })
    log.info({ event: 'settlement.sent', transaction, lanes: lanes.length, jobs }, 'settlement sent')
    const included = await chain.waitForTransaction(transaction, this.#stop.signal)
    reach('settlement-confirmed')
    journal.noteSettlementBlock(transaction, included.blockNumber)
    const skipped = new Map(included.skipped.map(({ laneId, reason }) => [laneId, reason]))
    for (const lane of lanes) {
      const reason = skipped.get(lane.laneId) ?? (included.hasSucceeded ? undefined : 'TransactionReverted')
      if (reason === unapprovedError) await this.#waitForGuardian(lane, reason)
      else if (reason !== undefined) this.#refuse(lane.laneId, reason)
      else {
        this.#refused.delete(lane.laneId)
        journal.forgetUnapproved(lane.laneId)
      }
    }
  }

  /** The voucher stays; the guardian is asked again later, and not for ever. */
  async #waitForGuardian(lane: PlannedLane, reason: string): Promise<void> {
    this.#refuse(lane.laneId, reason)
    await this.#announcer.advance(lane)
  }

  #refuse(laneId: Bytes32, reason: string): void {
    const attempts = (this.#refused.get(laneId)?.attempts ?? 0) + 1
    const waitSeconds = Math.ceil(
      backoffMilliseconds(attempts, { baseMilliseconds: 2500, maxMilliseconds: 600_000 }) / 1000,
    )
    this.#refused.set(laneId, { attempts, nextAt: seconds() + waitSeconds })
    this.#options.log.warn(
      { event: 'lane.skipped', laneId, reason, attempts, nextTryInSeconds: waitSeconds },
      'lane not settled now',
    )
  }
}

function isOpen(lane: JournalLane): boolean {
  return lane.jobs > lane.settledJobs
}
