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
import type { RunStream } from '../stream/stream-desk.ts'
import { type StepPolicy, stepPriceOf } from './step-policy.ts'

/** Bytes of a reply that are put into the stream at once: some tokens, each of which is an event of a few hundred bytes. */
const maxPieceBytes = 2048
const newLine = 10

export type RunStepsOptions = {
  readonly domain: SigningDomain
  readonly signer: Signer
  readonly order: JobOrder
  readonly terms: StepTerms
  readonly pricePerOutputUnit: bigint
  /** The most that the job can cost, however much its order would pay. */
  readonly mostPrice: bigint
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
  #isReleased = false
  #newest: SignedStep | undefined
  #price = 0n
  #acknowledged: bigint
  #wake: (() => void) | undefined

  constructor(options: RunStepsOptions) {
    const { domain, order, pricePerOutputUnit, mostPrice, policy, acknowledgedPrice } = options
    this.#options = options
    this.order = order
    this.orderHash = jobOrderType.hash(domain, order)
    this.#stepPrice = stepPriceOf(policy, { mostPrice, pricePerOutputUnit })
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
   * Puts what the model server has said into the stream and counts it. More than a little of it at once, as it comes after a pause, goes
   * piece by piece, so that no more than the exposure leaves.
   * @returns what is waited for before more is made
   */
  write(bytes: Uint8Array, stream: Pick<RunStream, 'write' | 'position'>): Promise<void> | undefined {
    if (this.#isAsked && bytes.length > maxPieceBytes) return this.#writePieces(splitLines(bytes), stream)
    const room = stream.write('response', bytes)
    const held = this.#take(bytes, stream.position)
    return room && held ? Promise.all([room, held]).then(() => {}) : (room ?? held)
  }

  async #writePieces(pieces: readonly Uint8Array[], stream: Pick<RunStream, 'write' | 'position'>): Promise<void> {
    for (const piece of pieces) {
      const room = stream.write('response', piece)
      await Promise.all([room, this.#take(piece, stream.position)])
    }
  }

  #take(bytes: Uint8Array, position: Omit<StreamSummary, 'truncated'>): Promise<void> | undefined {
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

  /** The requester wants no more: what is held goes on once, so that the reply can be ended where it stands. */
  release(): void {
    if (!this.#isReleased) this.#wake?.()
    this.#isReleased = true
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
      const wake = () => {
        clearTimeout(timer)
        this.#wake = undefined
        resolve()
      }
      const timer = setTimeout(
        () => {
          onSilence()
          // What reads on now finds the job ended.
          wake()
        },
        (policy.timeoutSeconds ?? 30) * 1000,
      )
      this.#wake = wake
    })
  }
}

/** Cuts bytes after the last end of a line within each piece, where there is one. */
function splitLines(bytes: Uint8Array): readonly Uint8Array[] {
  const pieces: Uint8Array[] = []
  for (let start = 0; start < bytes.length; ) {
    const window = bytes.subarray(start, start + maxPieceBytes)
    const isLast = start + window.length === bytes.length
    const piece = isLast ? window : window.subarray(0, window.lastIndexOf(newLine) + 1 || window.length)
    pieces.push(piece)
    start += piece.length
  }
  return pieces
}
