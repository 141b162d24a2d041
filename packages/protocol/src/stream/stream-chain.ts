import { sha256 } from '../crypto/hash.ts'
import { LilypadError } from '../error/lilypad-error.ts'
import { fromBase64, toBase64 } from '../primitives/base64.ts'
import { canonicalJson } from '../primitives/canonical-json.ts'
import { type Bytes32, concatBytes, fromHex } from '../primitives/hex.ts'
import type { StreamChunk, StreamFile, StreamPiece, StreamSummary } from './stream-chunk.ts'

/** A chunk that does not follow from the ones before it: left out, doubled, moved or altered on its way. */
export class StreamBrokenError extends LilypadError {
  override readonly name = 'StreamBrokenError'
  constructor(what: string, facts?: { readonly expected: string | number; readonly actual: string | number }) {
    super('STREAM_BROKEN', `The stream of the job is broken: ${what}.`, {
      ...(facts ? { details: [`Expected: ${facts.expected}   Actual: ${facts.actual}`] } : {}),
      hint: 'do not use what came over it; the files of the delivery are checked by themselves',
    })
  }
}

const startTag = new TextEncoder().encode('lilypad/stream@1')

/** Head of a chain that holds nothing: which job and which of its runs it belongs to. */
export function streamStart(orderHash: Bytes32, attempt: number): Bytes32 {
  const number = new Uint8Array(4)
  new DataView(number.buffer).setUint32(0, attempt)
  return sha256(concatBytes(startTag, fromHex(orderHash), number))
}

/** Digest of one chunk: of its canonical header, which names the digest of its data. */
function chunkDigest(attempt: number, index: number, piece: StreamPiece): Bytes32 {
  return sha256(
    canonicalJson(
      piece.channel === 'file'
        ? { attempt, index, channel: piece.channel, file: piece.file }
        : { attempt, index, channel: piece.channel, bytes: piece.bytes.length, sha256: sha256(piece.bytes) },
    ),
  )
}

/**
 * Hash chain over the chunks of one attempt: `head_0 = sha256("lilypad/stream@1" | orderHash | attempt)`,
 * `head_n = sha256(head_(n-1) | digest of chunk n)`. Each chunk carries the head after it, so that a reader can check it as it comes;
 * the manifest names the last one, and the receipt commits to the manifest.
 */
export class StreamChain {
  readonly attempt: number
  #chunks: number
  #bytes: number
  #head: Bytes32

  private constructor(attempt: number, chunks: number, bytes: number, head: Bytes32) {
    this.attempt = attempt
    this.#chunks = chunks
    this.#bytes = bytes
    this.#head = head
  }

  /** The empty chain of an attempt. */
  static start(orderHash: Bytes32, attempt: number): StreamChain {
    return new StreamChain(attempt, 0, 0, streamStart(orderHash, attempt))
  }

  /** A chain that goes on where another one stands. */
  static from(summary: Omit<StreamSummary, 'truncated'>): StreamChain {
    return new StreamChain(summary.attempt, summary.chunks, summary.bytes, summary.head)
  }

  /** Where the chain stands; also the place from which a reader goes on. */
  get position(): Omit<StreamSummary, 'truncated'> {
    return { attempt: this.attempt, chunks: this.#chunks, bytes: this.#bytes, head: this.#head }
  }

  /** Puts a piece at the end. */
  append(piece: StreamPiece): StreamChunk {
    const index = this.#chunks
    const { attempt } = this
    const head = this.#advance(piece)
    return piece.channel === 'file'
      ? { attempt, index, head, channel: 'file', file: piece.file }
      : { attempt, index, head, channel: piece.channel, data: toBase64(piece.bytes) }
  }

  /**
   * Checks that a chunk is the next one and takes it.
   * @throws {@link StreamBrokenError} when it is not; the chain stays where it was
   */
  take(chunk: StreamChunk): StreamPiece {
    if (chunk.attempt !== this.attempt)
      throw new StreamBrokenError('a chunk of another run', { expected: this.attempt, actual: chunk.attempt })
    if (chunk.index !== this.#chunks)
      throw new StreamBrokenError('a chunk is missing or comes twice', { expected: this.#chunks, actual: chunk.index })
    const piece: StreamPiece =
      chunk.channel === 'file'
        ? { channel: 'file', file: chunk.file }
        : { channel: chunk.channel, bytes: fromBase64(chunk.data) }
    const before = this.position
    const head = this.#advance(piece)
    if (head !== chunk.head) {
      this.#chunks = before.chunks
      this.#bytes = before.bytes
      this.#head = before.head
      throw new StreamBrokenError(`chunk ${chunk.index} was altered`, { expected: head, actual: chunk.head })
    }
    return piece
  }

  #advance(piece: StreamPiece): Bytes32 {
    const digest = chunkDigest(this.attempt, this.#chunks, piece)
    this.#head = sha256(concatBytes(fromHex(this.#head), fromHex(digest)))
    this.#chunks += 1
    if (piece.channel !== 'file') this.#bytes += piece.bytes.length
    return this.#head
  }
}

/** What a requester saw of a stream. */
export type SeenStream = {
  readonly position: Omit<StreamSummary, 'truncated'>
  /** Files that were announced, by path; of two with one path the last. */
  readonly files: ReadonlyMap<string, StreamFile>
}

/**
 * Compares what was seen with what the manifest commits to.
 * @returns what does not fit, in our words; undefined when all does
 */
export function findStreamFault(
  seen: SeenStream,
  manifest: {
    readonly stream?: StreamSummary | undefined
    readonly outputs: readonly { readonly path: string; readonly bytes: number; readonly sha256: Bytes32 }[]
  },
): string | undefined {
  const { position, files } = seen
  const { stream, outputs } = manifest
  if (stream === undefined)
    return position.chunks === 0 ? undefined : `${position.chunks} chunks came, the manifest commits to none`
  if (stream.attempt !== position.attempt)
    return `the manifest commits to the stream of run ${stream.attempt}, what came is of run ${position.attempt}`
  if (stream.chunks !== position.chunks)
    return `${position.chunks} chunks came, the manifest commits to ${stream.chunks}`
  if (stream.head !== position.head || stream.bytes !== position.bytes)
    return `the chain ends in ${position.head}, the manifest commits to ${stream.head}`
  for (const { path, bytes, sha256: digest } of files.values()) {
    const output = outputs.find((candidate) => candidate.path === path)
    if (output?.sha256 !== digest || output.bytes !== bytes)
      return `the file ${JSON.stringify(path)} was announced with ${digest}, ${output ? `delivered with ${output.sha256}` : 'and not delivered'}`
  }
  return undefined
}
