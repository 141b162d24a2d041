import fc from 'fast-check'
import { LilypadError } from '@lilypad-agents/protocol'
import { describe, expect, test } from 'vitest'
import type { Conversation } from '../conversation/conversation.ts'
import { finishReasons, type ReplyEvent, ReplyItems, toReplyEvents } from '../conversation/reply.ts'
import { UpstreamFaultError } from '../upstream/upstream-fault.ts'
import { chatCompletions } from './chat-completions/chat-completions.ts'
import type { Dialect, Envelope, SettledReply } from './dialect.ts'
import { messages } from './messages/messages.ts'
import { responses } from './responses/responses.ts'

const request: Conversation = {
  model: 'm',
  items: [],
  tools: [],
  toolChoice: 'auto',
  format: { kind: 'text' },
  sampling: {},
  isStreamed: true,
}
const envelope: Envelope = { id: 'abc', createdAt: 1, request }
const settlement = { jobId: '0x01', receipt: '0x02', cost: '0.001', costUsd: 0.001 }

/** Steps in which calls come in any order, but each begins before its arguments. */
const steps = fc
  .array(
    fc.oneof(
      fc.record({
        kind: fc.constantFrom('text', 'refusal', 'reasoning'),
        text: fc.string({ unit: 'grapheme', minLength: 1 }),
      }),
      fc.record({ kind: fc.constant('call'), which: fc.nat(3), text: fc.constantFrom('', 'a', ' ', 'frog') }),
    ),
    { maxLength: 30 },
  )
  .map((given): ReplyEvent[] => {
    const calls: number[] = []
    const events: ReplyEvent[] = given.flatMap((step): ReplyEvent[] => {
      if (!('which' in step)) return [step as ReplyEvent]
      const known = calls.indexOf(step.which)
      const index = known === -1 ? calls.push(step.which) - 1 : known
      const begin: ReplyEvent[] =
        known === -1
          ? [
              { kind: 'tool-call', index, id: `id${index}`, name: `f${index}` },
              { kind: 'tool-arguments', index, text: '{"a":"' },
            ]
          : []
      return [...begin, { kind: 'tool-arguments', index, text: step.text }]
    })
    for (const index of calls.keys()) events.push({ kind: 'tool-arguments', index, text: '"}' })
    return events
  })

const ends = fc.record({
  finish: fc.constantFrom(...finishReasons),
  usage: fc.record({
    inputTokens: fc.nat(1e6),
    outputTokens: fc.nat(1e6),
    cachedTokens: fc.constant(0),
    reasoningTokens: fc.constant(0),
  }),
})

type Frame = { readonly event: string | undefined; readonly data: string }

function frames(text: string): Frame[] {
  expect(text.endsWith('\n\n')).toBe(true)
  return text
    .slice(0, -2)
    .split('\n\n')
    .map((frame) => {
      const lines = frame.split('\n')
      const of = (name: string) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2)
      return { event: of('event'), data: of('data') ?? '' }
    })
}

function stream(dialect: Dialect, events: readonly ReplyEvent[], end: Pick<SettledReply, 'finish' | 'usage'>): Frame[] {
  const encoder = dialect.openStream(envelope)
  const text =
    encoder.start() + events.map((event) => encoder.event(event)).join('') + encoder.end({ ...end, settlement })
  return frames(text)
}

// biome-ignore lint/suspicious/noExplicitAny: what is sent is looked at as a client without types would
type Json = any
const json = ({ data }: Frame) => JSON.parse(data) as Json

/** A reply in the words of all dialects: texts joined by kind, calls in order. */
function gist(items: ReplyItems['items'], asText: readonly string[]) {
  const join = (kinds: readonly string[]) =>
    items.flatMap((item) => (item.kind !== 'tool-call' && kinds.includes(item.kind) ? [item.text] : [])).join('')
  return {
    text: join(asText),
    reasoning: join(['reasoning']),
    calls: items.flatMap((item) => (item.kind === 'tool-call' ? [[item.id, item.name, item.arguments]] : [])),
  }
}

describe('a streamed reply says the same as one in one piece, whatever its steps', () => {
  const check = (run: (events: ReplyEvent[], end: SettledReply) => void) =>
    fc.assert(
      fc.property(steps, ends, (events, end) => {
        const items = new ReplyItems()
        for (const event of events) items.add(event)
        run(events, { ...end, items: items.items, settlement })
      }),
    )

  test('chat completions', () => {
    check((events, reply) => {
      const whole = chatCompletions.encode(envelope, reply) as Json
      const sent = stream(chatCompletions, events, reply)
      expect(sent.at(-1)?.data).toBe('[DONE]')
      const chunks = sent.slice(0, -1).map(json)
      const last = chunks.at(-1) as Json
      expect(last).toMatchObject({ choices: [], usage: whole.usage, lilypad: { job_id: '0x01' } })
      expect(chunks.slice(0, -1).some((chunk) => 'usage' in chunk)).toBe(false)
      expect(chunks.every((chunk) => chunk.system_fingerprint === whole.system_fingerprint)).toBe(true)
      const deltas = chunks.flatMap((chunk) => chunk.choices?.[0]?.delta ?? [])
      const calls: string[][] = []
      for (const delta of deltas)
        for (const call of delta.tool_calls ?? []) {
          const known = calls[call.index as number]
          if (known) known[2] += String(call.function?.arguments)
          else
            calls[call.index as number] = [
              String(call.id),
              String(call.function?.name),
              String(call.function?.arguments),
            ]
        }
      const join = (name: string) => deltas.map((delta) => delta[name] ?? '').join('')
      const { text, reasoning, calls: expected } = gist(reply.items, ['text'])
      expect([join('content'), join('reasoning'), calls]).toEqual([text, reasoning, expected])
      const message = whole.choices?.[0]?.message
      expect([message?.content ?? '', message?.reasoning ?? '']).toEqual([text, reasoning])
      const finished = chunks.filter((chunk) => chunk.choices?.[0]?.finish_reason)
      expect(finished.map((chunk) => chunk.choices?.[0]?.finish_reason)).toEqual([whole.choices?.[0]?.finish_reason])
    })
  })

  test('responses', () => {
    check((events, reply) => {
      const whole = responses.encode(envelope, reply) as Json
      const sent = stream(responses, events, reply).map((frame) => ({ ...json(frame), event: frame.event }) as Json)
      expect(sent.map((event) => event.sequence_number)).toEqual(sent.map((_, index) => index))
      expect(sent.every((event) => event.type === event.event)).toBe(true)
      const last = sent.at(-1) as Json
      expect(last.response).toEqual(whole)
      expect(['response.completed', 'response.incomplete']).toContain(last.type)
      // Every item that opens closes, once, as it stands in the whole response.
      const done = sent.filter((event) => event.type === 'response.output_item.done')
      const byPlace = [...done]
        .sort((a, b) => Number(a.output_index) - Number(b.output_index))
        .map((event) => event.item)
      expect(byPlace).toEqual(whole.output)
      const added = sent.filter((event) => event.type === 'response.output_item.added')
      expect(added.map((event) => event.output_index)).toEqual(byPlace.map((_, index) => index))
    })
  })

  test('messages', () => {
    check((events, reply) => {
      const whole = messages.encode(envelope, reply) as Json
      const sent = stream(messages, events, reply).map(json)
      expect(sent[0]).toMatchObject({ type: 'message_start' })
      expect(sent.slice(-2)).toMatchObject([
        { type: 'message_delta', delta: { stop_reason: whole.stop_reason }, usage: whole.usage },
        { type: 'message_stop' },
      ])
      let open: number | undefined
      let blocks = 0
      const texts = { text: '', reasoning: '' }
      const calls: string[][] = []
      for (const event of sent.slice(1, -2)) {
        switch (event.type as string) {
          case 'content_block_start': {
            expect(open).toBeUndefined()
            expect(event.index).toBe(blocks)
            open = blocks++
            const block = event.content_block as Json
            if (block.type === 'tool_use') calls.push([String(block.id), String(block.name), ''])
            break
          }
          case 'content_block_delta': {
            expect(event.index).toBe(open)
            const delta = event.delta as Json
            texts.text += delta.text ?? ''
            texts.reasoning += delta.thinking ?? ''
            const call = calls.at(-1)
            if (delta.partial_json !== undefined && call) call[2] += delta.partial_json
            break
          }
          case 'content_block_stop':
            expect(event.index).toBe(open)
            open = undefined
        }
      }
      expect(open).toBeUndefined()
      const { calls: expected, ...said } = gist(reply.items, ['text', 'refusal'])
      expect(texts).toEqual(said)
      expect([...calls].sort()).toEqual([...expected].sort())
      const blocksOfWhole = (whole.content as Json[]).filter((block) => block.type === 'tool_use')
      expect(blocksOfWhole.map((block) => block.input)).toEqual(expected.map(([, , text]) => JSON.parse(text ?? '')))
    })
  })
})

test('a reply that is there already streams as the same reply', () => {
  fc.assert(
    fc.property(steps, (events) => {
      const items = new ReplyItems()
      for (const event of events) items.add(event)
      const again = new ReplyItems()
      for (const event of toReplyEvents({ items: items.items, finish: 'stop', usage: undefined })) again.add(event)
      expect(again.items).toEqual(items.items)
    }),
  )
})

const broken = new LilypadError('UPSTREAM_FAILED', 'The answer of the model could not be used.')
describe('a stream that fails never looks whole', () => {
  test.each([
    [
      chatCompletions,
      /"finish_reason":"(stop|length|tool_calls)"/,
      /"finish_reason":"error".*"error"|"error".*"finish_reason":"error"/,
    ],
    [responses, /response\.(completed|incomplete)/, /event: error\n.*\n\nevent: response\.failed/],
    [messages, /message_stop|"stop_reason":"/, /event: error\ndata: \{"type":"error"/],
  ])('$name', (dialect, whole, failed) => {
    const encoder = dialect.openStream(envelope)
    const text = encoder.start() + encoder.event({ kind: 'text', text: 'half' }) + encoder.fail(broken)
    expect(text).not.toMatch(whole)
    expect(text).toMatch(failed)
  })
})

test('arguments that are cut off are an error to Anthropic clients, never an empty object', () => {
  const call: ReplyEvent[] = [
    { kind: 'tool-call', index: 0, id: 'a', name: 'f' },
    { kind: 'tool-arguments', index: 0, text: '{"a":' },
  ]
  const usage = { inputTokens: 1, outputTokens: 1, cachedTokens: 0, reasoningTokens: 0 }
  expect(() => stream(messages, call, { finish: 'length', usage })).toThrow(UpstreamFaultError)
  const items = [{ kind: 'tool-call' as const, id: 'a', name: 'f', arguments: '{"a":' }]
  expect(() => messages.encode(envelope, { items, finish: 'length', usage, settlement })).toThrow(UpstreamFaultError)
})
