import {
  ReplyMeter,
  type SeenReply,
  type SignedStep,
  type StreamChunk,
  type StreamPiece,
} from '@lilypad-agents/protocol'

/** Places of a stream that a step can still be about: a step comes after the chunk it is about, and chunks overtake it. */
const maxPlaces = 4096

/** What one reader has seen of a reply, chunk by chunk, as steps are judged by it. */
export class ReplyHistory {
  #attempt = 0
  #meter = new ReplyMeter()
  /** Oldest first, without gaps. */
  #places: SeenReply[] = []
  /** The newest step, while its chunks have not come. */
  #waiting: SignedStep | undefined
  readonly #onStep: (step: SignedStep, seen: SeenReply) => void

  constructor(onStep: (step: SignedStep, seen: SeenReply) => void) {
    this.#onStep = onStep
  }

  /** A chunk was checked and taken. */
  addPiece({ attempt, index, head }: StreamChunk, piece: StreamPiece): void {
    if (attempt !== this.#attempt) {
      this.#attempt = attempt
      this.#meter = new ReplyMeter()
      this.#places = []
    }
    if (piece.channel === 'response') this.#meter.add(piece.bytes)
    this.#places.push({ attempt, chunks: index + 1, head, counted: this.#meter.units })
    if (this.#places.length > maxPlaces) this.#places.shift()
    if (this.#waiting) this.#look(this.#waiting)
  }

  /** A step came, before or after the chunks it is about. */
  addStep(step: SignedStep): void {
    this.#look(step)
  }

  #look(signed: SignedStep): void {
    const { attempt, chunks } = signed.step
    this.#waiting = undefined
    const isAhead =
      attempt > this.#attempt || (attempt === this.#attempt && chunks > (this.#places.at(-1)?.chunks ?? 0))
    if (isAhead) {
      this.#waiting = signed
      return
    }
    const seen = this.#places[chunks - (this.#places[0]?.chunks ?? 0)]
    if (seen && attempt === this.#attempt) this.#onStep(signed, seen)
  }
}
