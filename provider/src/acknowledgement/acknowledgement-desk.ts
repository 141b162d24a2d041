import { type Bytes32, type JobRecord, laneId, type ProviderFrame, type SignedVoucher, type SigningDomain, zeroBytes32 } from '@lilypad-agents/protocol'
import type { ReachPoint } from '../fault/fault-point.ts'
import type { Journal } from '../journal/journal.ts'
import type { Logger } from '../log/logger.ts'
import { verifyAcknowledgement } from './verify-acknowledgement.ts'

export type AcknowledgementDeskOptions = {
  readonly domain: SigningDomain
  readonly journal: Journal
  readonly send: (frame: ProviderFrame) => boolean
  /** A voucher is on disk. */
  readonly onAcknowledged: () => void
  readonly reach: ReachPoint
  readonly log: Logger
}

/** Vouchers of one lane that are kept in memory until those before them have come. */
const maxEarlyPerLane = 256

/** Takes vouchers in: verified, on disk, then confirmed. One that comes again is confirmed again. */
export class AcknowledgementDesk {
  readonly #options: AcknowledgementDeskOptions
  readonly #early = new Map<Bytes32, Map<number, { readonly orderHash: Bytes32; readonly acknowledgement: SignedVoucher }>>()

  constructor(options: AcknowledgementDeskOptions) {
    this.#options = options
  }

  receive(orderHash: Bytes32, acknowledgement: SignedVoucher): void {
    const { domain, journal, reach, log, onAcknowledged } = this.#options
    if (journal.isAcknowledged(orderHash)) {
      this.#confirm(orderHash)
      return
    }
    const known = journal.findJob(orderHash)
    if (known === undefined || known.phase === 'declined') return log.warn({ event: 'acknowledgement.unknown', orderHash }, 'a voucher for a job that was not taken here')
    const { request, delivery, receiptHash } = journal.getAcceptedJob(orderHash)
    const { order } = request
    if (delivery === undefined || receiptHash === undefined || delivery.receipt.status !== 0) {
      return log.warn({ event: 'acknowledgement.unexpected', orderHash }, 'a voucher for a job without a result')
    }
    const id = laneId(order)
    const tip = journal.findLane(id) ?? { jobs: 0, cumulativeAmount: 0n, recordsHash: zeroBytes32 }
    const record: JobRecord = { orderHash, receiptHash, moduleVersion: order.moduleVersion, price: delivery.receipt.price, nonce: order.nonce }
    const verdict = verifyAcknowledgement({ domain, order, record, tip, acknowledgement })
    if (verdict.kind === 'early') return this.#keepEarly(id, orderHash, acknowledgement)
    if (verdict.kind === 'invalid') return log.warn({ event: 'acknowledgement.invalid', orderHash, code: verdict.code, reason: verdict.reason }, 'a voucher that does not pay the job')
    journal.acknowledge({ acknowledgement, record, now: Math.floor(Date.now() / 1000) })
    reach('acknowledged')
    log.info({ event: 'job.acknowledged', orderHash, laneId: id, jobs: acknowledgement.voucher.jobs, price: record.price.toString() }, 'job acknowledged')
    this.#confirm(orderHash)
    onAcknowledged()
    this.#takeNext(id, acknowledgement.voucher.jobs + 1)
  }

  #confirm(orderHash: Bytes32): void {
    this.#options.send({ type: 'acknowledged', orderHash })
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
