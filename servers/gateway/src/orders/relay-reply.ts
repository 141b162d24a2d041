import { LilypadError, receiptType, responsePath } from '@lilypad-agents/protocol'
import { formatTokenAmount } from '@lilypad-agents/sdk'
import { findRefusal, ModelRefusedError, toAnswerError } from '../completion/job-errors.ts'
import { type ChatStep, toUsage } from '../completion/run-chat.ts'
import type { EmbeddingsReply } from '../completion/run-embeddings.ts'
import { type GatewayContext, nowSeconds } from '../context.ts'
import { ReplyItems } from '../conversation/reply.ts'
import type { SettledReply, Settlement } from '../dialects/dialect.ts'
import { type EmbeddingsRequest, readEmbeddings } from '../dialects/embeddings.ts'
import type { Model } from '../models/model-catalog.ts'
import { formatUsd } from '../models/model-price.ts'
import { CompletionReader } from '../upstream/completion-reader.ts'
import { readCompletion } from '../upstream/read-completion.ts'
import { UpstreamFaultError } from '../upstream/upstream-fault.ts'
import type { OrderRelay, WalletDelivery, WalletOrder } from './order-relay.ts'

/** A request whose job its buyer has ordered. */
export type RelayedCall = {
  readonly relay: OrderRelay
  readonly order: WalletOrder
  readonly model: Model
  readonly signal: AbortSignal
}

/** How long after the time of delivery a job is still waited for. */
const graceSeconds = 60

/** Places the order of a reply and gives it once it is verified. Its buyer acknowledges it by itself. */
export function relayCompletion(context: GatewayContext, call: RelayedCall): Promise<SettledReply> {
  return inAnswerErrors(async () => {
    await call.relay.place(call.order)
    const finished = await finish(context, call)
    const reply = readCompletion(await finished.read(responsePath))
    return { ...reply, usage: toUsage(call.model, finished, reply), settlement: finished.settlement }
  })
}

/** Places the order of a reply and sends its steps as they come. The end comes only after the whole reply was verified. */
export function relayStream(
  context: GatewayContext,
  call: RelayedCall,
  send: (step: ChatStep) => Promise<void>,
): Promise<void> {
  const { relay, order, model, signal } = call
  return inAnswerErrors(async () => {
    await relay.place(order)
    const items = new ReplyItems()
    let reader = new CompletionReader()
    let attempt: number | undefined
    let isBegun = false
    for await (const piece of relay.stream(order, signal)) {
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
        await send({ kind: 'event', event })
      }
    }
    const finished = await finish(context, call)
    const reply = reader.end()
    if (!isBegun) await send({ kind: 'begin' })
    const { settlement } = finished
    await send({ kind: 'end', end: { finish: reply.finish, usage: toUsage(model, finished, reply), settlement } })
  })
}

/** Places the order of vectors for texts and gives them once they are verified. */
export function relayEmbeddings(
  context: GatewayContext,
  call: RelayedCall,
  asked: EmbeddingsRequest,
): Promise<EmbeddingsReply> {
  return inAnswerErrors(async () => {
    await call.relay.place(call.order)
    const finished = await finish(context, call)
    const { vectors, inputTokens } = readEmbeddings(await finished.read(responsePath), asked)
    const isMetered = call.model.listing.manifest.units.inputFrom.kind === 'server-usage'
    return {
      vectors,
      inputTokens: isMetered ? finished.inputUnits : (inputTokens ?? 0),
      settlement: finished.settlement,
    }
  })
}

type FinishedOrder = WalletDelivery & {
  readonly settlement: Settlement
  readonly inputUnits: number
  readonly outputUnits: number
}

async function finish(context: GatewayContext, { relay, order, signal }: RelayedCall): Promise<FinishedOrder> {
  const { deliverBy } = order.request.order
  const timeoutSeconds = Math.max(1, deliverBy - nowSeconds(context)) + graceSeconds
  const delivered = await relay.finish(order, { timeoutSeconds, signal })
  const { receipt } = delivered.delivery
  const { price, inputUnits, outputUnits } = receipt
  return {
    ...{ ...delivered, inputUnits, outputUnits },
    settlement: {
      jobId: order.orderHash,
      receipt: receiptType.hash(relay.domain, receipt),
      cost: formatTokenAmount(price),
      costUsd: Number(formatUsd(price, context.rules.usdPerLilyWad)),
    },
  }
}

async function inAnswerErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const status = findRefusal(error)
    if (status !== undefined) throw new ModelRefusedError({ status, said: '', cause: error })
    throw LilypadError.is(error) ? toAnswerError(error) : error
  }
}
