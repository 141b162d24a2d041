import { z } from 'zod'
import { Bytes32 } from '../primitives/hex.ts'
import { Counter } from '../primitives/integer.ts'
import { OutputPath } from '../receipt/outputs-root.ts'

/** Most bytes of data in one chunk: their Base64 has 65,536 characters. */
export const maxStreamChunkBytes = 49_152

const place = {
  /** Which run of the job, from 1. A run that begins again after a crash is a new attempt, and its stream a new stream. */
  attempt: z.int().min(1).max(1_000_000),
  /** Position in the stream of its attempt, from 0. */
  index: Counter,
  /** Head of the stream's chain once this chunk is in it. */
  head: Bytes32,
}

/** A file of `/out` that is finished while the program still runs; its bytes are at the relay already. */
export const StreamFile = z.strictObject({
  path: OutputPath,
  bytes: Counter,
  sha256: Bytes32,
  mediaType: z.string().max(255).optional(),
})
export type StreamFile = z.output<typeof StreamFile>

/** A piece of what a run says while it runs. Its bytes are a stranger's: quote them. */
export const StreamChunk = z.discriminatedUnion('channel', [
  z.strictObject({
    ...place,
    channel: z.enum(['stdout', 'stderr', 'response']),
    data: z.base64().max((maxStreamChunkBytes / 3) * 4),
  }),
  z.strictObject({ ...place, channel: z.literal('file'), file: StreamFile }),
])
export type StreamChunk = z.output<typeof StreamChunk>

/** A chunk before the chain gave it its place. */
export type StreamPiece =
  | { readonly channel: 'stdout' | 'stderr' | 'response'; readonly bytes: Uint8Array }
  | { readonly channel: 'file'; readonly file: StreamFile }

/** What a manifest says about the stream of the run it describes. */
export const StreamSummary = z.strictObject({
  attempt: z.int().min(1).max(1_000_000),
  chunks: Counter,
  /** Bytes of data in all chunks; files are not counted. */
  bytes: Counter,
  /** Head of the chain after the last chunk. */
  head: Bytes32,
  /** The run said more than a stream may hold; what came after the limit was not sent. */
  truncated: z.boolean(),
})
export type StreamSummary = z.output<typeof StreamSummary>
