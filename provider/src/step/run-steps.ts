import {
  type Bytes32,
  jobOrderType,
  type JobOrder,
  ReplyMeter,
  type SignedStep,
  type Signer,
  type SigningDomain,
  type StepTerms,
  type StreamSummary,
  stepType,
} from '@lilypad-agents/protocol'
import { type StepPolicy, stepPriceOf } from './step-policy.ts'

export type RunStepsOptions = {
  readonly domain: SigningDomain
  readonly signer: Signer
  readonly order: JobOrder
  readonly terms: StepTerms
  readonly policy: StepPolicy
  /** Most seconds that the order pays for. */
  readonly paidSeconds: number
  /** What was acknowledged of an earlier run of the job. */
  readonly acknowledgedPrice: bigint
  readonly send: (step: SignedStep) => void
  /** Nothing was acknowledged for too long. */
  readonly onSilence: () => void
}

/**
 * Meters one streamed reply while it is made: signs a step each time another step's price has come together, and holds the model server
 * up when the requester is too far behind.
 */
export class RunSteps {
  readonly orderHash: Bytes32
  readonly order: JobOrder
  readonly #options: RunStepsOptions
  readonly #stepPrice: bigint
  readonly #maxUnpaid: bigint
  readonly #meter = new ReplyMeter()
  #startedAt: number | undefined
  #isAsked = false
  #newest: SignedStep | undefined
  #price = 0n
  #acknowledged: bigint
  #wake: (() => void) | undefined

  constructor(options: RunStepsOptions) {
    const { domain, order, policy, acknowledgedPrice } = options
    this.#options = options
    this.order = order
    this.orderHash = jobOrderType.hash(domain, order)
    this.#stepPrice = stepPriceOf(policy, order.maxPrice)
    this.#maxUnpaid = this.#stepPrice * BigInt(policy.maxAhead ?? 2)
    this.#acknowledged = acknowledgedPrice
  }

  /** The requester acknowledges steps. What it has not acknowledged of those that were made is sent again. */
  ask(): void {
    this.#isAsked = true
    this.sendAgain()
  }

  sendAgain(): void {
    if (this.#newest && this.#newest.step.price > this.#acknowledged) this.#options.send(this.#newest)
  }

  /**
   * Counts what has been put into the stream, which stands at `position` now.
   * @returns what is waited for before more is made
   */
  take(bytes: Uint8Array, position: Omit<StreamSummary, 'truncated'>): Promise<void> | undefined {
    this.#startedAt ??= performance.now()
    this.#meter.add(bytes)
    if (!this.#isAsked) return undefined
    const units = { ...this.#options.terms.units(this.#meter.units), meteredSeconds: this.#seconds(this.#startedAt) }
    this.#price = this.#options.terms.price(units)
    const stepped = this.#newest?.step.price ?? 0n
    const covered = stepped > this.#acknowledged ? stepped : this.#acknowledged
    if (this.#price - covered >= this.#stepPrice) this.#sign(position, units)
    return this.#isBehind ? this.#untilAcknowledged() : undefined
  }

  /** A step of so much is acknowledged, and that is on disk. */
  acknowledge(price: bigint): void {
    if (price > this.#acknowledged) this.#acknowledged = price
    if (!this.#isBehind) this.#wake?.()
  }

  close(): void {
    this.#wake?.()
  }

  get #isBehind(): boolean {
    return this.#price - this.#acknowledged > this.#maxUnpaid
  }

  /** Whole seconds since the reply began, of those that the order pays for: the receipt counts no fewer. */
  #seconds(startedAt: number): number {
    return Math.min(Math.floor((performance.now() - startedAt) / 1000), this.#options.paidSeconds)
  }

  #sign(
    { attempt, chunks, head }: Omit<StreamSummary, 'truncated'>,
    units: { readonly inputUnits: number; readonly outputUnits: number; readonly meteredSeconds: number },
  ): void {
    const { domain, signer, send } = this.#options
    const step = { orderHash: this.orderHash, attempt, chunks, head, ...units, price: this.#price }
    this.#newest = { step, signature: stepType.sign(domain, step, signer) }
    send(this.#newest)
  }

  #untilAcknowledged(): Promise<void> {
    const { policy, onSilence } = this.#options
    return new Promise((resolve) => {
      const timer = setTimeout(onSilence, (policy.timeoutSeconds ?? 30) * 1000)
      this.#wake = () => {
        clearTimeout(timer)
        this.#wake = undefined
        resolve()
      }
    })
  }
}
