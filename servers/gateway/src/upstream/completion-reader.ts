import { eventReader } from '@lilypad-agents/sdk'
import type { FinishReason, ReplyEnd, ReplyEvent, Usage } from '../conversation/reply.ts'
import { callId, parseJson, toFinishReason, toUsage } from './read-completion.ts'
import { UpstreamFaultError } from './upstream-fault.ts'
import { UpstreamChunk } from './upstream-schema.ts'

/** Longest streamed reply in bytes. */
const maxBytes = 64 * 1024 ** 2

type Delta = NonNullable<NonNullable<UpstreamChunk['choices']>[number]['delta']>

/**
 * Turns the bytes of a streamed chat completion into the steps of a reply. A reply is whole only when a finish reason and
 * `[DONE]` came; everything else throws.
 */
export class CompletionReader {
  readonly #readEvents = eventReader({ toError: (fault, cause) => new UpstreamFaultError(fault, cause) })
  /** Place of each call of the model server in the order in which they began. */
  readonly #calls = new Map<number, number>()
  #bytes = 0
  #finish: FinishReason | undefined
  #usage: Usage | undefined
  #isDone = false

  /** @throws UpstreamFaultError */
  read(bytes: Uint8Array): readonly ReplyEvent[] {
    this.#bytes += bytes.length
    if (this.#bytes > maxBytes) throw new UpstreamFaultError('too-long')
    return this.#readEvents(bytes).flatMap((data) => {
      // What comes after the end belongs to no reply.
      if (this.#isDone) return []
      if (data === '[DONE]') {
        this.#isDone = true
        return []
      }
      return this.#take(data)
    })
  }

  /** @throws UpstreamFaultError when the reply is not whole */
  end(): ReplyEnd {
    if (!this.#isDone || this.#finish === undefined) throw new UpstreamFaultError('unfinished')
    return { finish: this.#finish, usage: this.#usage }
  }

  #take(data: string): readonly ReplyEvent[] {
    const parsed = UpstreamChunk.safeParse(parseJson(data))
    if (!parsed.success) throw new UpstreamFaultError('event', parsed.error)
    const { choices, usage, error } = parsed.data
    if (error !== undefined && error !== null) throw new UpstreamFaultError('failed')
    this.#usage = toUsage(usage) ?? this.#usage
    const events: ReplyEvent[] = []
    for (const { index, delta, finish_reason, logprobs } of choices ?? []) {
      // One reply was asked for.
      if ((index ?? 0) !== 0) throw new UpstreamFaultError('event')
      const said = delta ? this.#say(delta, logprobs?.content ?? undefined) : []
      // A reply that goes on after its end was not at its end.
      if (said.length > 0 && this.#finish !== undefined) throw new UpstreamFaultError('event')
      events.push(...said)
      if (finish_reason !== undefined && finish_reason !== null) this.#finish = toFinishReason(finish_reason)
    }
    return events
  }

  #say(delta: Delta, logprobs: readonly unknown[] | undefined): readonly ReplyEvent[] {
    const events: ReplyEvent[] = []
    const reasoning = delta.reasoning_content ?? delta.reasoning
    if (reasoning) events.push({ kind: 'reasoning', text: reasoning })
    if (delta.content || logprobs?.length)
      events.push({ kind: 'text', text: delta.content ?? '', ...(logprobs ? { logprobs } : {}) })
    if (delta.refusal) events.push({ kind: 'refusal', text: delta.refusal })
    for (const call of delta.tool_calls ?? []) {
      const from = call.index ?? 0
      const known = this.#calls.get(from)
      const index = known ?? this.#calls.size
      if (known === undefined) {
        const name = call.function?.name
        if (!name || name.length > 256) throw new UpstreamFaultError('event')
        this.#calls.set(from, index)
        events.push({ kind: 'tool-call', index, id: callId(call.id, index), name })
      }
      if (call.function?.arguments) events.push({ kind: 'tool-arguments', index, text: call.function.arguments })
    }
    return events
  }
}
