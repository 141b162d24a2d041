import { InMemoryCache } from '@langchain/core/caches'
import type { BaseLanguageModelInput } from '@langchain/core/language_models/base'
import {
  AIMessage,
  AIMessageChunk,
  type BaseMessage,
  HumanMessage,
  SystemMessage,
  ToolMessage,
  type UsageMetadata,
} from '@langchain/core/messages'
import { RunnableLambda } from '@langchain/core/runnables'
import { tool } from '@langchain/core/tools'
import { toJsonSchema } from '@langchain/core/utils/json_schema'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { ChatLilypad, type ChatLilypadFields } from '../src/index.ts'
import { apiKey, baseUrl, createFakeGateway, type FakeGateway } from './fake-gateway.ts'

// What LangChain asks of every chat model, in 33 points: 8 of the class, 25 of its answers. The numbers are those of the contract.

let gateway: FakeGateway
beforeEach(() => {
  gateway = createFakeGateway()
})
afterEach(() => {
  vi.unstubAllEnvs()
})

const create = (fields: Partial<ChatLilypadFields> = {}) =>
  new ChatLilypad({ model: 'chat', apiKey, baseUrl, fetch: gateway.fetch, ...fields })

const adder = tool(({ a, b }: { a: number; b: number }) => String(a + b), {
  name: 'math_addition',
  description: 'Adds two numbers',
  schema: z.object({ a: z.number(), b: z.number() }),
})
const weather = tool(() => 'warm', {
  name: 'get_current_weather',
  description: 'Weather of a place',
  schema: z.object({ location: z.string() }),
})
const person = z.object({ name: z.string(), age: z.number() }).describe('A person')

async function join(stream: AsyncIterable<AIMessageChunk>): Promise<AIMessageChunk> {
  let whole: AIMessageChunk | undefined
  for await (const chunk of stream) whole = whole?.concat(chunk) ?? chunk
  return whole ?? expect.unreachable()
}

describe('the class', () => {
  test('1: is made with the common settings', () => {
    const model = create({ temperature: 0, maxTokens: 100, timeout: 60, stopSequences: [], maxRetries: 2 })
    expect(model.invocationParams({})).toEqual({ model: 'chat', temperature: 0, max_tokens: 100, stop: [] })
  })

  test('2: takes the key as a setting while the variable is empty', () => {
    vi.stubEnv('LILYPAD_API_KEY', '')
    expect(create()).toBeInstanceOf(ChatLilypad)
    expect(() => new ChatLilypad('chat')).toThrow('needs the API key')
    vi.stubEnv('LILYPAD_API_KEY', apiKey)
    expect(new ChatLilypad('chat').model).toBe('chat')
  })

  test('3: is made for streaming, and invoke streams then', async () => {
    const reply = await create({ streaming: true }).invoke('Hi')
    expect(reply.text).toBe('You said: Hi')
    expect(gateway.lastBody.stream).toBe(true)
  })

  test('4: binds tools', async () => {
    await create().bindTools([adder]).invoke('add')
    expect(gateway.lastBody.tools).toEqual([
      {
        type: 'function',
        function: expect.objectContaining({ name: 'math_addition', description: 'Adds two numbers' }),
      },
    ])
  })

  test('5: gives structured output', () => {
    expect(create().withStructuredOutput(person).invoke).toBeTypeOf('function')
  })

  test('6: tells LangSmith what it knows, and no more', () => {
    const model = create({ temperature: 0.5, maxTokens: 9, stop: ['x'] })
    const params = model.getLsParams({} as never)
    expect(params).toEqual({
      ls_provider: 'lilypad',
      ls_model_name: 'chat',
      ls_model_type: 'chat',
      ls_temperature: 0.5,
      ls_max_tokens: 9,
      ls_stop: ['x'],
    })
  })

  test('7: invoke with an aborted signal rejects and asks nothing', async () => {
    await expect(create().invoke('Hi', { signal: AbortSignal.abort() })).rejects.toThrow()
    expect(gateway.requests).toEqual([])
  })

  test('8: stream with an aborted signal throws and asks nothing', async () => {
    await expect(async () => {
      for await (const _ of await create().stream('Hi', { signal: AbortSignal.abort() })) expect.unreachable()
    }).rejects.toThrow()
    expect(gateway.requests).toEqual([])
  })
})

describe('its answers', () => {
  test('9: invoke', async () => {
    const reply = await create().invoke('Hello')
    expect(AIMessage.isInstance(reply)).toBe(true)
    expect(reply.content).toBe('You said: Hello')
  })

  test('10: stream gives chunks of text', async () => {
    const tokens: string[] = []
    for await (const token of await create().stream('Hello frog')) {
      expect(AIMessageChunk.isInstance(token)).toBe(true)
      expect(token.content).toBeTypeOf('string')
      tokens.push(token.text)
    }
    expect(tokens.filter((text) => text !== '')).toEqual(['You ', 'said: ', 'Hello ', 'frog'])
  })

  test('11: batch', async () => {
    const replies = await create().batch(['Hello', 'Hey'])
    expect(replies.map(({ text }) => text)).toEqual(['You said: Hello', 'You said: Hey'])
  })

  test('12: a conversation', async () => {
    const reply = await create().invoke([
      new SystemMessage('Be brief'),
      new HumanMessage('hello'),
      new AIMessage('hi'),
      new HumanMessage('how are you'),
    ])
    expect(reply.text).toBe('You said: hello how are you')
    expect((gateway.lastBody.messages as { role: string }[]).map(({ role }) => role)).toEqual([
      'system',
      'user',
      'assistant',
      'user',
    ])
  })

  test('13: usage of invoke, and the model', async () => {
    const { usage_metadata, response_metadata } = await create().invoke('Hello')
    expect(usage_metadata).toEqual({
      input_tokens: 7,
      output_tokens: expect.any(Number),
      total_tokens: expect.any(Number),
      input_token_details: { cache_read: 2 },
      output_token_details: { reasoning: 1 },
    })
    expect(response_metadata).toMatchObject({ model: 'chat', model_name: 'chat', finish_reason: 'stop' })
  })

  test('14: usage of the joined stream is that of invoke', async () => {
    const model = create()
    const whole = await model.invoke('Hello')
    const joined = await join(await model.stream('Hello'))
    expect(joined.usage_metadata).toEqual(whole.usage_metadata)
    expect(joined.response_metadata).toMatchObject({ model: 'chat', model_name: 'chat', finish_reason: 'stop' })
  })

  const history = (content: AIMessage['content'], results: ToolMessage['content'] = '{"answer": 3}') => [
    new HumanMessage('add'),
    new AIMessage({
      content,
      tool_calls: [{ name: 'math_addition', args: { a: 1, b: 2 }, id: 'abc123', type: 'tool_call' }],
    }),
    new ToolMessage({ content: results, tool_call_id: 'abc123', name: 'math_addition' }),
  ]

  test('15: a history of tools with text', async () => {
    const reply = await create().bindTools([adder]).invoke(history(''))
    expect(reply.text).toBe('The tools have answered.')
    expect(gateway.lastBody.messages).toMatchObject([
      { role: 'user' },
      { role: 'assistant', content: null, tool_calls: [{ id: 'abc123', function: { arguments: '{"a":1,"b":2}' } }] },
      { role: 'tool', tool_call_id: 'abc123', content: '{"answer": 3}' },
    ])
  })

  test('16: a history of tools with blocks, of which those of Anthropic do not go on the wire', async () => {
    const content = [
      { type: 'text', text: 'adding' },
      { type: 'tool_use', id: 'abc123', name: 'math_addition', input: { a: 1, b: 2 } },
    ]
    await create().bindTools([adder]).invoke(history(content))
    expect(gateway.lastBody.messages).toMatchObject([{}, { content: 'adding', tool_calls: [{ id: 'abc123' }] }, {}])
    expect(JSON.stringify(gateway.lastBody)).not.toContain('tool_use')
  })

  test('17: examples with tools', async () => {
    const reply = await create()
      .bindTools([adder])
      .invoke([...history(''), new AIMessage('3'), new HumanMessage('and?')])
    expect(reply.tool_calls).toHaveLength(1)
  })

  test('18: structured output, with the format that tracers expect', async () => {
    const seen: unknown[] = []
    const run = create().withStructuredOutput(person)
    const said = await run.invoke('who', {
      callbacks: [
        {
          handleChatModelStart: (_model, _messages, _run, _parent, extra) => {
            seen.push((extra?.options as { ls_structured_output_format?: unknown })?.ls_structured_output_format)
          },
        },
      ],
    })
    expect(said).toEqual({ name: 'word', age: 2 })
    expect(seen).toEqual([{ kwargs: { method: 'functionCalling' }, schema: toJsonSchema(person) }])
  })

  test('19: structured output with the raw message', async () => {
    const { raw, parsed } = await create().withStructuredOutput(person, { includeRaw: true }).invoke('who')
    expect(parsed).toEqual({ name: 'word', age: 2 })
    expect(AIMessage.isInstance(raw)).toBe(true)
  })

  const openAiTool = {
    type: 'function',
    function: { name: 'add', description: 'Adds', parameters: toJsonSchema(z.object({ a: z.number() })) },
  } as const

  test('20: a tool in the format of OpenAI', async () => {
    const { tool_calls } = await create().bindTools([openAiTool]).invoke('add')
    expect(tool_calls).toEqual([{ name: 'add', args: { a: 2 }, id: expect.any(String), type: 'tool_call' }])
  })

  test('21: a runnable as a tool', async () => {
    const runnable = RunnableLambda.from((input: { a: number; b: number }) => input.a + input.b).asTool({
      name: 'math_addition',
      description: 'Adds',
      schema: z.object({ a: z.number(), b: z.number() }),
    })
    const { tool_calls } = await create().bindTools([runnable]).invoke('add')
    expect(tool_calls).toEqual([
      { name: 'math_addition', args: { a: 2, b: 2 }, id: expect.any(String), type: 'tool_call' },
    ])
  })

  test('22: a cache of complex messages: the second answer is the first, from one entry', async () => {
    const cache = new InMemoryCache(new Map())
    const model = create({ cache })
    const update = vi.spyOn(cache, 'update')
    const asked = [new HumanMessage({ content: [{ type: 'text', text: 'Hello' }] })]
    const first = await model.invoke(asked)
    const second = await model.invoke(asked)
    expect(second.content).toEqual(first.content)
    expect(gateway.orders).toBe(1)
    expect(update).toHaveBeenCalledTimes(1)
  })

  test('23: a streamed call of a tool has usage', async () => {
    const joined = await join(await create().bindTools([adder]).stream('add'))
    expect(joined.tool_calls).toEqual([
      { name: 'math_addition', args: { a: 2, b: 2 }, id: expect.any(String), type: 'tool_call' },
    ])
    // Core's type of the usage is `never` where optional properties are exact.
    const usage = joined.usage_metadata as UsageMetadata | undefined
    expect(usage?.input_tokens).toBeGreaterThan(0)
    expect(usage?.output_tokens).toBeGreaterThan(0)
  })

  test.each(['invoke', 'stream'] as const)('24: there and back with a tool, by %s', async (how) => {
    const model = create().bindTools([weather])
    const ask = async (messages: BaseMessage[]) =>
      how === 'invoke' ? model.invoke(messages) : join(await model.stream(messages))
    const messages: BaseMessage[] = [new HumanMessage('weather?')]
    const called = await ask(messages)
    expect(called.tool_calls).toHaveLength(1)
    messages.push(called, new ToolMessage({ tool_call_id: called.tool_calls?.[0]?.id ?? '', content: 'warm' }))
    expect((await ask(messages)).text).not.toBe('')
  })

  test('25: a complex nested schema with a free record', async () => {
    const nested = z.object({
      groups: z.array(z.object({ name: z.string(), members: z.array(person) })),
      notes: z.record(z.string(), z.unknown()),
    })
    expect(await create().withStructuredOutput(nested).invoke('x')).toEqual({
      groups: [{ name: 'word', members: [{ name: 'word', age: 2 }] }],
      notes: {},
    })
  })

  test('26: calls side by side, then none', async () => {
    const model = create().bindTools([weather, adder])
    for (const called of [await model.invoke('both'), await join(await model.stream('both'))]) {
      expect(called.tool_calls?.map(({ name }) => name)).toEqual(['get_current_weather', 'math_addition'])
      const results = (called.tool_calls ?? []).map(
        ({ id = '' }) => new ToolMessage({ tool_call_id: id, content: 'x' }),
      )
      const after = await model.invoke([new HumanMessage('both'), called, ...results])
      expect(after.tool_calls).toEqual([])
      expect(after.text).not.toBe('')
    }
  })

  test('27: parameters of a tool without its function', async () => {
    const { tool_calls } = await create()
      .bindTools([{ name: 'math_addition', description: 'Adds', schema: z.object({ a: z.number() }) }])
      .invoke('add')
    expect(tool_calls?.[0]).toMatchObject({ name: 'math_addition', args: { a: 2 } })
  })

  test('28: the arguments of streamed calls are parsed, and come piece by piece', async () => {
    const chunks: AIMessageChunk[] = []
    for await (const chunk of await create().bindTools([adder]).stream('add')) chunks.push(chunk)
    expect(chunks.filter(({ tool_call_chunks }) => (tool_call_chunks?.length ?? 0) > 0).length).toBeGreaterThan(2)
    const joined = chunks.reduce((whole, chunk) => whole.concat(chunk))
    expect(joined.tool_calls?.[0]?.args).toEqual({ a: 2, b: 2 })
  })

  const png = 'iVBORw0KGgo='
  const saw = async (block: Record<string, unknown>) => {
    const input: BaseLanguageModelInput = [
      new HumanMessage({ content: [{ type: 'text', text: 'what' }, block as never] }),
    ]
    return (await create().invoke(input)).text
  }

  test('29: a standard block of text', async () => {
    expect(await saw({ type: 'text', source_type: 'text', text: 'frog' })).toBe('You said: what frog')
  })

  test.each([
    ['Base64, v1', { type: 'image', data: png, mimeType: 'image/png' }],
    ['Base64, v0', { type: 'image', source_type: 'base64', data: png, mime_type: 'image/png' }],
    ['bytes', { type: 'image', data: Uint8Array.from(atob(png), (c) => c.charCodeAt(0)), mimeType: 'image/png' }],
  ])('30: a standard image as %s', async (_, block) => {
    expect(await saw(block)).toBe('You said: what [image]')
    const [, part] = (gateway.lastBody.messages as { content: unknown[] }[])[0]?.content ?? []
    expect(part).toEqual({ type: 'image_url', image_url: { url: `data:image/png;base64,${png}` } })
  })

  test.each([
    ['v1', { type: 'image', url: `data:image/png;base64,${png}` }],
    ['v0', { type: 'image', source_type: 'url', url: `data:image/png;base64,${png}` }],
    ['of OpenAI', { type: 'image_url', image_url: { url: `data:image/png;base64,${png}` } }],
  ])('31: a standard image as a data URL, %s', async (_, block) => {
    expect(await saw(block)).toBe('You said: what [image]')
  })

  test.each([
    ['32: audio', { type: 'audio', data: 'AAAA', mimeType: 'audio/wav' }],
    ['33: a file', { type: 'file', data: 'AAAA', mimeType: 'application/pdf' }],
  ])(
    '%s, which no model here reads, is refused before anything is ordered, and nothing is left out silently',
    async (_, block) => {
      await expect(saw(block)).rejects.toThrow(`type "${block.type}" cannot be sent`)
      expect(gateway.requests).toEqual([])
    },
  )
})
