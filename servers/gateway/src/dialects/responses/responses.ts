import type { LilypadError } from '@lilypad-agents/protocol'
import type { Format, JsonObject, Tool } from '../../conversation/conversation.ts'
import { type ReplyEvent, type ReplyItem, ReplyItems, type Usage } from '../../conversation/reply.ts'
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
import { errorText, openAiErrorBody } from '../openai-error.ts'
import { parseResponseRequest } from './parse-response-request.ts'

/** OpenAI's Responses, without state on the server. */
export const responses: Dialect = {
  name: 'responses',
  parse: parseResponseRequest,
  encodeError: openAiErrorBody,

  encode(envelope: Envelope, reply: SettledReply): JsonObject {
    return endedBody(envelope, toOutputs(envelope, reply.items, reply.logprobs), reply)
  },

  openStream(envelope: Envelope): StreamEncoder {
    return new ResponseStream(envelope)
  },
}

type Open =
  | { readonly kind: 'text' | 'refusal' | 'reasoning'; readonly item: string; readonly output: number; text: string }
  | {
      readonly kind: 'tool-call'
      readonly item: string
      readonly output: number
      readonly call: { readonly id: string; readonly name: string }
      text: string
    }

/** Named events, each with the number of its place. An item is closed before the next one opens. */
class ResponseStream implements StreamEncoder {
  readonly #envelope: Envelope
  readonly #items = new ReplyItems()
  readonly #logprobs: unknown[] = []
  /** Calls may be told in turns; everything else is told one after the other. */
  readonly #calls = new Map<number, Extract<Open, { kind: 'tool-call' }>>()
  #open: Exclude<Open, { kind: 'tool-call' }> | undefined
  #outputs = 0
  #sequence = 0

  constructor(envelope: Envelope) {
    this.#envelope = envelope
  }

  start(): string {
    const response = responseBody(this.#envelope, { status: 'in_progress', output: [] })
    return this.#send('response.created', { response }) + this.#send('response.in_progress', { response })
  }

  event(event: ReplyEvent): string {
    this.#items.add(event)
    switch (event.kind) {
      case 'text':
        this.#logprobs.push(...(event.logprobs ?? []))
        return this.#say(event.kind, event.text)
      case 'refusal':
      case 'reasoning':
        return this.#say(event.kind, event.text)
      case 'tool-call': {
        const closed = this.#close()
        const output = this.#outputs++
        const call = { id: event.id, name: event.name }
        const open = { kind: 'tool-call' as const, item: this.#itemId(event.kind, output), output, call, text: '' }
        this.#calls.set(event.index, open)
        return (
          closed +
          this.#send('response.output_item.added', { output_index: output, item: toOutput(open, 'in_progress') })
        )
      }
      case 'tool-arguments': {
        const open = this.#calls.get(event.index)
        if (open === undefined) return ''
        open.text += event.text
        return this.#send('response.function_call_arguments.delta', {
          item_id: open.item,
          output_index: open.output,
          delta: event.text,
        })
      }
    }
  }

  end(end: SettledEnd): string {
    const closed = this.#close() + [...this.#calls.values()].map((open) => this.#closeCall(open)).join('')
    const response = endedBody(this.#envelope, toOutputs(this.#envelope, this.#items.items, this.#logprobs), end)
    const name = end.finish === 'length' || end.finish === 'filter' ? 'response.incomplete' : 'response.completed'
    return closed + this.#send(name, { response })
  }

  fail(error: LilypadError): string {
    const facts = { code: error.code.toLowerCase(), message: errorText(error) }
    const response = responseBody(this.#envelope, { status: 'failed', output: [], error: facts })
    return this.#send('error', { ...facts, param: null }) + this.#send('response.failed', { response })
  }

  #say(kind: 'text' | 'refusal' | 'reasoning', text: string): string {
    let opened = ''
    let open = this.#open
    if (open?.kind !== kind) {
      opened = this.#close()
      const output = this.#outputs++
      open = { kind, item: this.#itemId(kind, output), output, text: '' }
      this.#open = open
      opened += this.#send('response.output_item.added', {
        output_index: output,
        item:
          kind === 'reasoning'
            ? { id: open.item, type: 'reasoning', summary: [] }
            : { id: open.item, type: 'message', status: 'in_progress', role: 'assistant', content: [] },
      })
      opened +=
        kind === 'reasoning'
          ? this.#send('response.reasoning_summary_part.added', {
              ...summaryPlace(open),
              part: { type: 'summary_text', text: '' },
            })
          : this.#send('response.content_part.added', { ...contentPlace(open), part: toPart(kind, '') })
    }
    open.text += text
    return opened + this.#sendText(open, 'delta', { delta: text })
  }

  #close(): string {
    const open = this.#open
    if (open === undefined) return ''
    this.#open = undefined
    const { kind, text, output } = open
    const done = this.#sendText(open, 'done', kind === 'refusal' ? { refusal: text } : { text })
    const part =
      kind === 'reasoning'
        ? this.#send('response.reasoning_summary_part.done', {
            ...summaryPlace(open),
            part: { type: 'summary_text', text },
          })
        : this.#send('response.content_part.done', { ...contentPlace(open), part: toPart(kind, text) })
    return (
      done + part + this.#send('response.output_item.done', { output_index: output, item: toOutput(open, 'completed') })
    )
  }

  #closeCall(open: Extract<Open, { kind: 'tool-call' }>): string {
    const place = { item_id: open.item, output_index: open.output }
    return (
      this.#send('response.function_call_arguments.done', { ...place, name: open.call.name, arguments: open.text }) +
      this.#send('response.output_item.done', { output_index: open.output, item: toOutput(open, 'completed') })
    )
  }

  #sendText(open: Exclude<Open, { kind: 'tool-call' }>, step: 'delta' | 'done', fields: JsonObject): string {
    switch (open.kind) {
      case 'text':
        return this.#send(`response.output_text.${step}`, { ...contentPlace(open), ...fields, logprobs: [] })
      case 'refusal':
        return this.#send(`response.refusal.${step}`, { ...contentPlace(open), ...fields })
      case 'reasoning':
        return this.#send(`response.reasoning_summary_text.${step}`, { ...summaryPlace(open), ...fields })
    }
  }

  #itemId(kind: ReplyItem['kind'], output: number): string {
    return outputId(this.#envelope, kind, output)
  }

  #send(type: string, fields: JsonObject): string {
    return serverSentEvent({ type, sequence_number: this.#sequence++, ...fields }, type)
  }
}

const contentPlace = ({ item, output }: Open) => ({ item_id: item, output_index: output, content_index: 0 })
const summaryPlace = ({ item, output }: Open) => ({ item_id: item, output_index: output, summary_index: 0 })

const idPrefixes = { text: 'msg', refusal: 'msg', reasoning: 'rs', 'tool-call': 'fc' } as const
const outputId = ({ id }: Envelope, kind: ReplyItem['kind'], output: number) => `${idPrefixes[kind]}_${id}${output}`

const toPart = (kind: 'text' | 'refusal', text: string, logprobs: readonly unknown[] = []): JsonObject =>
  kind === 'text' ? { type: 'output_text', text, annotations: [], logprobs } : { type: 'refusal', refusal: text }

function toOutput(open: Open, status: 'in_progress' | 'completed', logprobs: readonly unknown[] = []): JsonObject {
  const { item: id, text } = open
  switch (open.kind) {
    case 'tool-call':
      return { id, type: 'function_call', status, call_id: open.call.id, name: open.call.name, arguments: text }
    case 'reasoning':
      return { id, type: 'reasoning', summary: [{ type: 'summary_text', text }] }
    default:
      return { id, type: 'message', status, role: 'assistant', content: [toPart(open.kind, text, logprobs)] }
  }
}

function toOutputs(
  envelope: Envelope,
  items: readonly ReplyItem[],
  logprobs: readonly unknown[] = [],
): readonly JsonObject[] {
  return items.map((item, output) => {
    const place = { item: outputId(envelope, item.kind, output), output }
    return item.kind === 'tool-call'
      ? toOutput({ ...place, kind: item.kind, call: item, text: item.arguments }, 'completed')
      : toOutput({ ...place, ...item }, 'completed', logprobs)
  })
}

function endedBody(envelope: Envelope, output: readonly JsonObject[], end: SettledEnd): JsonObject {
  const reasons = { length: 'max_output_tokens', filter: 'content_filter' } as const
  const reason = end.finish === 'length' || end.finish === 'filter' ? reasons[end.finish] : undefined
  return responseBody(envelope, {
    status: reason === undefined ? 'completed' : 'incomplete',
    output,
    incomplete_details: reason === undefined ? null : { reason },
    usage: usageBody(end.usage, end.settlement),
    lilypad: settlementBody(end.settlement),
  })
}

function responseBody({ id, createdAt, request }: Envelope, fields: JsonObject): JsonObject {
  const { sampling, tools, toolChoice, format } = request
  return {
    id: `resp_${id}`,
    object: 'response',
    created_at: createdAt,
    model: request.model,
    error: null,
    incomplete_details: null,
    instructions: null,
    max_output_tokens: request.maxOutputTokens ?? null,
    metadata: {},
    parallel_tool_calls: request.parallelToolCalls ?? true,
    previous_response_id: null,
    reasoning: { effort: request.reasoningEffort ?? null, summary: null },
    service_tier: 'default',
    store: false,
    temperature: sampling.temperature ?? 1,
    text: { format: formatBody(format) },
    tool_choice: typeof toolChoice === 'string' ? toolChoice : { type: 'function', name: toolChoice.name },
    tools: tools.map(toolBody),
    top_p: sampling.top_p ?? 1,
    truncation: 'disabled',
    usage: null,
    user: null,
    ...fields,
  }
}

function formatBody(format: Format): JsonObject {
  if (format.kind !== 'schema') return { type: format.kind === 'json' ? 'json_object' : 'text' }
  const { name, schema, strict, description } = format
  return { type: 'json_schema', name, schema, strict: strict ?? false, ...(description ? { description } : {}) }
}

const toolBody = ({ name, description, parameters, strict }: Tool): JsonObject => ({
  type: 'function',
  name,
  description: description ?? null,
  parameters: parameters ?? null,
  strict: strict ?? false,
})

function usageBody(usage: Usage, { costUsd }: Settlement): JsonObject {
  return {
    input_tokens: usage.inputTokens,
    input_tokens_details: { cached_tokens: usage.cachedTokens },
    output_tokens: usage.outputTokens,
    output_tokens_details: { reasoning_tokens: usage.reasoningTokens },
    total_tokens: usage.inputTokens + usage.outputTokens,
    cost: costUsd,
  }
}
