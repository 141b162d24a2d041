import { AIMessage, type AIMessageChunk, HumanMessage } from '@langchain/core/messages'
import { beforeEach, describe, expect, test } from 'vitest'
import {
  ChatLilypad,
  type ChatLilypadFields,
  ConnectionLostError,
  getReceipt,
  LilypadError,
  PaymentRequiredError,
  StreamTruncatedError,
} from '../src/index.ts'
import { apiKey, baseUrl, createFakeGateway, type FakeGateway } from './fake-gateway.ts'

// Each row of what other packages do wrong, named after it. Every test fails on that behaviour.

let gateway: FakeGateway
beforeEach(() => {
  gateway = createFakeGateway()
})
const create = (fields: Partial<ChatLilypadFields> = {}) =>
  new ChatLilypad({ model: 'chat', apiKey, baseUrl, fetch: gateway.fetch, ...fields })

async function chunksOf(model: ChatLilypad, asked = 'Hello frog'): Promise<AIMessageChunk[]> {
  const chunks: AIMessageChunk[] = []
  for await (const chunk of await model.stream(asked)) chunks.push(chunk)
  return chunks
}
const join = (chunks: readonly AIMessageChunk[]) => chunks.reduce((whole, chunk) => whole.concat(chunk))

/** Every way to ask, and what each gives. */
const ways: readonly (readonly [string, (model: ChatLilypad) => Promise<AIMessage | AIMessageChunk>])[] = [
  ['invoke', (model) => model.invoke('Hello frog')],
  ['stream', async (model) => join(await chunksOf(model))],
  ['streamEvents()', async (model) => (await model.streamEvents('Hello frog').output) as AIMessage],
  [
    'streamEvents v2',
    async (model) => {
      let output: unknown
      for await (const { event, data } of model.streamEvents('Hello frog', { version: 'v2' }))
        if (event === 'on_chat_model_end') output = data.output
      return output as AIMessage
    },
  ],
  ['batch', async (model) => (await model.batch(['Hello frog']))[0] ?? expect.unreachable()],
]

test('usage in an event without choices is kept', async () => {
  const { usage_metadata } = join(await chunksOf(create()))
  expect(usage_metadata).toMatchObject({ input_tokens: 7, output_tokens: expect.any(Number) })
})

test('model and provider stand in a joined stream, once', async () => {
  const chunks = await chunksOf(create())
  expect(join(chunks).response_metadata).toMatchObject({ model: 'chat', model_name: 'chat', model_provider: 'lilypad' })
  expect(chunks.filter(({ response_metadata }) => 'model' in response_metadata)).toHaveLength(1)
})

describe.each(['stream', 'streamEvents()', 'streamEvents v2'] as const)('%s', (how) => {
  const way = ways.find(([name]) => name === how)?.[1] ?? expect.unreachable()

  test('an error in the middle is an error, and never half of a message', async () => {
    gateway.fail('error-mid')
    await expect(way(create({ maxRetries: 0 }))).rejects.toMatchObject({
      name: 'LilypadError',
      code: 'UPSTREAM_FAILED',
    })
  })

  test.each([
    ['a stream without [DONE]', 'no-done'],
    ['a stream without a finish reason', 'no-finish'],
    ['a connection that is lost in the middle', 'cut-mid'],
  ] as const)('%s is truncated, and is not sent again by itself', async (_, fault) => {
    gateway.fail(fault)
    const error = await way(create()).catch((thrown: unknown) => thrown)
    expect(StreamTruncatedError.isInstance(error)).toBe(true)
    expect(gateway.orders).toBe(1)
    // What was paid for is there for who asks again with its key.
    const { idempotencyKey = '' } = error as StreamTruncatedError
    expect(idempotencyKey).toBe(gateway.keys[0])
    if (how !== 'stream') return
    expect((error as StreamTruncatedError).partial?.text.startsWith('You ')).toBe(true)
    const chunks: AIMessageChunk[] = []
    for await (const chunk of await create().stream('Hello frog', { idempotencyKey })) chunks.push(chunk)
    expect(join(chunks).text).toBe('You said: Hello frog')
    expect(gateway.orders).toBe(1)
  })

  test('an event that is no JSON is an error', async () => {
    gateway.fail('bad-json')
    await expect(way(create())).rejects.toThrow('not an event in JSON')
  })
})

test.each(['no-finish', 'bad-json'] as const)('a whole answer that is none (%s) is an error', async (fault) => {
  gateway.fail(fault)
  const error = await create()
    .invoke('Hi')
    .catch((thrown: unknown) => thrown)
  expect(LilypadError.isInstance(error)).toBe(true)
  expect(error).toMatchObject({ charged: 'unknown', idempotencyKey: gateway.keys[0] })
})

describe.each(ways)('%s', (how, way) => {
  test('a connection that is lost before the first word is one purchase', async () => {
    gateway.fail('cut-before', 'cut-after')
    expect((await way(create())).text).toBe('You said: Hello frog')
    expect(gateway.orders).toBe(1)
    expect(new Set(gateway.keys).size).toBe(1)
    expect(gateway.keys).toHaveLength(3)
  })

  test('a 503 is tried again as on every other way', async () => {
    gateway.fail({ status: 503 }, { status: 503 })
    expect((await way(create())).text).toBe('You said: Hello frog')
    expect(gateway.keys).toHaveLength(3)
    gateway.fail({ status: 503 }, { status: 503 }, { status: 503 })
    await expect(way(create())).rejects.toMatchObject({ status: 503, retryable: true })
  })

  test('a repeat that meets its own first try waits for its answer', async () => {
    const busy = { status: 409, code: 'STATE_CONFLICT', retryable: true } as const
    gateway.fail('cut-after', busy, busy, busy, busy)
    expect((await way(create({ maxRetries: 1 }))).text).toBe('You said: Hello frog')
    expect(gateway.orders).toBe(1)
  })

  test.each([
    ['402', { status: 402, code: 'INSUFFICIENT_BALANCE', retryable: false }, PaymentRequiredError],
    ['401', { status: 401, code: 'UNAUTHORIZED', retryable: false }, LilypadError],
    ['400', { status: 400, code: 'INVALID_REQUEST', retryable: false }, LilypadError],
  ] as const)('a %s is not tried again', async (_, fault, kind) => {
    gateway.fail(fault)
    const error = await way(create()).catch((thrown: unknown) => thrown)
    expect(kind.isInstance(error)).toBe(true)
    expect(gateway.requests).toHaveLength(1)
  })

  test('cost and receipt are in the same typed field', async () => {
    const model = create()
    expect(getReceipt(await way(model))).toEqual({
      jobId: expect.stringMatching(/^0x/),
      receipt: expect.stringMatching(/^0x/),
      cost: { amount: '0.000123', currency: 'LILY' },
      tx: null,
    })
    expect(how).toBeTruthy()
  })
})

test('a stream that is cut after its first, empty event is tried again, since nobody has seen anything', async () => {
  gateway.fail('cut-at-start')
  expect(join(await chunksOf(create())).text).toBe('You said: Hello frog')
  expect(gateway.orders).toBe(1)
})

test('a gateway that is away is told so, and the error names the key to ask again with', async () => {
  gateway.fail('cut-before', 'cut-before', 'cut-before')
  const error = await create()
    .invoke('Hi')
    .catch((thrown: unknown) => thrown)
  expect(ConnectionLostError.isInstance(error)).toBe(true)
  expect(error).toMatchObject({ charged: 'unknown', idempotencyKey: gateway.keys[0] })
})

test('what the model thought goes back to it, and so do details that a server gave', async () => {
  const details = [{ type: 'reasoning.text', text: 'a frog', signature: 'x', index: 0 }]
  const [reply] = await Promise.all([create().invoke('think')])
  expect(reply.additional_kwargs.reasoning_content).toBe('a frog is green')
  const before = new AIMessage({ content: 'x', additional_kwargs: { reasoning_details: details } })
  await create().invoke([new HumanMessage('think'), reply, before, new HumanMessage('more')])
  expect(gateway.lastBody.messages).toMatchObject([
    {},
    { role: 'assistant', reasoning_content: 'a frog is green', content: 'Green it is.' },
    { role: 'assistant', reasoning_details: details },
    {},
  ])
})

test('details of reasoning come through a stream as they came', async () => {
  const detail = (text: string) => ({ type: 'reasoning.text', text, format: 'v1', index: 0 })
  const event = (delta: object, finish: string | null = null) =>
    `data: ${JSON.stringify({ id: 'c1', model: 'chat', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`
  const sent = [
    event({ reasoning_details: [detail('a ')] }),
    event({ reasoning_details: [detail('frog')] }),
    event({ content: 'Yes' }),
    event({}, 'stop'),
    'data: [DONE]\n\n',
  ]
  const model = create({ fetch: async () => new Response(sent.join('')) })
  expect(join(await chunksOf(model)).additional_kwargs.reasoning_details).toEqual([detail('a '), detail('frog')])
})
