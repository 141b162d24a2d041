import {
  AIMessage,
  type AIMessageChunk,
  type AIMessageChunkFields,
  type AIMessageFields,
  type UsageMetadata,
} from '@langchain/core/messages'
import type { InvalidToolCall, ToolCall } from '@langchain/core/messages/tool'
import { toReceipt } from '../receipt/receipt.ts'
import { isWhole, LilypadMessageChunk } from './message-chunk.ts'
import type { WireChunk, WireCompletion, WireDelta, WireToolCall, WireUsage } from './wire.ts'

export const modelProvider = 'lilypad'

/** Everything that is told once of a reply, at its end. */
export type ReplyEnd = {
  readonly id?: string | null | undefined
  readonly model?: string | null | undefined
  readonly system_fingerprint?: string | null | undefined
  readonly finish_reason: string
  readonly usage?: WireUsage | null | undefined
  readonly lilypad?: WireChunk['lilypad']
  readonly logprobs?: unknown
  readonly reasoning_details?: readonly unknown[] | undefined
}

/** The message of a whole reply. */
export function toMessage(completion: WireCompletion, finishReason: string): AIMessage {
  const [choice] = completion.choices ?? []
  const { message, logprobs } = choice ?? { message: {} as WireDelta, logprobs: undefined }
  const calls = (choice?.message.tool_calls ?? []).map((call) => toToolCall(call, finishReason))
  const end: ReplyEnd = { ...completion, finish_reason: finishReason, logprobs }
  const usage = toUsage(end.usage)
  // Core's type of the usage is `never` where optional properties are exact.
  return new AIMessage({
    ...(completion.id ? { id: completion.id } : {}),
    content: message.content ?? '',
    tool_calls: calls.filter((call): call is ToolCall => call.type === 'tool_call'),
    invalid_tool_calls: calls.filter((call): call is InvalidToolCall => call.type === 'invalid_tool_call'),
    additional_kwargs: { ...toExtras(message), ...toDetails(message.reasoning_details) },
    response_metadata: toMetadata(end),
    ...(usage ? { usage_metadata: usage } : {}),
  } as AIMessageFields)
}

/** The chunk of one event: what the model says, and nothing that is told once. */
export function toDeltaChunk(id: string | undefined, delta: WireDelta): LilypadMessageChunk {
  return new LilypadMessageChunk({
    ...(id ? { id } : {}),
    content: delta.content ?? '',
    tool_call_chunks: (delta.tool_calls ?? []).map(({ index, id: callId, function: called }) => ({
      type: 'tool_call_chunk' as const,
      index: index ?? 0,
      ...(callId ? { id: callId } : {}),
      ...(called?.name ? { name: called.name } : {}),
      args: called?.arguments ?? '',
    })),
    additional_kwargs: toExtras(delta),
    response_metadata: { model_provider: modelProvider },
  })
}

/** The last chunk. Core joins texts and adds numbers across chunks, so what is told once stands in this one alone. */
export function toEndChunk(end: ReplyEnd): LilypadMessageChunk {
  const usage = toUsage(end.usage)
  return new LilypadMessageChunk({
    ...(end.id ? { id: end.id } : {}),
    content: '',
    additional_kwargs: toDetails(end.reasoning_details),
    response_metadata: toMetadata(end),
    ...(usage ? { usage_metadata: usage } : {}),
    // Core's type of the usage is `never` where optional properties are exact.
  } as AIMessageChunkFields)
}

/** Metadata of a reply. `response_metadata` of the events of `streamEvents` is made here too. */
export function toMetadata(end: ReplyEnd): AIMessageChunk['response_metadata'] {
  const { model, system_fingerprint: fingerprint, finish_reason, lilypad, logprobs } = end
  return {
    model_provider: modelProvider,
    ...(model ? { model, model_name: model } : {}),
    finish_reason,
    ...(fingerprint ? { system_fingerprint: fingerprint } : {}),
    ...(logprobs ? { logprobs } : {}),
    ...(lilypad ? { lilypad: toReceipt(lilypad) } : {}),
  }
}

export function toUsage(usage: WireUsage | null | undefined): UsageMetadata | undefined {
  if (!usage) return undefined
  const { prompt_tokens: input, completion_tokens: output, total_tokens: total } = usage
  return {
    input_tokens: input,
    output_tokens: output,
    total_tokens: total ?? input + output,
    input_token_details: { cache_read: usage.prompt_tokens_details?.cached_tokens ?? 0 },
    output_token_details: { reasoning: usage.completion_tokens_details?.reasoning_tokens ?? 0 },
  }
}

function toExtras({ reasoning, reasoning_content, refusal }: WireDelta): Record<string, unknown> {
  const thought = reasoning_content ?? reasoning
  return { ...(thought ? { reasoning_content: thought } : {}), ...(refusal ? { refusal } : {}) }
}

const toDetails = (details: readonly unknown[] | null | undefined): Record<string, unknown> =>
  details && details.length > 0 ? { reasoning_details: [...details] } : {}

function toToolCall(
  { id, function: { name, arguments: args } }: WireToolCall,
  finishReason: string,
): ToolCall | InvalidToolCall {
  const named = { name, ...(id ? { id } : {}) }
  return isWhole(args, finishReason)
    ? { type: 'tool_call', ...named, args: args.trim() === '' ? {} : JSON.parse(args) }
    : { type: 'invalid_tool_call', ...named, args, error: 'The arguments are not a whole JSON object.' }
}
