import { describe, expect, test } from 'vitest'
import { alteredCompletions, alteredStreams } from '../../test/altered-replies.ts'
import { hostileCompletions, hostileStreams } from '../../test/hostile-replies.ts'
import type { ReplyEnd, ReplyEvent } from '../conversation/reply.ts'
import { CompletionReader } from './completion-reader.ts'
import { readCompletion } from './read-completion.ts'
import { toUpstreamRequest } from './to-upstream-request.ts'
import { UpstreamFaultError } from './upstream-fault.ts'

const bytesOf = (text: string | Uint8Array) => (typeof text === 'string' ? Buffer.from(text) : text)

/** Reads a stream cut into pieces of one length. */
function read(stream: string | Uint8Array, pieceLength: number): { events: ReplyEvent[]; end: ReplyEnd } {
  const reader = new CompletionReader()
  const bytes = bytesOf(stream)
  const events: ReplyEvent[] = []
  for (let at = 0; at < bytes.length; at += pieceLength)
    events.push(...reader.read(bytes.subarray(at, at + pieceLength)))
  return { events, end: reader.end() }
}

const fault = (run: () => unknown) => {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(UpstreamFaultError)
    expect(error).toMatchObject({ code: 'UPSTREAM_FAILED' })
    // What a stranger said is never in our words.
    expect(String(error)).not.toMatch(/ignore previous|frogs|out of memory/)
    return (error as UpstreamFaultError).fault
  }
  return undefined
}

describe('a hostile stream is a typed error and never a clean end', () => {
  test.each(hostileStreams)('%s', (_, stream, expected) => {
    expect(fault(() => read(stream, 100_000_000))).toBe(expected)
    if (stream.length < 5000) for (const length of [1, 7]) expect(fault(() => read(stream, length))).toBe(expected)
  })
})

test.each(hostileCompletions)('a hostile reply in one piece is a typed error: %s', (_, reply, expected) => {
  expect(fault(() => readCompletion(bytesOf(reply)))).toBe(expected)
})

test('a thousand altered replies are typed errors, each by its name, however they are cut', () => {
  const streams = alteredStreams()
  const completions = alteredCompletions()
  const distinct = new Set([...streams, ...completions].map(([, reply]) => bytesOf(reply).toString('base64')))
  expect(distinct.size).toBeGreaterThanOrEqual(1000)
  for (const [name, stream, expected] of streams)
    for (const length of [100_000_000, 13]) expect([name, fault(() => read(stream, length))]).toEqual([name, expected])
  for (const [name, reply, expected] of completions)
    expect([name, fault(() => readCompletion(bytesOf(reply)))]).toEqual([name, expected])
})

const good = [
  ': keep-alive\n\n',
  'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}\r\n\r\n',
  'event: x\nid: 1\ndata: {"choices":[{"delta":{"reasoning_content":"hm"}}]}\n\n',
  'data: {"choices":[{"index":0,"delta":{"content":"Grüße 🐸"}}]}\n\n',
  'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":3,"id":"a","function":{"name":"f","arguments":""}}]}}]}\n\n',
  'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":3,"function":{"arguments":"{\\"a\\":"}}]}}]}\n\n',
  'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":5,"function":{"name":"g"}},{"index":3,"function":{"arguments":"1}"}}]}}]}\n\n',
  'data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}\n\n',
  'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":2}}}\n\n',
  'data: [DONE]\n\ndata: what comes after is no part of it\n\n',
].join('')

test.each([1, 2, 3, 5, 17, 1000, 1_000_000])('a good stream in pieces of %i bytes', (length) => {
  const { events, end } = read(good, length)
  expect(events).toEqual([
    { kind: 'reasoning', text: 'hm' },
    { kind: 'text', text: 'Grüße 🐸' },
    { kind: 'tool-call', index: 0, id: 'a', name: 'f' },
    { kind: 'tool-arguments', index: 0, text: '{"a":' },
    { kind: 'tool-call', index: 1, id: 'call_1', name: 'g' },
    { kind: 'tool-arguments', index: 0, text: '1}' },
  ])
  expect(end).toEqual({
    finish: 'tool-calls',
    usage: { inputTokens: 5, outputTokens: 7, cachedTokens: 2, reasoningTokens: 0 },
  })
})

test('more cached tokens than there are count as those there are', () => {
  const reply = {
    choices: [{ message: { content: 'x' }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 5, completion_tokens: 1, prompt_tokens_details: { cached_tokens: 99 } },
  }
  expect(readCompletion(Buffer.from(JSON.stringify(reply))).usage?.cachedTokens).toBe(5)
})

test('what an assistant thought, said and called in a row goes to the model as one message', () => {
  const { messages } = toUpstreamRequest({
    model: 'chat',
    items: [
      { kind: 'message', role: 'system', parts: [{ kind: 'text', text: 'be brief' }] },
      {
        kind: 'message',
        role: 'user',
        parts: [
          { kind: 'text', text: 'what is this' },
          { kind: 'image', url: 'data:image/png;base64,AA==' },
        ],
      },
      { kind: 'reasoning', text: 'hm' },
      { kind: 'message', role: 'assistant', parts: [{ kind: 'text', text: 'I look.' }] },
      { kind: 'tool-call', id: 'a', name: 'look', arguments: '{}' },
      { kind: 'tool-call', id: 'b', name: 'look', arguments: '{}' },
      { kind: 'tool-result', id: 'a', parts: [{ kind: 'text', text: 'frog' }] },
      { kind: 'tool-result', id: 'b', parts: [{ kind: 'text', text: 'pond' }] },
      { kind: 'message', role: 'assistant', parts: [{ kind: 'text', text: 'A frog.' }] },
      { kind: 'message', role: 'assistant', parts: [{ kind: 'text', text: 'In a pond.' }] },
    ],
    tools: [],
    toolChoice: 'auto',
    format: { kind: 'text' },
    sampling: {},
    isStreamed: false,
  })
  const call = (id: string) => ({ id, type: 'function', function: { name: 'look', arguments: '{}' } })
  expect(messages).toEqual([
    { role: 'system', content: 'be brief' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'what is this' },
        { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } },
      ],
    },
    { role: 'assistant', content: 'I look.', reasoning_content: 'hm', tool_calls: [call('a'), call('b')] },
    { role: 'tool', tool_call_id: 'a', content: 'frog' },
    { role: 'tool', tool_call_id: 'b', content: 'pond' },
    { role: 'assistant', content: 'A frog.' },
    { role: 'assistant', content: 'In a pond.' },
  ])
})
