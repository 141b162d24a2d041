import { close, fsync, openSync, writeSync } from 'node:fs'
import { promisify } from 'node:util'
import {
  type Bytes32,
  maxStreamChunkBytes,
  StreamChain,
  type StreamChunk,
  type StreamFile,
  type StreamPiece,
  type StreamSummary,
} from '@lilypad-agents/protocol'
import { readStreamLines } from './stream-lines.ts'

/** Log bytes that wait this long for more of their kind make one chunk. A stream with many chunks waits longer. */
const mergeMilliseconds = 20
const longestMergeMilliseconds = 2000
const mergeBytes = 16_384
/** After each so many chunks the wait doubles, so that a program that writes all day stays within its chunks. */
const chunksUntilSlower = 8192

export type StreamRecorderOptions = {
  readonly path: string
  readonly orderHash: Bytes32
  readonly attempt: number
  readonly limits: { readonly bytes: number; readonly chunks: number }
  /** A chunk is in the file, where it takes so many bytes. */
  readonly onChunk: (chunk: StreamChunk, lineBytes: number) => void
}

/**
 * Writes what a run says into a file of chunks, each before anybody else sees it. The first bytes after a silence are a chunk at once, and
 * so is everything of a reply; other bytes are merged. What goes over the limits is left out and the summary says so.
 */
export class StreamRecorder {
  readonly #options: StreamRecorderOptions
  readonly #file: number
  readonly #chain: StreamChain
  readonly #waiting = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] }
  #waitingBytes = 0
  #takenBytes = 0
  #timer: NodeJS.Timeout | undefined
  #isTruncated = false
  #isCut = false
  #isClosed = false

  constructor(options: StreamRecorderOptions) {
    this.#options = options
    this.#file = openSync(options.path, 'w', 0o600)
    this.#chain = StreamChain.start(options.orderHash, options.attempt)
  }

  /** Where the stream stands. */
  get position(): Omit<StreamSummary, 'truncated'> {
    return this.#chain.position
  }

  /** Takes bytes of a log or of a reply. They are copied. */
  write(channel: 'stdout' | 'stderr' | 'response', bytes: Uint8Array): void {
    const room = this.#options.limits.bytes - this.#takenBytes
    const taken = bytes.slice(0, Math.max(0, room))
    if (taken.length < bytes.length) this.#isTruncated = true
    if (taken.length === 0 || this.#isClosed) return
    this.#takenBytes += taken.length
    if (channel === 'response') {
      this.#flush()
      this.#appendBytes(channel, taken)
      return
    }
    this.#waiting[channel].push(taken)
    this.#waitingBytes += taken.length
    if (this.#timer === undefined) this.#openWindow()
    else if (this.#waitingBytes >= mergeBytes) this.#flush()
  }

  /** Announces a file that is at the relay. */
  addFile(file: StreamFile): void {
    if (this.#isClosed) return
    this.#flush()
    this.#append({ channel: 'file', file })
  }

  /** The relay takes no more than it has: the stream ends there. */
  cut(): void {
    this.#isCut = true
    this.#isTruncated = true
  }

  /** Ends the stream and brings it on disk, so that a receipt may name it. */
  async close(): Promise<StreamSummary> {
    if (!this.#isClosed) {
      this.#flush()
      clearTimeout(this.#timer)
      this.#isClosed = true
      if (this.#chain.position.chunks > 0) await promisify(fsync)(this.#file)
      await promisify(close)(this.#file)
    }
    return { ...this.#chain.position, truncated: this.#isTruncated }
  }

  /** The stream as far as a relay took it, which takes no more of it. */
  summariseStored(stored: number): StreamSummary {
    const chain = StreamChain.start(this.#options.orderHash, this.#options.attempt)
    for (const { chunk } of readStreamLines(this.#options.path)) {
      if (chain.position.chunks >= stored) break
      chain.take(chunk)
    }
    return { ...chain.position, truncated: true }
  }

  #openWindow(): void {
    this.#flush()
    const wait = mergeMilliseconds * 2 ** Math.floor(this.#chain.position.chunks / chunksUntilSlower)
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined
        if (this.#waitingBytes > 0) this.#openWindow()
      },
      Math.min(wait, longestMergeMilliseconds),
    )
  }

  #flush(): void {
    this.#waitingBytes = 0
    for (const channel of ['stdout', 'stderr'] as const) {
      const parts = this.#waiting[channel]
      if (parts.length === 0) continue
      this.#waiting[channel] = []
      this.#appendBytes(channel, Buffer.concat(parts))
    }
  }

  #appendBytes(channel: 'stdout' | 'stderr' | 'response', bytes: Uint8Array): void {
    for (let start = 0; start < bytes.length; start += maxStreamChunkBytes)
      this.#append({ channel, bytes: bytes.subarray(start, start + maxStreamChunkBytes) })
  }

  #append(piece: StreamPiece): void {
    if (this.#isCut) return
    if (this.#chain.position.chunks >= this.#options.limits.chunks) {
      this.#isTruncated = true
      return
    }
    const chunk = this.#chain.append(piece)
    const line = Buffer.from(`${JSON.stringify(chunk)}\n`)
    for (let written = 0; written < line.length; ) written += writeSync(this.#file, line, written)
    this.#options.onChunk(chunk, line.length)
  }
}
