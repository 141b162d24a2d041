import Anthropic from '@anthropic-ai/sdk'
import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { embedMany, generateText, jsonSchema, streamText, tool, type ToolSet } from 'ai'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Client, jobOf, schema, statusOf, toolCall, user } from './client.ts'
import { startTestGateway, type TestGateway } from './test-gateway.ts'

let gateway: TestGateway
let keys: { readonly good: string; readonly wrong: string; readonly poor: string; readonly slow: () => Promise<string> }

beforeAll(async () => {
  gateway = await startTestGateway()
  keys = {
    good: (await gateway.openAccount()).key,
    wrong: 'lp-wrong',
    poor: (await gateway.openAccount({ credit: 0n })).key,
    slow: async () => {
      const { key } = await gateway.openAccount({ requestsPerMinute: 1 })
      await fetch(`${gateway.url}/v1/account`, { headers: { authorization: `Bearer ${key}` } })
      return key
    },
  }
})
afterAll(() => gateway?.close())

const v1 = () => `${gateway.url}/v1`
const openai = (apiKey: string) => new OpenAI({ apiKey, baseURL: v1(), maxRetries: 0 })
const openaiChat: Client = {
  statusOf,
  async chat(key, content) {
    const reply = await openai(key).chat.completions.create({ model: 'parrot', messages: user(content) })
    return { text: reply.choices[0]?.message.content ?? '', tokens: reply.usage?.completion_tokens, job: jobOf(reply) }
  },
  async stream(key, content) {
    const stream = await openai(key).chat.completions.create({ model: 'parrot', messages: user(content), stream: true })
    const pieces: string[] = []
    let tokens: number | undefined
    let job: unknown
    for await (const chunk of stream) {
      const text = chunk.choices[0]?.delta.content
      if (text) pieces.push(text)
      tokens = chunk.usage?.completion_tokens ?? tokens
      job ??= jobOf(chunk)
    }
    return { pieces, tokens, job }
  },
  async tool(key) {
    const tools = [{ type: 'function' as const, function: { name: 'look', parameters: schema } }]
    const stream = openai(key).chat.completions.stream({ model: 'parrot', messages: user(toolCall), tools })
    const call = (await stream.finalChatCompletion()).choices[0]?.message.tool_calls?.[0]
    return call?.type === 'function' ? [call.function.name, JSON.parse(call.function.arguments)] : expect.unreachable()
  },
}

const openaiResponses: Client = {
  statusOf,
  async chat(key, content) {
    const reply = await openai(key).responses.create({ model: 'parrot', input: content })
    return { text: reply.output_text, tokens: reply.usage?.output_tokens, job: jobOf(reply) }
  },
  async stream(key, content) {
    const stream = await openai(key).responses.create({ model: 'parrot', input: content, stream: true })
    const pieces: string[] = []
    let last: OpenAI.Responses.ResponseStreamEvent | undefined
    for await (const event of stream) {
      if (event.type === 'response.output_text.delta') pieces.push(event.delta)
      if (event.type === 'response.failed') throw new Error(event.response.error?.message)
      last = event
    }
    if (last?.type !== 'response.completed') throw new Error('the stream did not complete')
    return { pieces, tokens: last.response.usage?.output_tokens, job: jobOf(last.response) }
  },
  async tool(key) {
    const tools = [{ type: 'function' as const, name: 'look', parameters: schema, strict: true }]
    const reply = await openai(key).responses.stream({ model: 'parrot', input: toolCall, tools }).finalResponse()
    const call = reply.output.find((item) => item.type === 'function_call')
    return call ? [call.name, JSON.parse(call.arguments)] : expect.unreachable()
  },
}

const anthropicClient = (apiKey: string) => new Anthropic({ apiKey, baseURL: gateway.url, maxRetries: 0 })
const anthropic: Client = {
  statusOf,
  async chat(key, content) {
    const reply = await anthropicClient(key).messages.create({
      model: 'parrot',
      max_tokens: 50,
      messages: user(content),
    })
    const text = reply.content.map((block) => (block.type === 'text' ? block.text : '')).join('')
    return { text, tokens: reply.usage.output_tokens, job: jobOf(reply) }
  },
  async stream(key, content) {
    const stream = anthropicClient(key).messages.stream({ model: 'parrot', max_tokens: 50, messages: user(content) })
    const pieces: string[] = []
    let job: unknown
    stream.on('text', (text) => pieces.push(text))
    stream.on('streamEvent', (event) => {
      job ??= jobOf(event)
    })
    const { usage } = await stream.finalMessage()
    return { pieces, tokens: usage.output_tokens, job }
  },
  async tool(key) {
    const tools = [{ name: 'look', input_schema: schema as unknown as Anthropic.Tool.InputSchema }]
    const stream = anthropicClient(key).messages.stream({
      model: 'parrot',
      max_tokens: 50,
      messages: user(toolCall),
      tools,
    })
    const message = await stream.finalMessage()
    expect(message.stop_reason).toBe('tool_use')
    const call = message.content.find((block) => block.type === 'tool_use')
    return call ? [call.name, call.input] : expect.unreachable()
  },
}

type LanguageModel = Parameters<typeof generateText>[0]['model']
function aiSdk(
  model: (key: string) => LanguageModel,
  jobFrom: (metadata: unknown) => unknown = () => undefined,
): Client {
  return {
    statusOf,
    async chat(key, content) {
      const { text, usage, providerMetadata } = await generateText({
        model: model(key),
        prompt: content,
        maxRetries: 0,
      })
      return { text, tokens: usage.outputTokens, job: jobFrom(providerMetadata) }
    },
    async stream(key, content) {
      const failures: unknown[] = []
      const result = streamText({
        model: model(key),
        prompt: content,
        maxRetries: 0,
        onError: ({ error }) => void failures.push(error),
      })
      const pieces: string[] = []
      for await (const text of result.textStream) pieces.push(text)
      if (failures.length > 0) throw failures[0]
      if ((await result.finishReason) === 'error') throw new Error('the reply finished with an error')
      return { pieces, tokens: (await result.usage).outputTokens, job: jobFrom(await result.providerMetadata) }
    },
    async tool(key) {
      // Its types do not know of exact optional properties.
      const tools = {
        look: tool({ inputSchema: jsonSchema({ ...schema, required: [...schema.required] }) }),
      } as unknown as ToolSet
      const { toolCalls } = await generateText({ model: model(key), prompt: toolCall, tools, maxRetries: 0 })
      const [call] = toolCalls
      return call ? [call.toolName, call.input] : expect.unreachable()
    },
  }
}

const compatible = (key: string) =>
  createOpenAICompatible({
    name: 'lilypad',
    apiKey: key,
    baseURL: v1(),
    includeUsage: true,
    metadataExtractor: {
      extractMetadata: async ({ parsedBody }) => ({ lilypad: { job: jobOf(parsedBody) ?? null } }),
      createStreamExtractor: () => {
        let job: string | undefined
        return {
          processChunk: (chunk) => {
            job ??= jobOf(chunk)
          },
          buildMetadata: () => ({ lilypad: { job: job ?? null } }),
        }
      },
    },
  })
const metadataJob = (metadata: unknown) => (metadata as { lilypad?: { job?: unknown } } | undefined)?.lilypad?.job

type Telling = {
  /** It shows fields that are not OpenAI's. */
  readonly tellsJob?: boolean
}
/** `npm run test:clients` runs all of them; otherwise one of each dialect and family. */
const frameworks = process.env.CLIENTS === 'all' ? await import('./framework-clients.ts') : undefined
const clients: readonly (readonly [string, Client, Telling])[] = [
  ['openai, chat completions', openaiChat, { tellsJob: true }],
  ['openai, responses', openaiResponses, { tellsJob: true }],
  ['anthropic', anthropic, { tellsJob: true }],
  ['ai with @ai-sdk/openai-compatible', aiSdk((key) => compatible(key)('parrot'), metadataJob), { tellsJob: true }],
  ...(frameworks
    ? ([
        ['ai with @ai-sdk/openai, responses', aiSdk((apiKey) => createOpenAI({ apiKey, baseURL: v1() })('parrot')), {}],
        ['ai with @ai-sdk/openai, chat', aiSdk((apiKey) => createOpenAI({ apiKey, baseURL: v1() }).chat('parrot')), {}],
        ["ai with OpenRouter's provider", aiSdk((key) => frameworks.openRouterModel(v1(), key)), {}],
        ['@openrouter/sdk', frameworks.openRouter(v1), {}],
        ['@openai/agents, chat', frameworks.openAiAgents(v1, 'chat'), {}],
        ['@openai/agents, responses', frameworks.openAiAgents(v1, 'responses'), {}],
        ['LlamaIndex', frameworks.llamaIndex(v1), {}],
      ] as const)
    : []),
]

describe.each(clients)('%s', (_, client, { tellsJob }) => {
  test('a reply', async () => {
    const { text, tokens, job } = await client.chat(keys.good, 'one two three')
    expect([text, tokens]).toEqual(['one two three', 3])
    if (tellsJob) expect(job).toMatch(/^0x[0-9a-f]{64}$/)
  })

  test('a stream', async () => {
    const { pieces, tokens, job } = await client.stream(keys.good, 'one two three')
    expect(pieces.join('')).toBe('one two three')
    expect(pieces.length).toBeGreaterThan(1)
    expect(tokens).toBe(3)
    if (tellsJob) expect(job).toMatch(/^0x[0-9a-f]{64}$/)
  })

  test('a tool', async () => {
    expect(await client.tool(keys.good)).toEqual(['look', { city: 'pond' }])
  })

  test.each([
    ['fails in the middle', '!failed-midway'],
    ['dies in the middle', '!crash-midway'],
    ['is cut', '!cut'],
    ['has no finish reason', '!unfinished'],
  ])('a stream that %s throws', async (_, content) => {
    await expect(client.stream(keys.good, content)).rejects.toThrow()
  })

  test('401, 402 and 429 are what they are called', async () => {
    const status = (key: string) => client.chat(key, 'one').then(() => 200, client.statusOf)
    expect([await status(keys.wrong), await status(keys.poor), await status(await keys.slow())]).toEqual([
      401, 402, 429,
    ])
  })
})

test('embeddings and models', async () => {
  const { data } = await openai(keys.good).embeddings.create({ model: 'vectors', input: ['frog', 'toads'] })
  expect(data.map(({ embedding }) => [...embedding])).toEqual([
    [4, 0],
    [5, 0],
  ])
  const { embeddings } = await embedMany({ model: compatible(keys.good).embeddingModel('vectors'), values: ['frog'] })
  expect(embeddings).toEqual([[4, 0]])
  const ids: string[] = []
  for await (const { id } of openai(keys.good).models.list()) ids.push(id)
  expect(ids.sort()).toEqual(['parrot', 'vectors'])
  expect((await anthropicClient(keys.good).models.list()).data.map(({ id }) => id).sort()).toEqual(ids)
  if (!frameworks) return
  expect([...(await frameworks.openRouterModels(v1(), keys.good))].sort()).toEqual(ids)
  expect(await frameworks.llamaIndexEmbedding(v1(), keys.good, 'frog')).toEqual([4, 0])
})

test('a structured reply reaches the model with its schema', async () => {
  const format = { type: 'json_schema' as const, json_schema: { name: 'place', schema, strict: true } }
  const reply = await openai(keys.good).chat.completions.create({
    model: 'parrot',
    messages: user('!request x'),
    response_format: format,
  })
  expect(JSON.parse(reply.choices[0]?.message.content ?? '')).toMatchObject({ response_format: format })
})
