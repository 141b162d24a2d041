import { Embeddings, type EmbeddingsParams } from '@langchain/core/embeddings'
import { fromBase64 } from '@lilypad-agents/protocol'
import { z } from 'zod'
import { LilypadError } from '../error/lilypad-error.ts'
import {
  createGatewayClient,
  type GatewayCall,
  type GatewayClient,
  type GatewayOptions,
} from '../gateway/gateway-client.ts'
import { GatewayReceipt, type LilypadReceipt, toReceipt } from '../receipt/receipt.ts'

export type LilypadEmbeddingsFields = Omit<EmbeddingsParams, 'maxRetries' | 'onFailedAttempt'> &
  GatewayOptions & {
    /** Name of an embedding module, or the id of one of its versions. */
    readonly model: string
    /** Length of the vectors, of models that can choose it. */
    readonly dimensions?: number | undefined
    /** Texts of one request, at most 2048. @default 256 */
    readonly batchSize?: number | undefined
    /** Most one request may cost, in LILY as a decimal number. */
    readonly maxPrice?: string | undefined
    readonly provider?: string | undefined
    /** Told of each request that was paid. */
    readonly onReceipt?: ((receipt: LilypadReceipt) => void) | undefined
  }

const maxBatch = 2048

const WireEmbeddings = z.object({
  data: z.array(z.object({ index: z.int().min(0), embedding: z.string() })),
  lilypad: GatewayReceipt.nullish(),
})

/**
 * Vectors of texts by a model of a Lilypad network, asked through a gateway.
 * @example
 * const embeddings = new LilypadEmbeddings({ model: 'vectors', apiKey })
 * const [first] = await embeddings.embedDocuments(['a frog', 'a toad'])
 */
export class LilypadEmbeddings extends Embeddings {
  readonly model: string
  readonly dimensions: number | undefined
  readonly batchSize: number
  readonly #fields: Pick<LilypadEmbeddingsFields, 'maxPrice' | 'provider' | 'onReceipt'>
  readonly #client: GatewayClient

  /** @throws LilypadError CONFIG_INVALID or UNAUTHORIZED */
  constructor(fields: LilypadEmbeddingsFields) {
    const { maxRetries: _tries, batchSize = 256, ...base } = fields
    // The gateway client retries by itself, with one idempotency key for all tries.
    super({
      ...base,
      maxRetries: 0,
      onFailedAttempt: (error: unknown) => {
        throw error
      },
    })
    if (!fields.model || !Number.isInteger(batchSize) || batchSize < 1 || batchSize > maxBatch)
      throw new LilypadError('CONFIG_INVALID', 'Embeddings need a model, and a batch size of 1 to 2048.', {
        hint: "for example `new LilypadEmbeddings({ model: 'vectors' })`",
      })
    this.model = fields.model
    this.dimensions = fields.dimensions
    this.batchSize = batchSize
    this.#fields = fields
    this.#client = createGatewayClient(fields)
    if (!this.#client.hasKey && !fields.fetch)
      throw new LilypadError('UNAUTHORIZED', 'Embeddings need the API key of a gateway.', {
        hint: 'give `apiKey`, set LILYPAD_API_KEY, or give a `fetch` that pays by itself',
      })
  }

  override async embedQuery(text: string): Promise<number[]> {
    const [vector = []] = await this.embedDocuments([text])
    return vector
  }

  /** Vectors in the order of the texts; one request for each batch. */
  override async embedDocuments(texts: string[]): Promise<number[][]> {
    const batches = Array.from({ length: Math.ceil(texts.length / this.batchSize) }, (_, at) =>
      texts.slice(at * this.batchSize, (at + 1) * this.batchSize),
    )
    const vectors = await Promise.all(batches.map((batch) => this.caller.call(() => this.#embed(batch))))
    return vectors.flat()
  }

  async #embed(input: readonly string[]): Promise<number[][]> {
    const { maxPrice, provider, onReceipt } = this.#fields
    const call: GatewayCall = { idempotencyKey: crypto.randomUUID(), maxPrice, provider }
    const { model, dimensions } = this
    const body = { model, input, encoding_format: 'base64', ...(dimensions === undefined ? {} : { dimensions }) }
    const said = WireEmbeddings.safeParse(await this.#client.post('/v1/embeddings', body, call))
    const vectors: number[][] = []
    for (const { index, embedding } of said.data?.data ?? []) vectors[index] = toVector(embedding)
    const isWhole = vectors.length === input.length && vectors.every((vector) => vector.length > 0)
    if (!said.success || !isWhole || Object.keys(vectors).length !== input.length)
      throw new LilypadError('UPSTREAM_FAILED', 'The gateway did not answer with one vector for each text.', {
        charged: 'unknown',
        hint: 'check that the model is one for embeddings',
        ...call,
      })
    if (said.data.lilypad) onReceipt?.(toReceipt(said.data.lilypad))
    return vectors
  }
}

/** Little-endian 32-bit floats, in Base64. */
function toVector(base64: string): number[] {
  const bytes = fromBase64(base64)
  const view = new DataView(bytes.buffer)
  return Array.from({ length: Math.floor(bytes.length / 4) }, (_, at) => view.getFloat32(at * 4, true))
}
