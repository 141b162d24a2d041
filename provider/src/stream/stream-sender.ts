import { closeSync, openSync } from 'node:fs'
import { type Bytes32, type ProviderFrame, type StreamChunk, streamWindowBytes } from '@lilypad-agents/protocol'
import { readStreamBlock, type StreamLine } from './stream-lines.ts'

/** Unacknowledged bytes on disk beyond which a program is held up. */
export const maxBacklogBytes = 1024 ** 2
/** A relay that took nothing for this long does not hold a program up any more: the time is the requester's, and the disk has room. */
export const longestHoldMilliseconds = 5000
/** Times that a relay may find one place broken before it is given up. */
const maxStrikes = 3

export type StreamSenderOptions = {
  readonly orderHash: Bytes32
  readonly attempt: number
  /** File of chunks; it may still grow. */
  readonly path: string
  readonly send: (frame: ProviderFrame) => boolean
  /** The relay takes no more of this stream. */
  readonly onRefused: (code: string) => void
}

type InFlight = { readonly bytes: number; isStale: boolean }

/**
 * Sends a file of chunks in order and each again until the relay has it, at most a window ahead of its answers. Nothing of the stream is
 * kept in memory but what is on its way: it is read from the file again after a lost connection.
 */
export class StreamSender {
  readonly attempt: number
  readonly #options: StreamSenderOptions
  readonly #file: number
  /** Read, not sent. */
  #block: StreamLine[] = []
  /** Chunk that is sent next, and where it begins. */
  #next = 0
  #offset = 0
  /** Chunks and bytes in the file, as far as is known. */
  #written = 0
  #end = 0
  /** Chunks that the relay has, and where they end. */
  #stored = 0
  #storedEnd = 0
  /** Sent and not answered, oldest first: each is answered once while the connection lasts. */
  #inFlight: InFlight[] = []
  #inFlightBytes = 0
  /** Bytes of each line from `stored` to `next`. */
  #sizes: number[] = []
  #waitingSince = 0
  #strikes = 0
  #isUp = true
  #isComplete = false
  #isOver = false
  readonly #wakes = new Set<() => void>()

  constructor(options: StreamSenderOptions) {
    this.#options = options
    this.attempt = options.attempt
    this.#file = openSync(options.path, 'r')
  }

  /** Chunks that the relay has. */
  get stored(): number {
    return this.#stored
  }

  /** A chunk was written to the end of the file. */
  add(chunk: StreamChunk, lineBytes: number): void {
    if (this.#storedEnd === this.#end) this.#waitingSince = Date.now()
    this.#written = chunk.index + 1
    this.#end += lineBytes
    // Who is not behind needs no look into the file.
    const isNext = this.#next === chunk.index && this.#block.length === 0
    if (isNext && this.#hasWindow) this.#sendLine({ chunk, lineBytes })
    else this.#pump()
  }

  /** The file is whole: it has so many chunks. */
  complete(chunks: number): void {
    this.#written = chunks
    this.#isComplete = true
    this.#pump()
    this.#wake()
  }

  /** The connection is up, perhaps another one: what was not answered is sent again. */
  resume(): void {
    this.#isUp = true
    this.#inFlight = []
    this.#inFlightBytes = 0
    this.#seek(this.#stored)
    this.#pump()
  }

  /** The relay has answered the oldest chunk that is on its way. */
  receive(answer: { readonly stored: number; readonly refused?: string | undefined }): void {
    const answered = this.#inFlight.shift()
    if (answered === undefined || this.#isOver) return
    this.#inFlightBytes -= answered.bytes
    // Sent before the stream was taken up again at another place: its answer says nothing new.
    if (!answered.isStale) this.#learn(answer)
    this.#pump()
    this.#wake()
  }

  #learn({ stored, refused }: { readonly stored: number; readonly refused?: string | undefined }): void {
    if (stored > this.#stored) {
      this.#strikes = 0
      this.#waitingSince = Date.now()
    }
    if (refused !== undefined && (refused !== 'STREAM_BROKEN' || ++this.#strikes > maxStrikes)) {
      this.#refuse(refused)
      return
    }
    const isElsewhere = refused !== undefined || stored > this.#next || stored < this.#stored
    if (isElsewhere) this.#seek(Math.min(stored, this.#written))
    else for (; this.#stored < stored; this.#stored++) this.#storedEnd += this.#sizes.shift() ?? 0
  }

  get #hasWindow(): boolean {
    return this.#isUp && !this.#isOver && this.#inFlightBytes < streamWindowBytes
  }

  #pump(): void {
    while (this.#hasWindow && this.#next < this.#written) {
      if (this.#block.length === 0) this.#block = [...readStreamBlock(this.#file, this.#offset)]
      const line = this.#block.shift()
      if (line === undefined || !this.#sendLine(line)) return
    }
  }

  #sendLine(line: StreamLine): boolean {
    const { chunk, lineBytes } = line
    this.#isUp = this.#options.send({ type: 'chunk', orderHash: this.#options.orderHash, chunk })
    if (!this.#isUp) {
      this.#block = []
      return false
    }
    this.#next = chunk.index + 1
    this.#offset += lineBytes
    this.#sizes.push(lineBytes)
    this.#inFlight.push({ bytes: lineBytes, isStale: false })
    this.#inFlightBytes += lineBytes
    return true
  }

  /** Takes the stream up at a chunk, which is where the relay stands. */
  #seek(chunk: number): void {
    for (const entry of this.#inFlight) entry.isStale = true
    this.#block = []
    this.#sizes = []
    let offset = chunk >= this.#stored ? this.#storedEnd : 0
    let index = chunk >= this.#stored ? this.#stored : 0
    while (index < chunk) {
      const block = readStreamBlock(this.#file, offset)
      if (block.length === 0) break
      for (const { lineBytes } of block.slice(0, chunk - index)) {
        offset += lineBytes
        index += 1
      }
    }
    this.#next = index
    this.#offset = offset
    this.#stored = index
    this.#storedEnd = offset
  }

  #refuse(code: string): void {
    this.#isOver = true
    this.#options.onRefused(code)
    this.#wake()
  }

  /** Undefined when a program may go on writing, else what it waits for. It never waits for a relay that takes nothing. */
  room(): Promise<void> | undefined {
    const isHeld = () => {
      const isFull = this.#end - this.#storedEnd > maxBacklogBytes
      return isFull && !this.#isOver && Date.now() - this.#waitingSince < longestHoldMilliseconds
    }
    if (!isHeld()) return undefined
    return this.#until(() => !isHeld(), longestHoldMilliseconds)
  }

  /** Waits until the relay has the whole stream, or takes no more of it. */
  async flushed(signal: AbortSignal): Promise<void> {
    const isDone = () => this.#isOver || (this.#isComplete && this.#stored >= this.#written) || signal.aborted
    const wake = () => this.#wake()
    signal.addEventListener('abort', wake, { once: true })
    await this.#until(isDone)
    signal.removeEventListener('abort', wake)
  }

  close(): void {
    this.#isOver = true
    closeSync(this.#file)
    this.#wake()
  }

  #wake(): void {
    for (const wake of [...this.#wakes]) wake()
  }

  /** Looks at each answer, and with `milliseconds` once more after that time. */
  #until(isMet: () => boolean, milliseconds?: number): Promise<void> {
    if (isMet()) return Promise.resolve()
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined
      const look = () => {
        if (!isMet()) return
        clearTimeout(timer)
        this.#wakes.delete(look)
        resolve()
      }
      if (milliseconds !== undefined) timer = setInterval(look, milliseconds)
      this.#wakes.add(look)
    })
  }
}
