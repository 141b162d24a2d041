import { responsePath } from '@lilypad-agents/protocol'
import type { Output } from '@lilypad-agents/sdk'
import type { Conversation } from '../conversation/conversation.ts'
import { type ReplyEnd, type ReplyEvent, ReplyItems, type Usage } from '../conversation/reply.ts'
import type { GatewayContext } from '../context.ts'
import type { SettledEnd, SettledReply } from '../dialects/dialect.ts'
import type { Model } from '../models/model-catalog.ts'
import { CompletionReader } from '../upstream/completion-reader.ts'
import { readCompletion } from '../upstream/read-completion.ts'
import { toUpstreamRequest } from '../upstream/to-upstream-request.ts'
import { UpstreamFaultError } from '../upstream/upstream-fault.ts'
import { type FinishedJob, finishJob, secondsLeft } from './finish-job.ts'
import type { PlacedJob, RequestPolicy } from './place-job.ts'
import { toModelInputs } from './to-model-inputs.ts'
import { type PaidCall, withAttempts } from './with-attempts.ts'

/** A paid request for one reply. */
export type ChatCall = {
  readonly requestId: string
  readonly model: Model
  readonly conversation: Conversation
  readonly policy: RequestPolicy
  /** Aborts when nobody waits any more: the provider is asked to stop. */
  readonly signal: AbortSignal
  readonly onPlaced?: PaidCall['onPlaced']
}

export type ChatStep =
  | { readonly kind: 'begin' }
  | { readonly kind: 'event'; readonly event: ReplyEvent }
  | { readonly kind: 'end'; readonly end: SettledEnd }

/** Orders a reply and gives it once it is verified, paid and charged. */
export async function completeChat(context: GatewayContext, call: ChatCall): Promise<SettledReply> {
  const { requestId, signal } = call
  return withAttempts(context, toPaidCall(call), async (placed) => {
    const { orderHash } = placed
    const finished = await finishJob(context, requestId, {
      orderHash,
      signal,
      timeoutSeconds: secondsLeft(context, placed),
      read: async (outputs) => readCompletion(await readOutput(outputs)),
    })
    const reply = finished.answer
    const settled = { ...reply, usage: toUsage(call.model, finished, reply), settlement: finished.settlement }
    await finished.charge(settled)
    return settled
  })
}

/**
 * Orders a streamed reply and sends its steps as they come, waiting for each to be taken. The end comes only after the whole reply was
 * verified, paid and charged; until then nothing says that it is whole.
 */
export function streamChat(
  context: GatewayContext,
  call: ChatCall,
  send: (step: ChatStep) => Promise<void>,
): Promise<void> {
  return withAttempts(context, toPaidCall(call), (placed, sent) =>
    streamJob(context, call, placed, (step) => {
      sent()
      return send(step)
    }),
  )
}

async function streamJob(
  context: GatewayContext,
  call: ChatCall,
  placed: PlacedJob,
  send: (step: ChatStep) => Promise<void>,
): Promise<void> {
  const { orderHash } = placed
  const { requestId, signal } = call
  const items = new ReplyItems()
  const logprobs: unknown[] = []
  let reader = new CompletionReader()
  let attempt: number | undefined
  let isBegun = false
  for await (const piece of context.client.stream(orderHash, { signal })) {
    if (piece.channel !== 'response') continue
    if (attempt !== undefined && piece.attempt !== attempt) {
      if (isBegun) throw new UpstreamFaultError('again')
      reader = new CompletionReader()
    }
    attempt = piece.attempt
    for (const event of reader.read(piece.bytes)) {
      if (!isBegun) await send({ kind: 'begin' })
      isBegun = true
      items.add(event)
      if (event.kind === 'text' && event.logprobs) logprobs.push(...event.logprobs)
      await send({ kind: 'event', event })
    }
  }
  const timeoutSeconds = secondsLeft(context, placed)
  const finished = await finishJob(context, requestId, {
    ...{ orderHash, signal, timeoutSeconds },
    read: () => reader.end(),
  })
  const reply = finished.answer
  if (!isBegun) await send({ kind: 'begin' })
  const end = { finish: reply.finish, usage: toUsage(call.model, finished, reply), settlement: finished.settlement }
  await finished.charge({ ...end, items: items.items, ...(logprobs.length > 0 ? { logprobs } : {}) })
  await send({ kind: 'end', end })
}

function toPaidCall({ model, conversation, ...call }: ChatCall): PaidCall {
  return { ...call, request: toModelInputs(model, toUpstreamRequest(conversation)) }
}

/** The reply of a model server. */
export async function readOutput(outputs: readonly Output[]): Promise<Uint8Array> {
  const output = outputs.find(({ path }) => path === responsePath)
  if (!output) throw new UpstreamFaultError('unfinished')
  return output.read()
}

/** What was paid for is what is told, where the receipt counts tokens. */
export function toUsage(
  { listing }: Model,
  finished: Pick<FinishedJob, 'inputUnits' | 'outputUnits'>,
  { usage }: Pick<ReplyEnd, 'usage'>,
): Usage {
  const { inputFrom, outputFrom } = listing.manifest.units
  const inputTokens = inputFrom.kind === 'server-usage' ? finished.inputUnits : (usage?.inputTokens ?? 0)
  const outputTokens = outputFrom?.kind === 'server-usage' ? finished.outputUnits : (usage?.outputTokens ?? 0)
  return {
    inputTokens,
    outputTokens,
    cachedTokens: Math.min(inputTokens, usage?.cachedTokens ?? 0),
    reasoningTokens: Math.min(outputTokens, usage?.reasoningTokens ?? 0),
  }
}
