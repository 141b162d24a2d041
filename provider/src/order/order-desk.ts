import {
  type Address,
  type Bytes32,
  type ErrorCode,
  isStepLane,
  laneId,
  LilypadError,
  type OrderRequest,
  type ProviderFrame,
  reservationType,
  type SignedReservation,
  type Signer,
  type SigningDomain,
} from '@lilypad-agents/protocol'
import { retry } from '../connection/backoff.ts'
import type { ReachPoint } from '../fault/fault-point.ts'
import type { Journal, JournalJob } from '../journal/journal.ts'
import { failureFacts, type Logger } from '../log/logger.ts'
import type { ModuleShelf } from '../module/module-shelf.ts'
import { checkOrder, type ExposureCaps, type OrderFacts, type Violation } from './check-order.ts'
import type { PayerFacts, PayerFactsReader } from './payer-facts.ts'

export type OrderDeskOptions = {
  readonly domain: SigningDomain
  readonly signer: Signer
  readonly acceptedTokens: readonly Address[]
  readonly exposure: ExposureCaps
  readonly journal: Journal
  readonly shelf: Pick<ModuleShelf, 'find'>
  /** Makes a module ready that this node has sold and has not started again yet. Does nothing for one that is ready. */
  readonly prepareModule: (moduleVersion: Bytes32) => Promise<void>
  readonly payers: PayerFactsReader
  /** Brings the journal's view of a payer's lanes up to date with the chain. */
  readonly refreshLanes: (of: { readonly payer: Address; readonly token: Address }) => Promise<void>
  /** Whether another job fits into the queue, and its inputs onto the disk. */
  readonly hasRoom: (request: OrderRequest) => boolean
  readonly send: (frame: ProviderFrame) => boolean
  readonly onAccepted: (orderHash: Bytes32) => void
  /** An order came again for a job whose delivery the solver may have missed. */
  readonly onRepeated: (job: JournalJob) => void
  readonly reach: ReachPoint
  readonly log: Logger
}

export type OrderFrame = {
  readonly orderHash: Bytes32
  readonly request: OrderRequest
  readonly reservation: SignedReservation
}

const factsAgeMilliseconds = 2000
/** A job that has not started after this is said to be taken. */
const startsAtOnceMilliseconds = 20

/** Takes orders in: each is judged once, and gets the same answer however often it comes. */
export class OrderDesk {
  readonly #options: OrderDeskOptions
  readonly #judging = new Set<Bytes32>()
  readonly #stop = new AbortController()

  constructor(options: OrderDeskOptions) {
    this.#options = options
  }

  async receive(frame: OrderFrame, solver: Address): Promise<void> {
    const { journal, onRepeated, reach, log } = this.#options
    const { orderHash } = frame
    const known = journal.findJob(orderHash)
    if (known !== undefined) {
      this.#answer(known)
      onRepeated(known)
      return
    }
    // The same order over two connections, or twice over one, is judged once.
    if (this.#judging.has(orderHash)) return
    this.#judging.add(orderHash)
    try {
      reach('order-received')
      await this.#judge(frame, solver)
    } catch (error) {
      if (this.#stop.signal.aborted) return
      log.error({ event: 'order.not-judged', orderHash, ...failureFacts(error) }, 'the order could not be judged')
      const reason = 'the provider could not check the order in time'
      this.#decline(orderHash, [{ rule: 'judged', code: LilypadError.is(error) ? error.code : 'INTERNAL', reason }])
    } finally {
      this.#judging.delete(orderHash)
    }
  }

  close(): void {
    this.#stop.abort()
  }

  async #judge(frame: OrderFrame, solver: Address): Promise<void> {
    const { hasRoom } = this.#options
    if (!hasRoom(frame.request))
      return this.#decline(frame.orderHash, [
        { rule: 'queue', code: 'NO_PROVIDER_AVAILABLE', reason: 'the queue or the disk of the provider is full' },
      ])
    await this.#prepareModule(frame.request)
    const violations = this.#settleIfFine(frame, solver, await this.#readPayer(frame.request, factsAgeMilliseconds))
    if (violations.length === 0) return
    // What was remembered may be out of date, such as the balance just before a deposit.
    const payer = await this.#readPayer(frame.request, 0)
    // The balance was read first: a settlement between the two reads makes the payer look richer, never poorer.
    await this.#options.refreshLanes(frame.request.order)
    const second = this.#settleIfFine(frame, solver, payer)
    if (second.length > 0) this.#decline(frame.orderHash, second)
  }

  /** Orders come as soon as the solver is reached, which after a restart is before the modules are ready again. */
  async #prepareModule({ order }: OrderRequest): Promise<void> {
    const { prepareModule, log } = this.#options
    const preparing = retry(() => prepareModule(order.moduleVersion), {
      signal: this.#stop.signal,
      until: order.startBy * 1000,
      maxMilliseconds: 2000,
      isRetryable: (error) => LilypadError.is(error) && error.retryable,
    })
    await preparing.catch((error: unknown) => {
      if (this.#stop.signal.aborted) throw error
      // The order is judged without it, and declined for that.
      log.warn({ event: 'module.not-ready', ...failureFacts(error) }, 'the module of an order cannot be made ready')
    })
  }

  #readPayer(request: OrderRequest, maxAgeMilliseconds: number): Promise<PayerFacts> {
    const { payers, log } = this.#options
    return retry(() => payers.read(request, { maxAgeMilliseconds }), {
      signal: this.#stop.signal,
      until: request.order.startBy * 1000,
      maxMilliseconds: 2000,
      isRetryable: (error) => LilypadError.is(error) && error.retryable,
      onFailure: (error, attempt) => {
        if (attempt === 0)
          log.warn(
            { event: 'order.waiting', ...failureFacts(error) },
            'the chain has to answer before the order is judged',
          )
      },
    })
  }

  /** Judges and accepts without a pause between the two, so that no other order can use the same nonce or money. */
  #settleIfFine(frame: OrderFrame, solver: Address, payer: PayerFacts): readonly Violation[] {
    const { domain, signer, acceptedTokens, exposure, journal, shelf, reach, log, onAccepted } = this.#options
    const { orderHash, request, reservation } = frame
    const { order } = request
    const lane = laneId(order)
    const now = Math.floor(Date.now() / 1000)
    const known = {
      solver: reservation.reservation.solver,
      payer: reservation.reservation.payer,
      token: reservation.reservation.token,
    }
    const facts: OrderFacts = {
      orderHash,
      request,
      reservation,
      domain,
      provider: signer.address,
      solver,
      acceptedTokens,
      manifest: shelf.find(order.moduleVersion)?.manifest,
      now,
      isNonceTaken: journal.isNonceTaken(lane, order.nonce, orderHash) || order.nonce < payer.chainLane.nextNonce,
      unknownLaneJobs:
        Math.max(0, payer.chainLane.settledJobs - (journal.findLane(lane)?.jobs ?? 0)) +
        Number(journal.claims.isLaneBroken(lane) || journal.steps.isLaneTaken(lane)),
      isLaneOpen: isStepLane(order.lane) && journal.isLaneOpen(lane),
      knownReservation: journal.findReservationHash({ ...known, sequence: reservation.reservation.sequence }),
      knownPrevious: journal.findReservationHash({ ...known, sequence: reservation.reservation.sequence - 1 }),
      account: payer.account,
      payerExposure: journal.sumExposure({ payer: order.payer, token: order.token, now }),
      keyExposure: journal.sumExposure({ payer: order.payer, token: order.token, key: order.key, now }),
      solverExposure: journal.sumExposure({ solver: order.solver, token: order.token, now }),
      unpaidSeconds: journal.sumUnpaidSeconds({ payer: order.payer, since: now - 86_400 }),
      caps: exposure,
      chainGrant: payer.chainGrant,
      isGrantSigned: payer.isGrantSigned,
    }
    const violations = checkOrder(facts)
    if (violations.length > 0) return violations
    journal.accept({
      orderHash,
      request,
      reservation,
      reservationHash: reservationType.hash(domain, reservation.reservation),
      now,
    })
    reach('accepted')
    log.info(
      { event: 'order.accepted', orderHash, moduleVersion: order.moduleVersion, maxPrice: order.maxPrice.toString() },
      'order accepted',
    )
    onAccepted(orderHash)
    // `started` says that it was taken, too, and most jobs start at once.
    setTimeout(() => {
      if (!this.#stop.signal.aborted && journal.findJob(orderHash)?.attempts === 0) this.#tellAccepted(orderHash)
    }, startsAtOnceMilliseconds).unref()
    return []
  }

  #decline(orderHash: Bytes32, violations: readonly Violation[]): void {
    const { journal, log } = this.#options
    const [first] = violations
    const code: ErrorCode = first?.code ?? 'JOB_DECLINED'
    const reason = (first?.reason ?? 'the provider does not take the order').slice(0, 400)
    journal.decline(orderHash, { code, reason }, Math.floor(Date.now() / 1000))
    log.info({ event: 'order.declined', orderHash, rules: violations.map(({ rule }) => rule), code }, 'order declined')
    this.#options.send({ type: 'declined', orderHash, code, reason })
  }

  #tellAccepted(orderHash: Bytes32): void {
    const { journal, send, log } = this.#options
    journal.flush().then(
      () => send({ type: 'accepted', orderHash }),
      (error: unknown) =>
        log.error({ event: 'journal.not-synced', orderHash, ...failureFacts(error) }, 'order not confirmed'),
    )
  }

  #answer(job: JournalJob): void {
    const { send } = this.#options
    if (job.declined)
      send({ type: 'declined', orderHash: job.orderHash, code: job.declined.code, reason: job.declined.reason })
    else this.#tellAccepted(job.orderHash)
  }
}
