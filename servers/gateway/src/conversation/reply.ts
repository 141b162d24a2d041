/** Why a reply ended. Anything else that a model server says is a fault of its. */
export const finishReasons = ['stop', 'length', 'tool-calls', 'filter'] as const
export type FinishReason = (typeof finishReasons)[number]

/** Tokens of a reply. `cachedTokens` are part of `inputTokens`, `reasoningTokens` part of `outputTokens`. */
export type Usage = {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cachedTokens: number
  readonly reasoningTokens: number
}

/** A step of a reply as it is made. Calls are numbered from 0 in the order in which they begin. */
export type ReplyEvent =
  | { readonly kind: 'text'; readonly text: string; readonly logprobs?: readonly unknown[] | undefined }
  | { readonly kind: 'refusal'; readonly text: string }
  | { readonly kind: 'reasoning'; readonly text: string }
  | { readonly kind: 'tool-call'; readonly index: number; readonly id: string; readonly name: string }
  | { readonly kind: 'tool-arguments'; readonly index: number; readonly text: string }

/** How a reply ended, told once and after everything else. */
export type ReplyEnd = { readonly finish: FinishReason; readonly usage: Usage | undefined }

/** A piece of a whole reply. */
export type ReplyItem =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'refusal'; readonly text: string }
  | { readonly kind: 'reasoning'; readonly text: string }
  | { readonly kind: 'tool-call'; readonly id: string; readonly name: string; readonly arguments: string }

/** A whole reply. */
export type Reply = ReplyEnd & {
  readonly items: readonly ReplyItem[]
  readonly logprobs?: readonly unknown[] | undefined
}

/** The steps that make a whole reply, for a caller that asked for a stream of one that is there already. */
export function toReplyEvents(reply: Reply): readonly ReplyEvent[] {
  let calls = 0
  return reply.items.flatMap((item): readonly ReplyEvent[] => {
    if (item.kind !== 'tool-call')
      return [item.kind === 'text' && reply.logprobs ? { ...item, logprobs: reply.logprobs } : item]
    const index = calls++
    return [
      { kind: 'tool-call', index, id: item.id, name: item.name },
      { kind: 'tool-arguments', index, text: item.arguments },
    ]
  })
}

/** Puts steps together to the items of a whole reply: what follows each other of one kind is one item. */
export class ReplyItems {
  readonly #items: { kind: ReplyItem['kind']; id: string; name: string; pieces: string[] }[] = []
  readonly #calls: number[] = []

  add(event: ReplyEvent): void {
    if (event.kind === 'tool-call') {
      this.#calls[event.index] = this.#items.length
      this.#items.push({ kind: 'tool-call', id: event.id, name: event.name, pieces: [] })
      return
    }
    if (event.kind === 'tool-arguments') {
      this.#items[this.#calls[event.index] ?? -1]?.pieces.push(event.text)
      return
    }
    const last = this.#items.at(-1)
    if (last?.kind === event.kind) last.pieces.push(event.text)
    else this.#items.push({ kind: event.kind, id: '', name: '', pieces: [event.text] })
  }

  get items(): readonly ReplyItem[] {
    return this.#items.map(({ kind, id, name, pieces }) =>
      kind === 'tool-call' ? { kind, id, name, arguments: pieces.join('') } : { kind, text: pieces.join('') },
    )
  }
}
