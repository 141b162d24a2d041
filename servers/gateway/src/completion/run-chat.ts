import { responsePath } from '@lilypad-agents/protocol'
import type { Output } from '@lilypad-agents/sdk'
import type { Conversation } from '../conversation/conversation.ts'
import { type ReplyEnd, type ReplyEvent, ReplyItems, type Usage } from '../conversation/reply.ts'
import type { GatewayContext } from '../context.ts'
import type { SettledEnd, SettledReply } from '../dialects/dialect.ts'
import type { Model } from '../models/model-catalog.ts'
import type { Measured } from '../routing/route-memory.ts'
import { rememberServed, stickyKeys, toRoute } from '../routing/route.ts'
import { CompletionReader } from '../upstream/completion-reader.ts'
import { readCompletion } from '../upstream/read-completion.ts'
import { toUpstreamRequest } from '../upstream/to-upstream-request.ts'
import { UpstreamFaultError } from '../upstream/upstream-fault.ts'
import { type FinishedJob, finishJob, secondsLeft } from './finish-job.ts'
import { type FirstStream, openFirst } from './hedge.ts'
import type { PlacedJob, RequestPolicy } from './place-job.ts'
import { toModelInputs } from './to-model-inputs.ts'
import { type PaidCall, withAttempts } from './with-attempts.ts'

/** A paid request for one reply. */
export type ChatCall = {
  readonly requestId: string
  readonly model: Model
  readonly conversation: Conversation
  readonly policy: RequestPolicy
  /** Whose request it is. */
  readonly account: string
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
  return withAttempts(context, toPaidCall(context, call), async (placed) => {
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
    remember(context, call, placed)
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
  const paid = { ...toPaidCall(context, call), moduleVersion: call.model.listing.moduleVersion }
  return withAttempts(context, paid, async (placed, { sent, moved }) => {
    const placedAt = performance.now()
    const first = await openFirst(context, paid, placed, moved)
    await streamJob(context, call, { ...first, placedAt }, (step) => {
      sent()
      return send(step)
    })
  })
}

async function streamJob(
  context: GatewayContext,
  call: ChatCall,
  { placed, pieces, placedAt }: FirstStream & { readonly placedAt: number },
  send: (step: ChatStep) => Promise<void>,
): Promise<void> {
  const { orderHash } = placed
  const { requestId, signal } = call
  let firstAt: number | undefined
  const items = new ReplyItems()
  const logprobs: unknown[] = []
  let reader = new CompletionReader()
  let attempt: number | undefined
  let isBegun = false
  for await (const piece of pieces) {
    if (piece.channel !== 'response') continue
    firstAt ??= performance.now()
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
  const lastAt = performance.now()
  const timeoutSeconds = secondsLeft(context, placed)
  const finished = await finishJob(context, requestId, {
    ...{ orderHash, signal, timeoutSeconds },
    read: () => reader.end(),
  })
  const reply = finished.answer
  if (!isBegun) await send({ kind: 'begin' })
  const end = { finish: reply.finish, usage: toUsage(call.model, finished, reply), settlement: finished.settlement }
  await finished.charge({ ...end, items: items.items, ...(logprobs.length > 0 ? { logprobs } : {}) })
  remember(context, call, placed, {
    firstTokenMilliseconds: (firstAt ?? lastAt) - placedAt,
    tokensPerSecond: (1000 * end.usage.outputTokens) / Math.max(1, lastAt - (firstAt ?? placedAt)),
  })
  await send({ kind: 'end', end })
}

/** Notes who answered, and how fast, for the requests that come next. */
function remember(
  { routes }: GatewayContext,
  { model, account, conversation, policy }: ChatCall,
  { provider }: PlacedJob,
  speed?: Pick<Measured, 'firstTokenMilliseconds' | 'tokensPerSecond'>,
): void {
  if (!provider) return
  const { moduleVersion } = model.listing
  rememberServed(routes, { keys: stickyKeys(moduleVersion, account, conversation), policy, provider })
  if (speed) routes.measure({ moduleVersion, provider, ...speed })
}

function toPaidCall({ routes }: GatewayContext, { model, conversation, account, ...call }: ChatCall): PaidCall {
  const { moduleVersion, offers } = model.listing
  const keys = stickyKeys(moduleVersion, account, conversation)
  return {
    ...call,
    request: toModelInputs(model, toUpstreamRequest(conversation)),
    route: toRoute({ moduleVersion, offers, policy: call.policy, memory: routes, stickyKeys: keys }),
  }
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
