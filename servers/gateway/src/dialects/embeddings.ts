import { parseWire } from '@lilypad-agents/protocol'
import { z } from 'zod'
import type { JsonObject } from '../conversation/conversation.ts'
import { parseJson } from '../upstream/read-completion.ts'
import { UpstreamFaultError } from '../upstream/upstream-fault.ts'
import type { Settlement } from './dialect.ts'
import { settlementBody } from './dialect.ts'
import { ModelId } from './request-schema.ts'
import { ProviderPreferences } from '../routing/provider-preferences.ts'

/** `POST /v1/embeddings`. @see https://platform.openai.com/docs/api-reference/embeddings/create */
export const EmbeddingsRequest = z.object({
  model: ModelId,
  provider: ProviderPreferences.nullish(),
  input: z.union(
    [z.string().min(1), z.array(z.string().min(1)).min(1).max(2048)],
    'expected a text or a list of texts',
  ),
  encoding_format: z.enum(['float', 'base64']).nullish(),
  dimensions: z.int().min(1).max(100_000).nullish(),
})
export type EmbeddingsRequest = z.output<typeof EmbeddingsRequest>

/** @throws InvalidRequestError */
export const parseEmbeddingsRequest = (body: unknown): EmbeddingsRequest =>
  parseWire(EmbeddingsRequest, body, 'request')

/** The body that a model server takes. It gives numbers: another encoding is made here. */
export function toUpstreamEmbeddings({ model, input, dimensions }: EmbeddingsRequest): JsonObject {
  return { model, input, encoding_format: 'float', ...(dimensions ? { dimensions } : {}) }
}

const UpstreamEmbeddings = z.object({
  data: z
    .array(z.object({ index: z.int().min(0).nullish(), embedding: z.array(z.number()).min(1).max(100_000) }))
    .max(2048),
  usage: z.object({ prompt_tokens: z.int().min(0) }).nullish(),
})

/** The vectors of a reply, one for each text and in their order. */
export type Embeddings = { readonly vectors: readonly (readonly number[])[]; readonly inputTokens: number | undefined }

/** @throws UpstreamFaultError when there is not exactly one vector of one length for each text */
export function readEmbeddings(bytes: Uint8Array, request: EmbeddingsRequest): Embeddings {
  const parsed = UpstreamEmbeddings.safeParse(parseJson(bytes))
  if (!parsed.success) throw new UpstreamFaultError('event', parsed.error)
  const { data, usage } = parsed.data
  const count = [request.input].flat().length
  const vectors: (readonly number[] | undefined)[] = Array.from({ length: count }, () => undefined)
  for (const [at, { index, embedding }] of data.entries()) vectors[index ?? at] = embedding
  const whole = vectors.flatMap((vector) => (vector ? [vector] : []))
  const isWhole = whole.length === count && vectors.length === count && data.length === count
  if (!isWhole || whole.some(({ length }) => length !== whole[0]?.length)) throw new UpstreamFaultError('unfinished')
  return { vectors: whole, inputTokens: usage?.prompt_tokens }
}

export function embeddingsBody(
  { model, encoding_format: format }: EmbeddingsRequest,
  reply: { readonly vectors: Embeddings['vectors']; readonly inputTokens: number; readonly settlement: Settlement },
): JsonObject {
  const { vectors, inputTokens, settlement } = reply
  return {
    object: 'list',
    model,
    data: vectors.map((vector, index) => ({
      object: 'embedding',
      index,
      embedding: format === 'base64' ? toBase64(vector) : vector,
    })),
    usage: { prompt_tokens: inputTokens, total_tokens: inputTokens, cost: settlement.costUsd },
    lilypad: settlementBody(settlement),
  }
}

/** Little-endian 32-bit floats, as clients expect on every machine. */
function toBase64(vector: readonly number[]): string {
  const bytes = Buffer.alloc(vector.length * 4)
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(value, index * 4)
  return bytes.toString('base64')
}
