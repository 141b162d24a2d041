import { type Address, type Bytes32, type JobOrder, LilypadError, type SignedVoucher } from '@lilypad-agents/protocol'
import type { Chain } from '../chain/chain.ts'
import type { ChainClaim, ClaimItem, ClaimTerms } from '../chain/claim-chain.ts'
import { backoffMilliseconds, pause } from '../connection/backoff.ts'
import type { ReachPoint } from '../fault/fault-point.ts'
import type { JournalClaim, UnpaidJob } from '../journal/claim-ledger.ts'
import type { Journal } from '../journal/journal.ts'
import { failureFacts, type Logger } from '../log/logger.ts'
import { settleGraceSeconds } from '../order/check-order.ts'
import { gasValueRoundedUp } from '../settlement/gas-value.ts'
import { stakeForClaims } from '../status/find-warnings.ts'
import { planClaims } from './plan-claims.ts'

export type ClaimOptions = {
  /** @default true */
  readonly isEnabled?: boolean
  /** How long after the end of its run a job may be claimed. @default 3600 */
  readonly afterSeconds?: number
  /** Safety margin before the last second to claim. @default 1800 */
  readonly marginSeconds?: number
  /** Claims as soon as so many jobs can be claimed. @default 20 */
  readonly maxBatch?: number
  /** Jobs below this price are not claimed, in base units. @default 0n */
  readonly minPrice?: bigint
  /** Stake that is too low is raised out of what the provider has earned, up to this much; in base units. @default never */
  readonly restakeUpTo?: bigint
  /** What one ether is worth in base units of the token; without it gas counts as free. */
  readonly tokenPerEther?: bigint
  /** Gas of claiming and finalizing one job. @default 250000n, measured for a guarded payer */
  readonly gasPerClaim?: bigint
}

export type ClaimDaemonOptions = ClaimOptions & {
  readonly journal: Journal
  readonly chain: Chain
  /** The claim of an acknowledged job is withdrawn: the voucher can be taken now. */
  readonly onWithdrawn: (orderHash: Bytes32, acknowledgement: SignedVoucher) => void
  /** Takes the last acknowledged step of a job as its payment. Returns whether there was one. */
  readonly collectStep: (orderHash: Bytes32) => boolean
  readonly reach: ReachPoint
  readonly log: Logger
  /** @default 15000 */
  readonly everyMilliseconds?: number
}

/** A claim that was sent and is not on chain after this long is sent again. */
const lostSeconds = 600
const chainReadsAtOnce = 16

const seconds = () => Math.floor(Date.now() / 1000)

/**
 * Claims delivered jobs whose payer stays silent, and brings each claim to its end. Like the settlement daemon it keeps no decision of its
 * own: each round compares the journal with the contract and takes the next step, so it can be broken off anywhere.
 */
export class ClaimDaemon {
  readonly #options: ClaimDaemonOptions
  readonly #stop = new AbortController()
  /** Jobs the contract refuses, with the time of the next try. */
  readonly #refused = new Map<
    Bytes32,
    { readonly attempts: number; readonly nextAt: number; readonly reason: string }
  >()
  #loop: Promise<void> | undefined
  #wake: (() => void) | undefined
  #round: Promise<unknown> = Promise.resolve()
  #stakeShortfall = 0n

  constructor(options: ClaimDaemonOptions) {
    this.#options = options
  }

  /** Stake that is missing to claim what should be claimed, in base units; zero when there is enough. */
  get stakeShortfall(): bigint {
    return this.#stakeShortfall
  }

  start(): void {
    this.#loop ??= this.#run()
  }

  /** Tells that a voucher for a claimed job has arrived. */
  notify(): void {
    this.#wake?.()
  }

  /** Takes the next step of every job now. */
  advanceNow(): Promise<void> {
    const turn = this.#round.then(
      () => this.#advance(),
      () => this.#advance(),
    )
    this.#round = turn.catch(() => {})
    return turn
  }

  /** Stops, at once or when the chain has answered. What is broken off goes on at the next start. */
  async close(options: { readonly waitMilliseconds?: number } = {}): Promise<void> {
    const { waitMilliseconds = 3000 } = options
    this.#stop.abort()
    this.#wake?.()
    await Promise.race([Promise.all([this.#loop, this.#round]), pause(waitMilliseconds)])
  }

  async #run(): Promise<void> {
    const { log, everyMilliseconds = 15_000 } = this.#options
    for (let failures = 0; !this.#stop.signal.aborted; ) {
      try {
        await this.advanceNow()
        failures = 0
        await this.#sleep(everyMilliseconds)
      } catch (error) {
        if (failures === 0) log.warn({ event: 'claims.waiting', ...failureFacts(error) }, 'claims wait for the chain')
        await pause(backoffMilliseconds(failures++, { baseMilliseconds: 1000 }), this.#stop.signal)
      }
    }
  }

  #sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
      if (this.#stop.signal.aborted) this.#wake()
    })
  }

  async #advance(): Promise<void> {
    const { journal, chain, isEnabled = true, afterSeconds = 3600 } = this.#options
    const open = journal.claims.listOpen()
    if (open.length === 0 && journal.claims.listUnpaid().length === 0) return
    const now = await this.#readTime()
    await this.#advanceOpen(open, now)
    const unpaid = journal.claims.listUnpaid()
    if (unpaid.length === 0) return
    if (isEnabled) await this.#claimDue(unpaid, now, await chain.claims.getTerms())
    else this.#collectSteps(unpaid.filter(({ finishedAt }) => finishedAt + afterSeconds <= now))
  }

  #collectSteps(jobs: readonly UnpaidJob[]): void {
    for (const { orderHash, stepPrice } of jobs) if (stepPrice > 0n) this.#options.collectStep(orderHash)
  }

  /** A quiet chain's newest block may be old, and one that was moved on by hand may be ahead. */
  async #readTime(): Promise<number> {
    return Math.max(await this.#options.chain.getTime(), seconds())
  }

  // Claims on their way

  async #advanceOpen(claims: readonly JournalClaim[], now: number): Promise<void> {
    const onChain = await this.#readClaims(claims.map(({ orderHash }) => orderHash))
    const finalizable: Bytes32[] = []
    for (const claim of claims) {
      const found = onChain.get(claim.orderHash)
      if (found === undefined) continue
      const isResolved = found.status === 'upheld' || found.status === 'denied'
      const isOver = found.status === 'claimed' && now >= found.finalizableAt
      if (isResolved || (isOver && !(await this.#mayWithdraw(claim, now)))) finalizable.push(claim.orderHash)
      else await this.#follow(claim, found, now)
    }
    if (finalizable.length > 0) await this.#finalize(finalizable)
  }

  async #follow(claim: JournalClaim, { status, finalizableAt }: ChainClaim, now: number): Promise<void> {
    const { journal, log } = this.#options
    const { orderHash, state } = claim
    switch (status) {
      case 'none':
        // Sent and lost, or never sent, or taken back with the block it was in.
        if (claim.updatedAt + lostSeconds > seconds()) return
        log.warn({ event: 'claim.lost', orderHash }, 'the claim is not on chain')
        journal.claims.forget(orderHash)
        if (claim.acknowledgement) this.#options.onWithdrawn(orderHash, claim.acknowledgement)
        return
      case 'claimed':
        if (state === 'claiming') journal.claims.note(orderHash, { state: 'claimed', finalizableAt }, seconds())
        if (claim.acknowledgement && (await this.#mayWithdraw(claim, now)))
          await this.#withdraw(claim, claim.acknowledgement)
        return
      case 'disputed':
        if (state !== 'disputed') {
          log.warn({ event: 'claim.disputed', orderHash }, 'the claim is disputed: mediators decide')
          journal.claims.note(orderHash, { state: 'disputed', finalizableAt }, seconds())
        }
        return
      case 'paid':
      case 'refunded':
      case 'withdrawn':
        this.#end(claim, status)
        return
      default:
        log.error(
          { event: 'claim.unexpected', orderHash, status },
          'the contract has the job in a state that was not ours',
        )
    }
  }

  /**
   * A claim holds the money, a voucher does not: once the claim is withdrawn, a payer without a guardian could be gone with it. So it is
   * given up only for a voucher of a payer that can pay nobody without the solver of the order.
   */
  async #mayWithdraw({ orderHash, acknowledgement }: JournalClaim, now: number): Promise<boolean> {
    if (acknowledgement === undefined) return false
    const { chain, journal } = this.#options
    const { payer, token, solver } = journal.getAcceptedJob(orderHash).request.order
    const { guardian, guardianChangesAt } = await chain.getAccount({ payer, token })
    return guardian === solver && (guardianChangesAt === 0 || guardianChangesAt > now + settleGraceSeconds)
  }

  #end(claim: JournalClaim, status: 'paid' | 'refunded' | 'withdrawn'): void {
    const { journal, log, onWithdrawn, reach } = this.#options
    const { orderHash, acknowledgement, price } = claim
    if (status === 'withdrawn') reach('claim-withdrawn')
    journal.claims.end(orderHash, status, seconds())
    log.info({ event: `claim.${status}`, orderHash, price: price.toString() }, `claim ${status}`)
    if (acknowledgement === undefined) return
    if (status === 'withdrawn') onWithdrawn(orderHash, acknowledgement)
    else log.warn({ event: 'acknowledgement.too-late', orderHash, status }, 'a voucher came after the end of the claim')
  }

  async #withdraw(claim: JournalClaim, acknowledgement: SignedVoucher): Promise<void> {
    const { chain, log, journal } = this.#options
    const { orderHash } = claim
    const { order } = journal.getAcceptedJob(orderHash).request
    const transaction = await chain.claims.withdraw(order)
    log.info(
      { event: 'claim.withdrawing', orderHash, transaction, jobs: acknowledgement.voucher.jobs },
      'the payer has acknowledged',
    )
    await this.#waitFor([transaction])
    const { status } = await chain.claims.getClaim(orderHash)
    if (status === 'withdrawn' || status === 'paid' || status === 'refunded') this.#end(claim, status)
  }

  async #finalize(orderHashes: readonly Bytes32[]): Promise<void> {
    const { chain, journal, log, reach } = this.#options
    const orders = orderHashes.map((orderHash): JobOrder => journal.getAcceptedJob(orderHash).request.order)
    const transactions = await chain.claims.finalize(orders)
    log.info({ event: 'claims.finalizing', jobs: orders.length, transactions }, 'claims finalized')
    reach('claim-finalized')
    await this.#waitFor(transactions)
    for (const [orderHash, { status }] of await this.#readClaims(orderHashes)) {
      const claim = journal.claims.find(orderHash)
      if (claim && (status === 'paid' || status === 'refunded')) this.#end(claim, status)
    }
  }

  // New claims

  async #claimDue(jobs: readonly UnpaidJob[], now: number, terms: ClaimTerms): Promise<void> {
    const { journal, log, afterSeconds = 3600, marginSeconds = 1800, maxBatch = 20 } = this.#options
    const policy = { afterSeconds, marginSeconds, maxBatch, notWorthPrice: await this.#readNotWorthPrice() }
    const { due, missed, stepped } = planClaims({ jobs, now, claimGraceSeconds: terms.claimGraceSeconds, policy })
    this.#collectSteps([...stepped, ...missed])
    for (const { orderHash, price, stepPrice } of missed) {
      if (stepPrice > 0n && journal.isAcknowledged(orderHash)) continue
      const reason =
        this.#refused.get(orderHash)?.reason ?? (price > policy.notWorthPrice ? 'not in time' : 'not worth its gas')
      this.#refused.delete(orderHash)
      journal.claims.end(orderHash, 'missed', seconds())
      log.warn({ event: 'claim.missed', orderHash, price: price.toString(), reason }, 'a delivered job was not paid')
    }
    const open = due.filter(({ orderHash }) => (this.#refused.get(orderHash)?.nextAt ?? 0) <= seconds())
    if (open.length === 0) return
    await this.#checkStake(open, terms)
    const items: ClaimItem[] = []
    for (const job of open) {
      const item = this.#toItem(job.orderHash)
      const problem = await this.#options.chain.claims.findClaimProblem(item)
      if (problem === undefined) items.push(item)
      else this.#refuse(job.orderHash, problem)
    }
    for (let start = 0; start < items.length; start += maxBatch) await this.#claim(items.slice(start, start + maxBatch))
  }

  async #readNotWorthPrice(): Promise<bigint> {
    const { chain, minPrice = 0n, tokenPerEther, gasPerClaim = 250_000n } = this.#options
    const below = minPrice > 0n ? minPrice - 1n : 0n
    if (tokenPerEther === undefined) return below
    const gas = gasValueRoundedUp({ gas: gasPerClaim, gasPrice: await chain.getGasPrice(), tokenPerEther })
    return gas > below ? gas : below
  }

  async #checkStake(jobs: readonly UnpaidJob[], terms: ClaimTerms): Promise<void> {
    const { chain, journal, log } = this.#options
    const [first] = jobs
    if (first === undefined) return
    const { provider, token } = journal.getAcceptedJob(first.orderHash).request.order
    const { free, active } = await chain.claims.getStake({ account: provider, token })
    // The dearest comes first.
    const required = stakeForClaims(
      { sum: jobs.reduce((sum, { price }) => sum + price, 0n), largest: first.price },
      terms,
    )
    const missing = required > free ? required - free : 0n
    const added = missing > 0n ? await this.#restake({ account: provider, token, active, missing }) : 0n
    this.#stakeShortfall = missing - added
    if (this.#stakeShortfall > 0n)
      log.warn(
        { event: 'stake.too-low', required: required.toString(), free: (free + added).toString(), jobs: jobs.length },
        'the stake does not cover all jobs to claim: the dearest come first, deposit more for the others',
      )
  }

  async #restake(of: {
    readonly account: Address
    readonly token: Address
    readonly active: bigint
    readonly missing: bigint
  }): Promise<bigint> {
    const { chain, log, restakeUpTo = 0n } = this.#options
    const { account, token, active, missing } = of
    const room = restakeUpTo > active ? restakeUpTo - active : 0n
    if (room === 0n) return 0n
    try {
      const added = await chain.claims.addStake({ account, token, amount: missing < room ? missing : room })
      if (added > 0n) log.info({ event: 'stake.added', amount: added.toString() }, 'stake added out of what was earned')
      return added
    } catch (error) {
      if (LilypadError.is(error) && error.retryable) throw error
      log.warn({ event: 'stake.not-added', ...failureFacts(error) }, 'stake not added')
      return 0n
    }
  }

  #toItem(orderHash: Bytes32): ClaimItem {
    const { journal } = this.#options
    const { request, delivery } = journal.getAcceptedJob(orderHash)
    if (delivery === undefined) throw new RangeError(`the delivered job ${orderHash} has no receipt`)
    return {
      order: request.order,
      orderSignature: request.signature,
      receipt: delivery.receipt,
      reservation: journal.claims.findReservation(orderHash),
    }
  }

  async #claim(items: readonly ClaimItem[]): Promise<void> {
    const { chain, journal, log, reach } = this.#options
    // A voucher may have come while the chain was asked.
    const promised = items.filter(({ receipt }) => journal.claims.start(receipt.orderHash, seconds()))
    if (promised.length === 0) return
    reach('claim-promised')
    const orderHashes = promised.map(({ receipt }) => receipt.orderHash)
    try {
      const transactions = await chain.claims.claim(promised)
      log.info({ event: 'claims.sent', jobs: promised.length, transactions }, 'jobs claimed')
      reach('claim-sent')
      await this.#waitFor(transactions)
    } catch (error) {
      if (!LilypadError.is(error) || error.retryable) throw error
      log.warn({ event: 'claims.refused', ...failureFacts(error) }, 'the contract refuses the claims')
    }
    reach('claim-confirmed')
    for (const [orderHash, { status, finalizableAt }] of await this.#readClaims(orderHashes)) {
      if (status === 'claimed') {
        this.#refused.delete(orderHash)
        journal.claims.note(orderHash, { state: 'claimed', finalizableAt }, seconds())
      } else if (status === 'none') {
        // Every transaction is in a block, so it was skipped.
        const acknowledgement = journal.claims.find(orderHash)?.acknowledgement
        journal.claims.forget(orderHash)
        if (acknowledgement) this.#options.onWithdrawn(orderHash, acknowledgement)
        else this.#refuse(orderHash, 'skipped by the contract')
      }
    }
  }

  #refuse(orderHash: Bytes32, reason: string): void {
    const attempts = (this.#refused.get(orderHash)?.attempts ?? 0) + 1
    const waitSeconds = Math.ceil(
      backoffMilliseconds(attempts, { baseMilliseconds: 5000, maxMilliseconds: 300_000 }) / 1000,
    )
    this.#refused.set(orderHash, { attempts, reason, nextAt: seconds() + waitSeconds })
    this.#options.log.warn(
      { event: 'claim.refused', orderHash, reason, attempts, nextTryInSeconds: waitSeconds },
      'job not claimed now',
    )
  }

  async #waitFor(transactions: readonly Bytes32[]): Promise<void> {
    for (const transaction of transactions) await this.#options.chain.waitForTransaction(transaction, this.#stop.signal)
  }

  async #readClaims(orderHashes: readonly Bytes32[]): Promise<ReadonlyMap<Bytes32, ChainClaim>> {
    const found = new Map<Bytes32, ChainClaim>()
    for (let start = 0; start < orderHashes.length; start += chainReadsAtOnce)
      await Promise.all(
        orderHashes.slice(start, start + chainReadsAtOnce).map(async (orderHash) => {
          found.set(orderHash, await this.#options.chain.claims.getClaim(orderHash))
        }),
      )
    return found
  }
}
