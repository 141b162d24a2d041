import { ServerFaultError } from './server-fault.ts'

type Fields = Record<string, unknown>
type ToolCall = { id?: unknown; type?: unknown; name: string; arguments: string }
type Choice = {
  readonly texts: Map<string, string[]>
  readonly toolCalls: Map<number, ToolCall>
  readonly logprobs: Map<string, unknown[]>
  role: unknown
  finishReason: unknown
}

/** Parts of a delta that come in pieces of text. */
const textFields = ['content', 'refusal', 'reasoning_content', 'reasoning'] as const
const maxToolCalls = 128
/** No finish reason of OpenAI's, so nobody takes such a reply for a whole one. */
const cutFinishReason = 'cancelled'

/**
 * Puts the chunks of a streamed chat completion together to the object that the server would have sent in one piece.
 * @see https://platform.openai.com/docs/api-reference/chat-streaming
 */
export class ChatAssembler {
  readonly #choices = new Map<number, Choice>()
  readonly #maxChoices: number
  readonly #head: Fields = {}
  #usage: unknown

  constructor(options: { readonly choices: number }) {
    this.#maxChoices = options.choices
  }

  /** @throws ServerFaultError when the chunk is none, or reports a failure */
  add(chunk: unknown): void {
    const { choices, usage, error, ...head } = asFields(chunk)
    if (error !== undefined && error !== null) throw new ServerFaultError('failed')
    for (const [name, value] of Object.entries(head))
      if (value !== null && name !== 'object' && !Object.hasOwn(this.#head, name)) this.#head[name] = value
    if (usage !== undefined && usage !== null) this.#usage = usage
    if (choices !== undefined && !Array.isArray(choices)) throw new ServerFaultError('event')
    for (const choice of choices ?? []) this.#addChoice(asFields(choice))
  }

  /** Whether the reply can be ended here: it has not come to its end, and the server has told what it has used so far. */
  get canBeCut(): boolean {
    return (
      this.#usage !== undefined && [...this.#choices.values()].some(({ finishReason }) => finishReason === undefined)
    )
  }

  /** The reply as far as it came, for a requester that wants no more of it: choices that have not ended are `cancelled`. */
  cut(): Fields {
    for (const choice of this.#choices.values()) choice.finishReason ??= cutFinishReason
    return this.finish()
  }

  /** @throws ServerFaultError when a choice has not ended, or there is none */
  finish(): Fields {
    if (this.#choices.size === 0) throw new ServerFaultError('unfinished')
    const choices = [...this.#choices].sort(([a], [b]) => a - b).map(([index, choice]) => toChoice(index, choice))
    return {
      ...this.#head,
      object: 'chat.completion',
      choices,
      ...(this.#usage === undefined ? {} : { usage: this.#usage }),
    }
  }

  #addChoice({ index = 0, delta, finish_reason, logprobs }: Fields): void {
    const choice = this.#choices.get(toIndex(index, this.#maxChoices)) ?? {
      texts: new Map(),
      toolCalls: new Map(),
      logprobs: new Map(),
      role: 'assistant',
      finishReason: undefined,
    }
    this.#choices.set(index as number, choice)
    const fields = delta === undefined || delta === null ? {} : asFields(delta)
    if (typeof fields.role === 'string') choice.role = fields.role
    for (const name of textFields) {
      const text = fields[name]
      if (typeof text !== 'string') continue
      const pieces = choice.texts.get(name)
      if (pieces === undefined) choice.texts.set(name, [text])
      else pieces.push(text)
    }
    if (fields.tool_calls !== undefined && fields.tool_calls !== null) addToolCalls(choice, fields.tool_calls)
    if (logprobs !== undefined && logprobs !== null) addLogprobs(choice, asFields(logprobs))
    if (finish_reason !== undefined && finish_reason !== null) choice.finishReason = finish_reason
  }
}

function addToolCalls(choice: Choice, calls: unknown): void {
  if (!Array.isArray(calls)) throw new ServerFaultError('event')
  for (const call of calls) {
    const { index = 0, id, type, function: called } = asFields(call)
    const at = toIndex(index, maxToolCalls)
    const known = choice.toolCalls.get(at) ?? { name: '', arguments: '' }
    choice.toolCalls.set(at, known)
    if (typeof id === 'string') known.id = id
    if (typeof type === 'string') known.type = type
    const { name, arguments: text } = called === undefined || called === null ? ({} as Fields) : asFields(called)
    if (typeof name === 'string') known.name += name
    if (typeof text === 'string') known.arguments += text
  }
}

function addLogprobs(choice: Choice, logprobs: Fields): void {
  for (const [name, values] of Object.entries(logprobs)) {
    if (!Array.isArray(values)) continue
    const known = choice.logprobs.get(name)
    if (known === undefined) choice.logprobs.set(name, [...values])
    else for (const value of values) known.push(value)
  }
}

function toChoice(index: number, { texts, toolCalls, logprobs, role, finishReason }: Choice): Fields {
  if (finishReason === undefined) throw new ServerFaultError('unfinished')
  const joined = [...texts].map(([name, pieces]) => [name, pieces.join('')] as const)
  const calls = [...toolCalls].sort(([a], [b]) => a - b)
  return {
    index,
    message: {
      role,
      content: null,
      ...Object.fromEntries(joined),
      ...(calls.length === 0
        ? {}
        : {
            tool_calls: calls.map(([, { id, type = 'function', name, arguments: text }]) => ({
              id,
              type,
              function: { name, arguments: text },
            })),
          }),
    },
    logprobs: logprobs.size === 0 ? null : Object.fromEntries(logprobs),
    finish_reason: finishReason,
  }
}

function asFields(value: unknown): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new ServerFaultError('event')
  return value as Fields
}

function toIndex(value: unknown, below: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value >= below)
    throw new ServerFaultError('event')
  return value
}
