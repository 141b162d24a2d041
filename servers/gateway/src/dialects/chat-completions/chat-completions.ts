import type { LilypadError } from '@lilypad-agents/protocol'
import type { JsonObject } from '../../conversation/conversation.ts'
import type { FinishReason, ReplyEvent, ReplyItem, Usage } from '../../conversation/reply.ts'
import {
  type Dialect,
  type Envelope,
  type SettledEnd,
  type SettledReply,
  serverSentEvent,
  type Settlement,
  settlementBody,
} from '../dialect.ts'
import { openAiErrorBody } from '../openai-error.ts'
import { parseChatCompletion } from './parse-chat-completion.ts'

/** A text and never null: some clients refuse a reply without one. */
const systemFingerprint = 'lilypad'

const finishReasons: { readonly [reason in FinishReason]: string } = {
  stop: 'stop',
  length: 'length',
  'tool-calls': 'tool_calls',
  filter: 'content_filter',
}

/** Chat completions as OpenAI's and OpenRouter's clients know them. */
export const chatCompletions: Dialect = {
  name: 'chat',
  parse: parseChatCompletion,
  encodeError: openAiErrorBody,

  encode(envelope: Envelope, reply: SettledReply): JsonObject {
    const textOf = (kind: 'text' | 'refusal' | 'reasoning') =>
      reply.items.flatMap((item) => (item.kind === kind ? [item.text] : [])).join('')
    const calls = reply.items.filter((item) => item.kind === 'tool-call')
    const content = textOf('text')
    const reasoning = textOf('reasoning')
    return {
      ...head(envelope, 'chat.completion'),
      choices: [
        {
          index: 0,
          message: {
            role: 'assistant',
            content: content === '' && (calls.length > 0 || textOf('refusal') !== '') ? null : content,
            refusal: textOf('refusal') || null,
            ...(reasoning === '' ? {} : { reasoning, reasoning_content: reasoning }),
            ...(calls.length === 0 ? {} : { tool_calls: calls.map(toCall) }),
          },
          logprobs: reply.logprobs ? { content: reply.logprobs, refusal: null } : null,
          finish_reason: finishReasons[reply.finish],
        },
      ],
      usage: usageBody(reply.usage, reply.settlement),
      lilypad: settlementBody(reply.settlement),
    }
  },

  openStream(envelope: Envelope) {
    const chunk = (fields: JsonObject) => serverSentEvent({ ...head(envelope, 'chat.completion.chunk'), ...fields })
    const delta = (fields: JsonObject, finishReason: string | null = null, logprobs: unknown = null) =>
      chunk({ choices: [{ index: 0, delta: fields, logprobs, finish_reason: finishReason }] })
    return {
      start: () => delta({ role: 'assistant', content: '' }),
      event: (event: ReplyEvent) =>
        delta(
          toDelta(event),
          null,
          event.kind === 'text' && event.logprobs ? { content: event.logprobs, refusal: null } : null,
        ),
      // No chunk but the last names usage: a null there breaks clients.
      end: ({ finish, usage, settlement }: SettledEnd) =>
        delta({}, finishReasons[finish]) +
        chunk({ choices: [], usage: usageBody(usage, settlement), lilypad: settlementBody(settlement) }) +
        serverSentEvent('[DONE]'),
      // Some clients look for the error in a chunk, others for a frame that is nothing else.
      fail: (error: LilypadError) =>
        chunk({
          ...openAiErrorBody(error),
          choices: [{ index: 0, delta: { content: '' }, logprobs: null, finish_reason: 'error' }],
        }) +
        serverSentEvent(openAiErrorBody(error)) +
        serverSentEvent('[DONE]'),
    }
  },
}

function head({ id, createdAt, request }: Envelope, object: string): JsonObject {
  return {
    id: `chatcmpl-${id}`,
    object,
    created: createdAt,
    model: request.model,
    system_fingerprint: systemFingerprint,
  }
}

function toDelta(event: ReplyEvent): JsonObject {
  switch (event.kind) {
    case 'text':
      return { content: event.text }
    case 'refusal':
      return { refusal: event.text }
    case 'reasoning':
      return { reasoning: event.text, reasoning_content: event.text }
    case 'tool-call':
      return {
        tool_calls: [
          { index: event.index, id: event.id, type: 'function', function: { name: event.name, arguments: '' } },
        ],
      }
    case 'tool-arguments':
      return { tool_calls: [{ index: event.index, function: { arguments: event.text } }] }
  }
}

const toCall = ({ id, name, arguments: text }: Extract<ReplyItem, { kind: 'tool-call' }>) => ({
  id,
  type: 'function',
  function: { name, arguments: text },
})

function usageBody(usage: Usage, { costUsd }: Settlement): JsonObject {
  const { inputTokens, outputTokens, cachedTokens, reasoningTokens } = usage
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
    completion_tokens_details: { reasoning_tokens: reasoningTokens },
    cost: costUsd,
  }
}
