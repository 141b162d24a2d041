import {
  type Bytes32,
  isStepLane,
  type JobOrder,
  laneId,
  type ProviderFrame,
  type Signer,
  type SigningDomain,
  type StepAcknowledgement,
  stepRecord,
  stepTerms,
  stepType,
  zeroBytes32,
} from '@lilypad-agents/protocol'
import { verifyAcknowledgement } from '../acknowledgement/verify-acknowledgement.ts'
import type { ReachPoint } from '../fault/fault-point.ts'
import type { AcceptedJob, Journal } from '../journal/journal.ts'
import { failureFacts, type Logger } from '../log/logger.ts'
import type { InstalledModule } from '../module/install-module.ts'
import { RunSteps } from './run-steps.ts'
import type { StepPolicy } from './step-policy.ts'

export type StepDeskOptions = {
  readonly domain: SigningDomain
  readonly signer: Signer
  readonly journal: Journal
  readonly policy: StepPolicy
  readonly send: (frame: ProviderFrame) => boolean
  /** The requester of this job has acknowledged nothing for too long. */
  readonly onSilence: (orderHash: Bytes32) => void
  /** A step of a job that is over was acknowledged. */
  readonly onLate: () => void
  readonly reach: ReachPoint
  readonly log: Logger
}

/** Makes the steps of replies that stream, and takes the vouchers for them in: verified, on disk, then the model server goes on. */
export class StepDesk {
  readonly #options: StepDeskOptions
  readonly #runs = new Map<Bytes32, RunSteps>()
  /** Jobs whose requesters acknowledge steps: those that run or will. */
  readonly #asked = new Set<Bytes32>()

  constructor(options: StepDeskOptions) {
    this.#options = options
  }

  /** Begins to meter a run. Undefined where a voucher could not hold a step of the job. */
  open(
    { orderHash, request }: AcceptedJob,
    { manifest }: Pick<InstalledModule, 'manifest'>,
    paidSeconds: number,
  ): RunSteps | undefined {
    const { domain, signer, journal, policy, send, onSilence, log } = this.#options
    const { order, inputs } = request
    if (!isStepLane(order.lane)) return undefined
    const terms = stepTerms({ manifest, inputs, ask: request.ask.ask, maxPrice: order.maxPrice })
    const most = { inputUnits: Number.MAX_SAFE_INTEGER, outputUnits: Number.MAX_SAFE_INTEGER }
    const meteredSeconds = Math.min(paidSeconds, manifest.limits.timeoutSeconds)
    const run = new RunSteps({
      ...{ domain, signer, order, policy, paidSeconds, terms },
      pricePerOutputUnit: request.ask.ask.pricePerOutputUnit,
      // Its requester chooses the order's maximum: with one of many times the price, a whole reply would be less than a step.
      mostPrice: terms.price({ ...terms.units(most), meteredSeconds }),
      acknowledgedPrice: journal.steps.find(orderHash)?.step.step.price ?? 0n,
      send: (step) => void send({ type: 'step', orderHash, step }),
      onSilence: () => {
        log.info({ event: 'steps.silent', orderHash }, 'the requester has acknowledged nothing for too long')
        onSilence(orderHash)
      },
    })
    this.#runs.set(orderHash, run)
    if (this.#asked.has(orderHash)) run.ask()
    return run
  }

  /** The requester has cancelled the job. */
  release(orderHash: Bytes32): void {
    this.#runs.get(orderHash)?.release()
  }

  /** The run is over; the job may be run again. */
  close(orderHash: Bytes32): void {
    this.#runs.get(orderHash)?.close()
    this.#runs.delete(orderHash)
  }

  /** The job is over. */
  forget(orderHash: Bytes32): void {
    this.close(orderHash)
    this.#asked.delete(orderHash)
  }

  /** The requester of a job acknowledges its steps. */
  ask(orderHash: Bytes32): void {
    if (this.#options.journal.findJob(orderHash)?.phase !== 'accepted') return
    this.#asked.add(orderHash)
    this.#runs.get(orderHash)?.ask()
  }

  /** The connection is up: what was sent over another one may be lost. */
  resume(): void {
    for (const run of this.#runs.values()) run.sendAgain()
  }

  receive(orderHash: Bytes32, acknowledged: StepAcknowledgement): void {
    const { journal, reach, log, onLate } = this.#options
    const run = this.#runs.get(orderHash)
    const { price } = acknowledged.step.step
    const known = journal.steps.find(orderHash)
    if (known && known.step.step.price >= price) {
      this.#tell(orderHash, known.step.step.price)
      return
    }
    const order = run?.order ?? this.#findUnpaid(orderHash)
    const problem = order ? this.#findProblem(orderHash, order, acknowledged) : 'it is for a job that has no open price'
    if (problem !== undefined) {
      log.warn({ event: 'step.refused', orderHash, problem }, 'a voucher for a step that does not pay it')
      return
    }
    journal.saveStep(acknowledged)
    reach('step-acknowledged')
    log.debug({ event: 'step.acknowledged', orderHash, price: price.toString() }, 'step acknowledged')
    this.#tell(orderHash, price)
    if (!run) onLate()
  }

  /** What is on disk counts: the model server goes on then. */
  #tell(orderHash: Bytes32, price: bigint): void {
    const { journal, log } = this.#options
    journal.flush().then(
      () => this.#runs.get(orderHash)?.acknowledge(price),
      (error: unknown) =>
        log.error({ event: 'journal.not-synced', orderHash, ...failureFacts(error) }, 'step not counted'),
    )
  }

  /** The order of a job whose receipt is not acknowledged and not claimed. */
  #findUnpaid(orderHash: Bytes32): JobOrder | undefined {
    const { journal } = this.#options
    const phase = journal.findJob(orderHash)?.phase
    const isUnpaid = phase !== undefined && phase !== 'acknowledged' && phase !== 'declined'
    return isUnpaid && journal.claims.find(orderHash) === undefined
      ? journal.getAcceptedJob(orderHash).request.order
      : undefined
  }

  #findProblem(orderHash: Bytes32, order: JobOrder, { step: signed, acknowledgement }: StepAcknowledgement) {
    const { domain, signer, journal } = this.#options
    const { step, signature } = signed
    if (step.orderHash !== orderHash) return 'it is for another job'
    if (stepType.findSigner(domain, step, signature) !== signer.address) return 'this provider did not sign the step'
    if (!isStepLane(order.lane)) return 'its lane may have other open jobs'
    const tip = journal.findLane(laneId(order)) ?? { jobs: 0, cumulativeAmount: 0n, recordsHash: zeroBytes32 }
    const record = stepRecord(domain, order, step)
    const verdict = verifyAcknowledgement({ domain, order, record, tip, acknowledgement })
    switch (verdict.kind) {
      case 'valid':
        return undefined
      case 'early':
        return 'the acknowledgement of an earlier job of its lane has not come'
      case 'invalid':
        return verdict.reason
    }
  }
}
