import {
  type Bytes32,
  type JobOrder,
  type JobRecord,
  laneId,
  type ProviderFrame,
  type SignedVoucher,
  type SigningDomain,
  zeroBytes32,
} from '@lilypad-agents/protocol'
import type { ReachPoint } from '../fault/fault-point.ts'
import type { Journal } from '../journal/journal.ts'
import { failureFacts, type Logger } from '../log/logger.ts'
import { verifyAcknowledgement } from './verify-acknowledgement.ts'

export type AcknowledgementDeskOptions = {
  readonly domain: SigningDomain
  readonly journal: Journal
  readonly send: (frame: ProviderFrame) => boolean
  /** A voucher is on disk. */
  readonly onAcknowledged: () => void
  /** A voucher for a job whose claim is on its way is on disk: the claim has to be withdrawn before the voucher is taken. */
  readonly onClaimedAcknowledged: () => void
  readonly reach: ReachPoint
  readonly log: Logger
}

/** Vouchers of one lane that are kept in memory until those before them have come. */
const maxEarlyPerLane = 256

/** Takes vouchers in: verified, on disk, then confirmed. One that comes again is confirmed again. */
export class AcknowledgementDesk {
  readonly #options: AcknowledgementDeskOptions
  readonly #early = new Map<
    Bytes32,
    Map<number, { readonly orderHash: Bytes32; readonly acknowledgement: SignedVoucher }>
  >()

  constructor(options: AcknowledgementDeskOptions) {
    this.#options = options
  }

  receive(orderHash: Bytes32, acknowledgement: SignedVoucher): void {
    const { domain, journal, log } = this.#options
    if (journal.isAcknowledged(orderHash)) {
      this.#confirm(orderHash)
      return
    }
    const job = this.#findDelivered(orderHash)
    if (job === undefined) {
      log.warn({ event: 'acknowledgement.unexpected', orderHash }, 'a voucher for a job without a result here')
      return
    }
    const { order, record } = job
    if (this.#mustWait(orderHash, laneId(order), acknowledgement)) return
    const tip = journal.findLane(laneId(order)) ?? { jobs: 0, cumulativeAmount: 0n, recordsHash: zeroBytes32 }
    const verdict = verifyAcknowledgement({ domain, order, record, tip, acknowledgement })
    switch (verdict.kind) {
      case 'valid':
        if (this.#isInClaim(orderHash)) this.#keepUntilWithdrawn(orderHash, acknowledgement)
        else this.#take(record, acknowledgement)
        return
      case 'early':
        this.#keepEarly(laneId(order), orderHash, acknowledgement)
        return
      case 'invalid': {
        const { code, reason } = verdict
        log.warn({ event: 'acknowledgement.invalid', orderHash, code, reason }, 'a voucher that does not pay the job')
        return
      }
      default:
        assertNever(verdict)
    }
  }

  /** Whether a claim has paid or will decide the job, or an earlier voucher of the lane waits for a claim to be withdrawn. */
  #mustWait(orderHash: Bytes32, id: Bytes32, acknowledgement: SignedVoucher): boolean {
    const { journal, log } = this.#options
    const state = journal.claims.find(orderHash)?.state
    if (state === 'paid' || state === 'refunded' || state === 'disputed') {
      log.warn(
        { event: 'acknowledgement.too-late', orderHash, state },
        'a voucher for a job that is settled by its claim',
      )
      return true
    }
    const first = journal.claims.findWithdrawal(id)
    if (first === undefined) return false
    // The claim is given up for that one voucher, so no other may take its place in the lane.
    const { jobs = 0 } = first.acknowledgement?.voucher ?? {}
    if (first.orderHash !== orderHash && acknowledgement.voucher.jobs > jobs)
      this.#keepEarly(id, orderHash, acknowledgement)
    return true
  }

  #isInClaim(orderHash: Bytes32): boolean {
    const state = this.#options.journal.claims.find(orderHash)?.state
    return state === 'claiming' || state === 'claimed'
  }

  #keepUntilWithdrawn(orderHash: Bytes32, acknowledgement: SignedVoucher): void {
    const { journal, reach, log, onClaimedAcknowledged } = this.#options
    journal.claims.keepAcknowledgement(orderHash, acknowledgement, Math.floor(Date.now() / 1000))
    reach('claim-acknowledged')
    log.info({ event: 'claim.acknowledged', orderHash }, 'a claimed job is acknowledged: the claim is withdrawn first')
    onClaimedAcknowledged()
  }

  #findDelivered(orderHash: Bytes32): { readonly order: JobOrder; readonly record: JobRecord } | undefined {
    const { journal } = this.#options
    const phase = journal.findJob(orderHash)?.phase
    if (phase === undefined || phase === 'declined') return undefined
    const { request, delivery, receiptHash } = journal.getAcceptedJob(orderHash)
    if (delivery === undefined || receiptHash === undefined || delivery.receipt.status !== 0) return undefined
    const { order } = request
    const { price } = delivery.receipt
    return { order, record: { orderHash, receiptHash, moduleVersion: order.moduleVersion, price, nonce: order.nonce } }
  }

  #take(record: JobRecord, acknowledgement: SignedVoucher): void {
    const { journal, reach, log, onAcknowledged } = this.#options
    const { orderHash, price } = record
    const { voucher } = acknowledgement
    const id = laneId(voucher)
    journal.acknowledge({ acknowledgement, record, now: Math.floor(Date.now() / 1000) })
    reach('acknowledged')
    log.info(
      { event: 'job.acknowledged', orderHash, laneId: id, jobs: voucher.jobs, price: price.toString() },
      'job acknowledged',
    )
    this.#confirm(orderHash)
    onAcknowledged()
    this.#takeNext(id, voucher.jobs + 1)
  }

  #confirm(orderHash: Bytes32): void {
    const { journal, send, log } = this.#options
    journal.flush().then(
      () => send({ type: 'acknowledged', orderHash }),
      (error: unknown) =>
        log.error({ event: 'journal.not-synced', orderHash, ...failureFacts(error) }, 'voucher not confirmed'),
    )
  }

  #keepEarly(id: Bytes32, orderHash: Bytes32, acknowledgement: SignedVoucher): void {
    const lane = this.#early.get(id) ?? new Map()
    if (lane.size < maxEarlyPerLane) lane.set(acknowledgement.voucher.jobs, { orderHash, acknowledgement })
    this.#early.set(id, lane)
  }

  #takeNext(id: Bytes32, jobs: number): void {
    const lane = this.#early.get(id)
    const next = lane?.get(jobs)
    if (lane === undefined || next === undefined) return
    lane.delete(jobs)
    if (lane.size === 0) this.#early.delete(id)
    this.receive(next.orderHash, next.acknowledgement)
  }
}

function assertNever(verdict: never): never {
  throw new TypeError(`unexpected verdict ${JSON.stringify(verdict)}`)
}
