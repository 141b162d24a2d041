import type { GatewayContext } from '../context.ts'
import { type EmbeddingsRequest, readEmbeddings, toUpstreamEmbeddings } from '../dialects/embeddings.ts'
import type { Settlement } from '../dialects/dialect.ts'
import type { Model } from '../models/model-catalog.ts'
import { rememberServed, stickyKeys, toRoute } from '../routing/route.ts'
import { finishJob, secondsLeft } from './finish-job.ts'
import type { RequestPolicy } from './place-job.ts'
import { readOutput } from './run-chat.ts'
import { toModelInputs } from './to-model-inputs.ts'
import { withAttempts } from './with-attempts.ts'

export type EmbeddingsReply = {
  readonly vectors: readonly (readonly number[])[]
  readonly inputTokens: number
  readonly settlement: Settlement
}

/** Orders vectors for texts and gives them once they are verified, paid and charged. */
export async function runEmbeddings(
  context: GatewayContext,
  call: {
    readonly requestId: string
    readonly model: Model
    readonly asked: EmbeddingsRequest
    readonly policy: RequestPolicy
    readonly signal: AbortSignal
    /** Whose request it is. */
    readonly account: string
  },
): Promise<EmbeddingsReply> {
  const { requestId, model, asked, policy, signal, account } = call
  const { moduleVersion, offers } = model.listing
  const keys = stickyKeys(moduleVersion, account)
  const route = toRoute({ moduleVersion, offers, policy, memory: context.routes, stickyKeys: keys })
  const request = toModelInputs(model, toUpstreamEmbeddings(asked))
  return withAttempts(context, { requestId, request, policy, route, signal }, async (placed) => {
    const timeoutSeconds = secondsLeft(context, placed)
    const finished = await finishJob(context, requestId, {
      ...{ orderHash: placed.orderHash, signal, timeoutSeconds },
      read: async (outputs) => readEmbeddings(await readOutput(outputs), asked),
    })
    const { vectors, inputTokens } = finished.answer
    const isMetered = model.listing.manifest.units.inputFrom.kind === 'server-usage'
    const reply = {
      vectors,
      inputTokens: isMetered ? finished.inputUnits : (inputTokens ?? 0),
      settlement: finished.settlement,
    }
    await finished.charge(reply)
    if (placed.provider) rememberServed(context.routes, { keys, policy, provider: placed.provider })
    return reply
  })
}
