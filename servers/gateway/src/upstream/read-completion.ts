import type { z } from 'zod'
import type { FinishReason, Reply, ReplyItem, Usage } from '../conversation/reply.ts'
import { UpstreamFaultError } from './upstream-fault.ts'
import { UpstreamCompletion, type UpstreamUsage } from './upstream-schema.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Reads the whole chat completion of a model server.
 * @throws UpstreamFaultError when it is none, or not whole
 */
export function readCompletion(bytes: Uint8Array): Reply {
  const parsed = UpstreamCompletion.safeParse(parseJson(bytes))
  if (!parsed.success) throw new UpstreamFaultError('event', parsed.error)
  const { choices, usage, error } = parsed.data
  if (error !== undefined && error !== null) throw new UpstreamFaultError('failed')
  const choice = choices?.[0]
  if (!choice) throw new UpstreamFaultError('unfinished')
  const { message, finish_reason, logprobs } = choice
  const reasoning = message.reasoning_content ?? message.reasoning
  const items: ReplyItem[] = []
  if (reasoning) items.push({ kind: 'reasoning', text: reasoning })
  if (message.content) items.push({ kind: 'text', text: message.content })
  if (message.refusal) items.push({ kind: 'refusal', text: message.refusal })
  for (const [index, call] of (message.tool_calls ?? []).entries())
    items.push({ kind: 'tool-call', id: callId(call.id, index), ...call.function })
  return {
    items,
    ...(logprobs?.content ? { logprobs: logprobs.content } : {}),
    finish: toFinishReason(finish_reason),
    usage: toUsage(usage),
  }
}

/** Id of a call; servers that give none get one that is unique in the reply. */
export const callId = (id: string | null | undefined, index: number): string => id || `call_${index}`

export function parseJson(bytes: Uint8Array | string): unknown {
  try {
    return JSON.parse(typeof bytes === 'string' ? bytes : utf8.decode(bytes))
  } catch (cause) {
    throw new UpstreamFaultError('json', cause)
  }
}

/** @throws UpstreamFaultError for a reason that is none: nobody may take such a reply for whole */
export function toFinishReason(reason: string | null | undefined): FinishReason {
  switch (reason) {
    case 'stop':
      return 'stop'
    case 'length':
      return 'length'
    case 'tool_calls':
    case 'function_call':
      return 'tool-calls'
    case 'content_filter':
      return 'filter'
    case undefined:
    case null:
      throw new UpstreamFaultError('unfinished')
    case 'error':
      throw new UpstreamFaultError('failed')
    default:
      throw new UpstreamFaultError('finish')
  }
}

export function toUsage(usage: z.output<typeof UpstreamUsage> | null | undefined): Usage | undefined {
  if (!usage) return undefined
  return {
    inputTokens: usage.prompt_tokens,
    outputTokens: usage.completion_tokens,
    cachedTokens: Math.min(usage.prompt_tokens, usage.prompt_tokens_details?.cached_tokens ?? 0),
    reasoningTokens: Math.min(usage.completion_tokens, usage.completion_tokens_details?.reasoning_tokens ?? 0),
  }
}
