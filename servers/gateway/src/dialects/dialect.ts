import type { LilypadError } from '@lilypad-agents/protocol'
import type { Conversation, JsonObject } from '../conversation/conversation.ts'
import type { FinishReason, Reply, ReplyEvent, Usage } from '../conversation/reply.ts'

/** What a reply says of itself beside its text. */
export type Envelope = {
  /** Unique per reply, in letters and digits. */
  readonly id: string
  /** Unix seconds. */
  readonly createdAt: number
  readonly request: Conversation
}

/** What a verified and paid reply has cost. */
export type Settlement = {
  readonly jobId: string
  /** Hash of the provider's signed receipt. */
  readonly receipt: string
  /** LILY as a decimal number. */
  readonly cost: string
  /** US dollars at the gateway's rate. */
  readonly costUsd: number
}

/** How a reply ended, once it was verified and paid. */
export type SettledEnd = { readonly finish: FinishReason; readonly usage: Usage; readonly settlement: Settlement }
export type SettledReply = Omit<Reply, 'usage'> & SettledEnd

/** Writes one streamed reply. Each method gives text for the wire; nothing comes after `end` or `fail`. */
export type StreamEncoder = {
  start(): string
  event(event: ReplyEvent): string
  /** Only here does a reply look whole. */
  end(end: SettledEnd): string
  fail(error: LilypadError): string
}

/** The shape in which a kind of client asks and wants its answer. Pure: no clock, no network. */
export type Dialect = {
  readonly name: 'chat' | 'responses' | 'messages'
  /** @throws InvalidRequestError */
  parse(body: unknown): Conversation
  encode(envelope: Envelope, reply: SettledReply): JsonObject
  openStream(envelope: Envelope): StreamEncoder
  encodeError(error: LilypadError): JsonObject
}

/** One server-sent event. */
export function serverSentEvent(data: unknown, event?: string): string {
  return `${event === undefined ? '' : `event: ${event}\n`}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`
}

/** The settlement as it stands at the top level of every reply. */
export function settlementBody({ jobId, receipt, cost }: Settlement): JsonObject {
  return { job_id: jobId, receipt, cost: { amount: cost, currency: 'LILY' }, tx: null }
}
