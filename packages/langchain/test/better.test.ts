import { inspect } from 'node:util'
import { InMemoryCache } from '@langchain/core/caches'
import { AIMessage, type AIMessageChunk, HumanMessage } from '@langchain/core/messages'
import { tool } from '@langchain/core/tools'
import { beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { z as z3 } from 'zod/v3'
import {
  apiKeyPayer,
  ChatLilypad,
  type ChatLilypadFields,
  getReceipt,
  LilypadEmbeddings,
  type LilypadReceipt,
  lilypadTool,
  sumCost,
} from '../src/index.ts'
import { apiKey, baseUrl, createFakeGateway, type FakeGateway, saidText } from './fake-gateway.ts'

// Items of the list "better than the anchors", by their numbers.

let gateway: FakeGateway
beforeEach(() => {
  gateway = createFakeGateway()
})
const create = (fields: Partial<ChatLilypadFields> = {}) =>
  new ChatLilypad({ model: 'chat', apiKey, baseUrl, fetch: gateway.fetch, ...fields })
async function join(stream: AsyncIterable<AIMessageChunk>): Promise<AIMessageChunk> {
  let whole: AIMessageChunk | undefined
  for await (const chunk of stream) whole = whole?.concat(chunk) ?? chunk
  return whole ?? expect.unreachable()
}

describe('3: receipts', () => {
  test('are identical through every way of asking for the same purchase', async () => {
    const model = create()
    const idempotencyKey = 'one-purchase'
    const receipts: (LilypadReceipt | undefined)[] = []
    receipts.push(getReceipt(await model.invoke('Hi', { idempotencyKey })))
    receipts.push(getReceipt(await join(await model.stream('Hi', { idempotencyKey }))))
    receipts.push(getReceipt((await model.streamEvents('Hi', { idempotencyKey }).output) as AIMessage))
    for await (const { event, data } of model.streamEvents('Hi', { version: 'v2', idempotencyKey }))
      if (event === 'on_chat_model_end') receipts.push(getReceipt(data.output))
    receipts.push(getReceipt((await model.batch(['Hi'], { idempotencyKey }))[0] ?? expect.unreachable()))
    expect(receipts).toHaveLength(5)
    expect(receipts[0]).toBeDefined()
    for (const receipt of receipts) expect(receipt).toEqual(receipts[0])
    expect(gateway.orders).toBe(1)
  })

  test('of a cache hit are those of the purchase, and cost nothing more', async () => {
    const model = create({ cache: new InMemoryCache(new Map()) })
    const first = await model.invoke('Hi')
    const second = await model.invoke('Hi')
    expect(getReceipt(second)).toEqual(getReceipt(first))
    expect(second.usage_metadata).toMatchObject({ total_tokens: 0 })
    expect(sumCost([first, second])).toEqual({ amount: '0.000123', currency: 'LILY' })
    expect(sumCost([first, second, await create().invoke('Hi'), new HumanMessage('x')])).toEqual({
      amount: '0.000246',
      currency: 'LILY',
    })
  })

  test('survive JSON, and what is none is none', async () => {
    const reply = await create().invoke('Hi')
    expect(getReceipt(new AIMessage(JSON.parse(JSON.stringify(reply)).kwargs))).toEqual(getReceipt(reply))
    for (const lilypad of [
      undefined,
      null,
      1,
      {},
      { jobId: 'x', receipt: 'x', cost: { amount: '-1', currency: 'LILY' }, tx: null },
    ])
      expect(getReceipt(new AIMessage({ content: '', response_metadata: { lilypad } }))).toBeUndefined()
  })

  test('two models never share an answer in a cache', async () => {
    const cache = new InMemoryCache(new Map())
    await create({ cache }).invoke('Hi')
    await create({ cache, model: 'other' }).invoke('Hi')
    await create({ cache, temperature: 1 }).invoke('Hi')
    expect(gateway.orders).toBe(3)
  })
})

describe('6: the maximum price', () => {
  test('of model and call goes with the request', async () => {
    const model = create({ maxPrice: '0.5' })
    await model.invoke('Hi')
    await model.invoke('Hi', { maxPrice: '0.1', provider: `0x${'01'.repeat(20)}` })
    await join(await model.stream('Hi'))
    expect(gateway.requests.map(({ headers }) => headers.get('x-lilypad-max-price'))).toEqual(['0.5', '0.1', '0.5'])
    expect(gateway.requests[1]?.headers.get('x-lilypad-provider')).toBe(`0x${'01'.repeat(20)}`)
  })
})

describe('9: secrets', () => {
  test('are in no JSON, no trace and no error', async () => {
    const seen: unknown[] = []
    const model = create({
      callbacks: [
        {
          handleChatModelStart: (...given) => void seen.push(given),
          handleLLMError: (error) => void seen.push([error, error.message, error.stack, error.cause]),
        },
      ],
    })
    expect(JSON.stringify(model.toJSON())).toContain('"type":"secret"')
    await model.invoke('Hi')
    gateway.fail({ status: 402, retryable: false }, 'bad-json', 'cut-before', 'cut-before', 'cut-before')
    const errors = [
      await model.invoke('Hi').catch((error: unknown) => error),
      await model.invoke('Hi').catch((error: unknown) => error),
      await model.invoke('Hi').catch((error: unknown) => error),
    ]
    const embeddings = new LilypadEmbeddings({ model: 'vectors', apiKey, baseUrl, fetch: gateway.fetch })
    const bought = await lilypadTool('sample', { payer: apiKeyPayer({ apiKey, baseUrl, fetch: gateway.fetch }) })
    expect(errors.map((error) => error instanceof Error)).toEqual([true, true, true])
    expect(seen).toHaveLength(7)
    const told = [seen, errors, model.toJSON(), await bought.invoke({ text: 'hello' })]
    expect(inspect(told, { depth: 20 })).toContain('LilypadError')
    expect(inspect(told, { depth: 20 })).not.toContain(apiKey)
    expect(JSON.stringify([told, model, embeddings, bought])).not.toContain(apiKey)
  })

  test('of a URL are refused without being repeated', () => {
    expect(() => create({ baseUrl: 'https://user:hunter2@gateway.example' })).toThrow('cannot be used')
    expect(() => create({ baseUrl: 'https://user:hunter2@gateway.example' })).not.toThrow('hunter2')
  })
})

describe('10: content blocks', () => {
  test('of a reply show what the model thought, by invoke, stream and streamEvents', async () => {
    const model = create()
    const blocks = [
      { type: 'reasoning', reasoning: 'a frog is green' },
      { type: 'text', text: 'Green it is.' },
    ]
    expect((await model.invoke('think')).contentBlocks).toEqual(blocks)
    expect((await join(await model.stream('think'))).contentBlocks).toEqual(blocks)
    const events = model.streamEvents('think')
    expect(await events.reasoning).toBe('a frog is green')
    expect(await events.text).toBe('Green it is.')
    expect(((await events.output) as AIMessage).contentBlocks).toEqual(blocks)
  })

  test('are the content itself with outputVersion v1', async () => {
    const reply = await create({ outputVersion: 'v1' }).invoke('think')
    expect(reply.content).toEqual([
      { type: 'reasoning', reasoning: 'a frog is green' },
      { type: 'text', text: 'Green it is.' },
    ])
    await create().invoke([new HumanMessage('think'), reply, new HumanMessage('more')])
    expect(gateway.lastBody.messages).toMatchObject([
      {},
      { role: 'assistant', content: 'Green it is.', reasoning_content: 'a frog is green' },
      {},
    ])
  })
})

describe('11: schemas', () => {
  const said = { name: 'word', age: 2 }
  const jsonSchema = { type: 'object', properties: { name: { type: 'string' }, age: { type: 'number' } } }
  // Nothing of zod but what every library with the standard has.
  const standard = { '~standard': z.object({ name: z.string(), age: z.number() })['~standard'] }
  const schemas = [
    ['zod 4', z.object({ name: z.string(), age: z.number() })],
    ['zod 3', z3.object({ name: z3.string(), age: z3.number() })],
    ['JSON Schema', jsonSchema],
    ['Standard Schema', standard],
  ] as const
  const methods = ['functionCalling', 'jsonSchema'] as const

  test.each(schemas.flatMap(([name, schema]) => methods.map((method) => [name, method, schema] as const)))(
    '%s by %s',
    async (_, method, schema) => {
      expect(
        await create()
          .withStructuredOutput(schema as never, { method })
          .invoke('x'),
      ).toEqual(said)
    },
  )

  test('jsonMode', async () => {
    gateway = createFakeGateway({ say: () => saidText(JSON.stringify(said)) })
    const run = create().withStructuredOutput(z.object({ name: z.string(), age: z.number() }), { method: 'jsonMode' })
    expect(await run.invoke('x')).toEqual(said)
    expect(gateway.lastBody.response_format).toEqual({ type: 'json_object' })
  })

  test.each([
    ['zod 4', z.object({ a: z.number() })],
    ['zod 3', z3.object({ a: z3.number() })],
    ['JSON Schema', { type: 'object', properties: { a: { type: 'number' } } }],
  ] as const)('tools with %s', async (_, schema) => {
    const bound = tool(() => '', { name: 'add', description: 'Adds', schema: schema as never })
    expect((await create().bindTools([bound]).invoke('x')).tool_calls).toMatchObject([{ name: 'add', args: { a: 2 } }])
  })
})

describe('13: schemas of tools', () => {
  test.each([
    ['$ref', { type: 'object', properties: { a: { $ref: '#/$defs/n' } }, $defs: { n: { type: 'number' } } }, { a: 2 }],
    ['anyOf', { type: 'object', properties: { a: { anyOf: [{ type: 'string' }, { type: 'null' }] } } }, { a: 'word' }],
    ['no parameters', { type: 'object', properties: {} }, {}],
  ] as const)('with %s are taken', async (_, parameters, args) => {
    const model = create().bindTools([{ type: 'function', function: { name: 'f', parameters } }])
    for (const reply of [await model.invoke('x'), await join(await model.stream('x'))])
      expect(reply.tool_calls).toMatchObject([{ name: 'f', args }])
  })
})

describe('14: a call that is cut', () => {
  const cut = (args: string) =>
    createFakeGateway({
      say: () => ({ items: [{ kind: 'tool-call', id: 'call_9', name: 'pay', arguments: args }], finish: 'length' }),
    })

  test.each(['{"to":"a","amou', '{"to":"a', '{', ''])(
    'with the arguments %j is invalid, on every way',
    async (args) => {
      gateway = cut(args)
      const model = create().bindTools([{ type: 'function', function: { name: 'pay' } }])
      for (const reply of [await model.invoke('x'), await join(await model.stream('x'))]) {
        expect(reply.tool_calls).toEqual([])
        expect(reply.invalid_tool_calls).toMatchObject([{ name: 'pay', args, id: 'call_9' }])
      }
      const output = (await create().streamEvents('x').output) as AIMessage
      expect(output.tool_calls).toEqual([])
    },
  )

  test('is told beside a whole one', async () => {
    gateway = createFakeGateway({
      say: () => ({
        items: [
          { kind: 'tool-call', id: 'a', name: 'look', arguments: '{"at":1}' },
          { kind: 'tool-call', id: 'b', name: 'pay', arguments: '{"to":' },
        ],
        finish: 'length',
      }),
    })
    const reply = await join(await create().stream('x'))
    expect(reply.tool_calls).toMatchObject([{ id: 'a', args: { at: 1 } }])
    expect(reply.invalid_tool_calls).toMatchObject([{ id: 'b' }])
  })
})

test('a fetch that pays by itself needs no key', async () => {
  const seen: (string | null)[] = []
  const paying: typeof fetch = (input, init) => {
    const headers = new Headers(init?.headers)
    seen.push(headers.get('authorization'))
    headers.set('authorization', `Bearer ${apiKey}`)
    return gateway.fetch(input, { ...init, headers })
  }
  const model = new ChatLilypad({ model: 'chat', baseUrl, fetch: paying })
  expect((await model.invoke('Hi')).text).toBe('You said: Hi')
  expect(await new LilypadEmbeddings({ model: 'vectors', baseUrl, fetch: paying }).embedQuery('a')).toHaveLength(3)
  expect(seen).toEqual([null, null])
})

test('the profile is read from the gateway', async () => {
  const model = create()
  expect(model.profile).toEqual({})
  const profile = {
    maxInputTokens: 4096,
    maxOutputTokens: 256,
    imageInputs: true,
    imageUrlInputs: false,
    audioInputs: false,
    toolCalling: true,
    toolChoice: true,
    structuredOutput: true,
  }
  expect(await model.loadProfile()).toEqual(profile)
  expect(model.profile).toEqual(profile)
})

describe('embeddings', () => {
  const embed = (fields: object = {}) =>
    new LilypadEmbeddings({ model: 'vectors', apiKey, baseUrl, fetch: gateway.fetch, ...fields })

  test('are in the order of the texts, in batches, each with its receipt', async () => {
    const receipts: LilypadReceipt[] = []
    const embeddings = embed({
      batchSize: 2,
      dimensions: 3,
      onReceipt: (receipt: LilypadReceipt) => receipts.push(receipt),
    })
    expect(await embeddings.embedDocuments(['a', 'bb', 'ccc'])).toEqual([
      [1, 0.5, 3],
      [2, 0.5, 3],
      [3, 0.5, 3],
    ])
    expect(receipts.map(({ cost }) => cost.amount)).toEqual(['0.000123', '0.000123'])
    expect(await embeddings.embedQuery('dddd')).toEqual([4, 0.5, 3])
    expect(await embeddings.embedDocuments([])).toEqual([])
  })

  test('are bought once, whatever breaks', async () => {
    gateway.fail({ status: 503 }, 'cut-before')
    expect(await embed().embedQuery('a')).toEqual([1, 0.5, 0])
    expect(gateway.orders).toBe(1)
    expect(new Set(gateway.keys).size).toBe(1)
  })

  test('that are not one for each text are an error', async () => {
    const fetch = async () => Response.json({ data: [{ index: 1, embedding: 'AACAPw==' }] })
    await expect(embed({ fetch }).embedDocuments(['a'])).rejects.toThrow('one vector for each text')
  })
})
