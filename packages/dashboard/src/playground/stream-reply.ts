import { EventSourceParserStream } from 'eventsource-parser/stream'
import { z } from 'zod'
import { type Ask, parseJson, send } from '../gateway/ask-gateway.ts'
import { GatewayError, toGatewayError } from '../gateway/gateway-error.ts'
import { Settlement, TokenUsage } from '../gateway/gateway-schema.ts'

/** A step of a reply as it comes. `end` is told once, and only of a reply that is whole. */
export type ReplyStep =
  | { readonly kind: 'job'; readonly id: string }
  | { readonly kind: 'text' | 'reasoning'; readonly text: string }
  | { readonly kind: 'call'; readonly index: number; readonly name: string; readonly arguments: string }
  | { readonly kind: 'end'; readonly finish: string; readonly usage: TokenUsage; readonly settlement: Settlement }

const Chunk = z.object({
  error: z.unknown().optional(),
  choices: z
    .array(
      z.object({
        delta: z.object({
          content: z.string().nullish(),
          refusal: z.string().nullish(),
          reasoning: z.string().nullish(),
          tool_calls: z
            .array(
              z.object({
                index: z.number(),
                function: z.object({ name: z.string().nullish(), arguments: z.string().nullish() }),
              }),
            )
            .nullish(),
        }),
        finish_reason: z.string().nullish(),
      }),
    )
    .optional(),
  usage: TokenUsage.nullish(),
  lilypad: Settlement.nullish(),
})

/**
 * Asks for a reply and gives it as it comes.
 * @throws GatewayError when it is refused, breaks off, or ends without saying that it is whole
 */
export async function* streamReply(options: Ask): AsyncGenerator<ReplyStep> {
  const response = await send('/v1/chat/completions', options)
  const job = response.headers.get('x-lilypad-job')
  if (job) yield { kind: 'job', id: job }
  if (response.body) yield* readReply(response.body)
}

/** Reads a streamed chat completion. @throws GatewayError */
export async function* readReply(body: ReadableStream<Uint8Array>): AsyncGenerator<ReplyStep> {
  const events = body
    .pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)
    .pipeThrough(new EventSourceParserStream())
  let finish = 'stop'
  let isWhole = false
  for await (const { data } of iterate(events)) {
    if (data === '[DONE]') break
    const parsed = Chunk.safeParse(parseJson(data))
    if (!parsed.success)
      throw new GatewayError('A piece of the reply has a form that this page does not know.', { status: 200 })
    const { error, choices, usage, lilypad } = parsed.data
    if (error !== undefined) throw toGatewayError({ error }, 200)
    for (const { delta, finish_reason } of choices ?? []) {
      if (delta.reasoning) yield { kind: 'reasoning', text: delta.reasoning }
      const text = delta.content ?? delta.refusal
      if (text) yield { kind: 'text', text }
      for (const { index, function: called } of delta.tool_calls ?? [])
        yield { kind: 'call', index, name: called.name ?? '', arguments: called.arguments ?? '' }
      if (finish_reason) finish = finish_reason
    }
    if (usage && lilypad) {
      isWhole = true
      yield { kind: 'end', finish, usage, settlement: lilypad }
    }
  }
  if (!isWhole) throw new GatewayError('The connection ended before the reply was whole.', { status: 200 })
}

/** `for await` over a stream, also where streams are not iterable yet. Who leaves early cancels the stream. */
async function* iterate<T>(stream: ReadableStream<T>): AsyncGenerator<T> {
  const reader = stream.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      yield value
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}
