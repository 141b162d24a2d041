import type { LilypadError } from '@lilypad-agents/protocol'
import type { JsonObject } from '../../conversation/conversation.ts'
import type { FinishReason, ReplyEvent, ReplyItem, Usage } from '../../conversation/reply.ts'
import { parseJson } from '../../upstream/read-completion.ts'
import { UpstreamFaultError } from '../../upstream/upstream-fault.ts'
import {
  type Dialect,
  type Envelope,
  type SettledEnd,
  type SettledReply,
  serverSentEvent,
  type Settlement,
  settlementBody,
  type StreamEncoder,
} from '../dialect.ts'
import { errorText } from '../openai-error.ts'
import { parseMessageRequest } from './parse-message-request.ts'

const stopReasons: { readonly [reason in FinishReason]: string } = {
  stop: 'end_turn',
  length: 'max_tokens',
  'tool-calls': 'tool_use',
  filter: 'refusal',
}

/** Messages as Anthropic's clients know them. */
export const messages: Dialect = {
  name: 'messages',
  parse: parseMessageRequest,

  encodeError: (error: LilypadError): JsonObject => ({
    type: 'error',
    error: { type: errorType(error), message: errorText(error), code: error.code, retryable: error.retryable },
  }),

  encode(envelope: Envelope, reply: SettledReply): JsonObject {
    return {
      ...messageBody(envelope),
      content: reply.items.map(toBlock),
      stop_reason: stopReasons[reply.finish],
      usage: usageBody(reply.usage, reply.settlement),
      lilypad: settlementBody(reply.settlement),
    }
  },

  openStream: (envelope: Envelope): StreamEncoder => new MessageStream(envelope),
}

type BlockKind = 'text' | 'thinking'

/** Blocks follow each other, and a call is not over before the reply is: what comes beside an open call waits for the end. */
class MessageStream implements StreamEncoder {
  readonly #envelope: Envelope
  readonly #calls: { readonly id: string; readonly name: string; readonly waiting: string[]; isClosed: boolean }[] = []
  /** What was said beside an open call. */
  readonly #later: { readonly kind: BlockKind; readonly text: string }[] = []
  #open: { readonly kind: BlockKind } | { readonly kind: 'call'; readonly index: number; text: string } | undefined
  #blocks = 0

  constructor(envelope: Envelope) {
    this.#envelope = envelope
  }

  start(): string {
    // What the prompt came to is known at the end: `message_delta` tells it.
    const usage = { input_tokens: 0, output_tokens: 0, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 }
    const message = { ...messageBody(this.#envelope), content: [], stop_reason: null, usage }
    return send('message_start', { message })
  }

  event(event: ReplyEvent): string {
    switch (event.kind) {
      case 'text':
      case 'refusal':
        return event.text === '' ? '' : this.#say('text', event.text)
      case 'reasoning':
        return this.#say('thinking', event.text)
      case 'tool-call': {
        this.#calls[event.index] = { id: event.id, name: event.name, waiting: [], isClosed: false }
        if (this.#open?.kind === 'call') return ''
        return this.#close() + this.#openCall(event.index)
      }
      case 'tool-arguments': {
        const call = this.#calls[event.index]
        if (this.#open?.kind === 'call' && this.#open.index === event.index) return this.#sendArguments(event.text)
        call?.waiting.push(event.text)
        return ''
      }
    }
  }

  end({ finish, usage, settlement }: SettledEnd): string {
    let text = this.#close()
    for (const [index, call] of this.#calls.entries()) if (!call.isClosed) text += this.#openCall(index) + this.#close()
    for (const { kind, text: said } of this.#later) text += this.#say(kind, said)
    text += this.#close()
    const delta = { stop_reason: stopReasons[finish], stop_sequence: null }
    return (
      text +
      send('message_delta', { delta, usage: usageBody(usage, settlement), lilypad: settlementBody(settlement) }) +
      send('message_stop', {})
    )
  }

  fail(error: LilypadError): string {
    return serverSentEvent(messages.encodeError(error), 'error')
  }

  #say(kind: BlockKind, text: string): string {
    if (this.#open?.kind === 'call') {
      this.#later.push({ kind, text })
      return ''
    }
    let opened = ''
    if (this.#open?.kind !== kind) {
      opened = this.#close()
      this.#open = { kind }
      const block = kind === 'text' ? { type: 'text', text: '' } : { type: 'thinking', thinking: '', signature: '' }
      opened += send('content_block_start', { index: this.#blocks, content_block: block })
    }
    const delta = kind === 'text' ? { type: 'text_delta', text } : { type: 'thinking_delta', thinking: text }
    return opened + send('content_block_delta', { index: this.#blocks, delta })
  }

  #openCall(index: number): string {
    const call = this.#calls[index]
    if (call === undefined) return ''
    this.#open = { kind: 'call', index, text: '' }
    const { id, name, waiting } = call
    const block = { type: 'tool_use', id, name, input: {} }
    return (
      send('content_block_start', { index: this.#blocks, content_block: block }) +
      waiting
        .splice(0)
        .map((text) => this.#sendArguments(text))
        .join('')
    )
  }

  #sendArguments(text: string): string {
    if (this.#open?.kind === 'call') this.#open.text += text
    return send('content_block_delta', { index: this.#blocks, delta: { type: 'input_json_delta', partial_json: text } })
  }

  /** @throws UpstreamFaultError when the arguments of a call are no object: no client may read them as an empty one */
  #close(): string {
    const open = this.#open
    if (open === undefined) return ''
    this.#open = undefined
    if (open.kind === 'call') {
      toInput(open.text)
      const call = this.#calls[open.index]
      if (call) call.isClosed = true
    }
    return send('content_block_stop', { index: this.#blocks++ })
  }
}

const send = (type: string, fields: JsonObject) => serverSentEvent({ type, ...fields }, type)

function messageBody({ id, request }: Envelope): JsonObject {
  return { id: `msg_${id}`, type: 'message', role: 'assistant', model: request.model, stop_sequence: null }
}

function toBlock(item: ReplyItem): JsonObject {
  switch (item.kind) {
    case 'text':
    case 'refusal':
      return { type: 'text', text: item.text }
    case 'reasoning':
      return { type: 'thinking', thinking: item.text, signature: '' }
    case 'tool-call':
      return { type: 'tool_use', id: item.id, name: item.name, input: toInput(item.arguments) }
  }
}

function toInput(text: string): unknown {
  const value = text === '' ? {} : parseJson(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new UpstreamFaultError('event')
  return value
}

function usageBody(usage: Usage, { costUsd }: Settlement): JsonObject {
  return {
    input_tokens: usage.inputTokens - usage.cachedTokens,
    output_tokens: usage.outputTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: usage.cachedTokens,
    cost: costUsd,
  }
}

function errorType({ row, code }: LilypadError): string {
  switch (row.http) {
    case 400:
    case 409:
    case 422:
      return 'invalid_request_error'
    case 401:
      return 'authentication_error'
    case 402:
      return 'billing_error'
    case 403:
      return 'permission_error'
    case 404:
      return 'not_found_error'
    case 413:
      return 'request_too_large'
    case 429:
      return 'rate_limit_error'
    case 503:
      return 'overloaded_error'
    case 504:
      return 'timeout_error'
    default:
      return code === 'INTERNAL' || row.http >= 500 ? 'api_error' : 'invalid_request_error'
  }
}
