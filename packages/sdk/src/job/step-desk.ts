import {
  appendRecord,
  type Bytes32,
  findStepFault,
  isFinal,
  isStepLane,
  laneId,
  LilypadError,
  type SeenReply,
  type SignedStep,
  type SigningDomain,
  type StepAcknowledgement,
  stepRecord,
  stepTerms,
  zeroBytes32,
} from '@lilypad-agents/protocol'
import type { SolverClient } from '../http/solver-client.ts'
import type { ClientStore, StoredJob } from '../store/client-store.ts'
import type { KeyWallet } from '../wallet/key-wallet.ts'

/** How often a voucher is sent again to a relay that is away, and the pause between, in milliseconds. */
const maxTries = 20
const pauseMilliseconds = 500
/** Two clocks differ a little in their speed, and in whole seconds one of them may have just begun. */
const clockSlackSeconds = 2

export type StepDeskOptions = {
  readonly domain: SigningDomain
  readonly store: ClientStore
  readonly solver: Pick<SolverClient, 'acknowledgeStep'>
  readonly signVoucher: KeyWallet['signVoucher']
  readonly nowSeconds: () => number
}

/**
 * Acknowledges what came of a streamed reply while the rest is made. Each voucher holds all jobs of the lane that are over and the
 * newest step of the one that is open; it is kept before it leaves. A step that what came does not bear out is not acknowledged, and
 * its provider makes no more.
 */
export class StepDesk {
  readonly #options: StepDeskOptions
  /** The newest voucher of a job that is on its way. */
  readonly #sending = new Map<Bytes32, { next: StepAcknowledgement | undefined }>()

  constructor(options: StepDeskOptions) {
    this.#options = options
  }

  /** Judges a step, signs it and sends it. The stream is not held up by it. */
  async take(orderHash: Bytes32, step: SignedStep, seen: SeenReply): Promise<void> {
    const acknowledged = await this.sign(orderHash, step, seen)
    if (acknowledged) await this.#send(orderHash, acknowledged)
  }

  /** The voucher for a step, kept; the same one for a step that was acknowledged before. Undefined when the step is not to be paid. */
  async sign(orderHash: Bytes32, signed: SignedStep, seen: SeenReply): Promise<StepAcknowledgement | undefined> {
    const { domain, store, signVoucher, nowSeconds } = this.#options
    return store.transaction((transaction) => {
      const job = transaction.findJob(orderHash)
      if (!job || !isOpen(job)) return undefined
      const { order, module: manifest, inputs, ask, step: before } = job
      // Of two steps of one job the dearer pays both.
      if (before && signed.step.price <= before.step.step.price)
        return before.step.signature === signed.signature ? before : undefined
      const { maxPrice, provider } = order
      const fault = findStepFault(signed, {
        ...{ domain, orderHash, provider, maxPrice, seen },
        terms: stepTerms({ manifest, inputs, ask: ask.ask, maxPrice }),
        maxSeconds: Math.max(0, nowSeconds() - job.orderedAt) + clockSlackSeconds,
      })
      if (fault !== undefined) return undefined
      const lane = transaction.findLane(laneId(order)) ?? { jobs: 0, cumulativeAmount: 0n, recordsHash: zeroBytes32 }
      const { payer, key, solver, token } = order
      const voucher = {
        ...{ payer, key, provider, solver, token, lane: order.lane },
        cumulativeAmount: lane.cumulativeAmount + signed.step.price,
        jobs: lane.jobs + 1,
        recordsHash: appendRecord(lane.recordsHash, stepRecord(domain, order, signed.step)),
      }
      const step = { step: signed, acknowledgement: { voucher, signature: signVoucher(voucher) } }
      transaction.putJob({ ...job, step })
      return step
    })
  }

  /** Sends one voucher of a job at a time, and of those that wait the newest alone. */
  async #send(orderHash: Bytes32, acknowledged: StepAcknowledgement): Promise<void> {
    const under = this.#sending.get(orderHash)
    if (under) {
      under.next = acknowledged
      return
    }
    const sending: { next: StepAcknowledgement | undefined } = { next: acknowledged }
    this.#sending.set(orderHash, sending)
    try {
      for (let tries = 0; sending.next && tries < maxTries; ) {
        const { next } = sending
        try {
          await this.#options.solver.acknowledgeStep(orderHash, next)
          if (sending.next === next) sending.next = undefined
        } catch (error) {
          // The job is over meanwhile, or the relay knows no steps: the receipt pays for all of it.
          if (!LilypadError.is(error) || !error.retryable) return
          tries += 1
          await new Promise((resolve) => setTimeout(resolve, pauseMilliseconds))
        }
      }
    } finally {
      this.#sending.delete(orderHash)
    }
  }
}

/** Whether a step of the job may still be acknowledged. */
function isOpen({ acknowledgement, verified, state, order }: StoredJob): boolean {
  return isStepLane(order.lane) && acknowledgement === null && verified === null && !isFinal(state)
}

/** A provider may take the last step of a job for its payment when the receipt is not acknowledged for an hour. */
const promptSeconds = 1800

/** Whether the lane of a job can have another: nothing of it is open, and its voucher ends in a receipt for sure. */
export function isLaneFree(job: StoredJob, nowSeconds: number): boolean {
  const { order, acknowledgementSent, delivery, settlement, state, step, reason } = job
  if (!isStepLane(order.lane)) return false
  if (acknowledgementSent) {
    const isPrompt = nowSeconds <= (delivery?.receipt.finishedAt ?? 0) + promptSeconds
    return settlement === null && (isPrompt || step === undefined)
  }
  const isUnpaid = state === 'declined' || state === 'expired' || state === 'failed'
  // A provider that knows the lane better has asked for another one.
  return isUnpaid && step === undefined && reason?.code !== 'STATE_CONFLICT'
}
