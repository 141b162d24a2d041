import Anthropic from '@anthropic-ai/sdk'
import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import * as ai7 from 'ai'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Client, countPictures, jobOf, pixel, schema, statusOf, toolCall, user } from './client.ts'
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

const picture = `data:image/png;base64,${pixel}`
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
  async schema(key, content) {
    const reply = await openai(key).chat.completions.parse({
      model: 'parrot',
      messages: user(content),
      response_format: { type: 'json_schema', json_schema: { name: 'place', schema, strict: true } },
    })
    return JSON.parse(reply.choices[0]?.message.content ?? '')
  },
  async vision(key) {
    const content = [
      { type: 'text' as const, text: countPictures },
      { type: 'image_url' as const, image_url: { url: picture } },
    ]
    const reply = await openai(key).chat.completions.create({ model: 'parrot', messages: [{ role: 'user', content }] })
    return reply.choices[0]?.message.content ?? ''
  },
  async embed(key, text) {
    return [...((await openai(key).embeddings.create({ model: 'vectors', input: text })).data[0]?.embedding ?? [])]
  },
  async models(key) {
    const ids: string[] = []
    for await (const { id } of openai(key).models.list()) ids.push(id)
    return ids
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
  async schema(key, content) {
    const format = { type: 'json_schema' as const, name: 'place', schema, strict: true }
    const reply = await openai(key).responses.create({ model: 'parrot', input: content, text: { format } })
    return JSON.parse(reply.output_text)
  },
  async vision(key) {
    const content = [
      { type: 'input_text' as const, text: countPictures },
      { type: 'input_image' as const, image_url: picture, detail: 'auto' as const },
    ]
    const reply = await openai(key).responses.create({ model: 'parrot', input: [{ role: 'user', content }] })
    return reply.output_text
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
  async vision(key) {
    const source = { type: 'base64' as const, media_type: 'image/png' as const, data: pixel }
    const content = [
      { type: 'text' as const, text: countPictures },
      { type: 'image' as const, source },
    ]
    const messages = [{ role: 'user' as const, content }]
    const reply = await anthropicClient(key).messages.create({ model: 'parrot', max_tokens: 50, messages })
    return reply.content.map((block) => (block.type === 'text' ? block.text : '')).join('')
  },
  models: async (key) => (await anthropicClient(key).models.list()).data.map(({ id }) => id),
}

type LanguageModel = Parameters<typeof ai7.generateText>[0]['model']
type EmbeddingModel = Parameters<typeof ai7.embed>[0]['model']
function aiSdk(
  model: (key: string) => LanguageModel,
  options: {
    readonly jobFrom?: (metadata: unknown) => unknown
    readonly embedding?: (key: string) => EmbeddingModel
    readonly sdk?: Pick<typeof ai7, 'generateText' | 'streamText' | 'embed' | 'tool' | 'jsonSchema' | 'Output'>
  } = {},
): Client {
  const { jobFrom = () => undefined, embedding, sdk = ai7 } = options
  const { generateText, streamText, tool, jsonSchema, Output } = sdk
  const form = () => jsonSchema<unknown>({ ...schema, required: [...schema.required] })
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
      } as unknown as ai7.ToolSet
      const { toolCalls } = await generateText({ model: model(key), prompt: toolCall, tools, maxRetries: 0 })
      const [call] = toolCalls
      return call ? [call.toolName, call.input] : expect.unreachable()
    },
    async schema(key, prompt) {
      const output = Output.object({ schema: form() })
      return (await generateText({ model: model(key), prompt, output, maxRetries: 0 })).output
    },
    async vision(key) {
      const content = [
        { type: 'text' as const, text: countPictures },
        { type: 'file' as const, data: pixel, mediaType: 'image/png' },
      ]
      return (await generateText({ model: model(key), messages: [{ role: 'user', content }], maxRetries: 0 })).text
    },
    ...(embedding
      ? {
          embed: async (key: string, value: string) =>
            (await sdk.embed({ model: embedding(key), value, maxRetries: 0 })).embedding,
        }
      : {}),
  }
}

const compatibleOptions = (key: string): Parameters<typeof createOpenAICompatible>[0] => ({
  name: 'lilypad',
  apiKey: key,
  baseURL: v1(),
  includeUsage: true,
  supportsStructuredOutputs: true,
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
const compatible = (key: string) => createOpenAICompatible(compatibleOptions(key))
const metadataJob = (metadata: unknown) => (metadata as { lilypad?: { job?: unknown } } | undefined)?.lilypad?.job

type Telling = {
  /** It shows fields that are not OpenAI's. */
  readonly tellsJob?: boolean
  /** It speaks to `/v1/responses`. */
  readonly isResponses?: boolean
}
/** `npm run test:clients` runs all of them; otherwise one of each dialect and family. */
const frameworks = process.env.CLIENTS === 'all' ? await import('./framework-clients.ts') : undefined
const embedding = (key: string) => compatible(key).embeddingModel('vectors')
const hosted = (apiKey: string) => createOpenAI({ apiKey, baseURL: v1() })
const clients: readonly (readonly [string, Client, Telling])[] = [
  ['openai, chat completions', openaiChat, { tellsJob: true }],
  ['openai, responses', openaiResponses, { tellsJob: true, isResponses: true }],
  ['anthropic', anthropic, { tellsJob: true }],
  [
    'ai 7 with @ai-sdk/openai-compatible',
    aiSdk((key) => compatible(key)('parrot'), { jobFrom: metadataJob, embedding }),
    { tellsJob: true },
  ],
  ...(frameworks
    ? ([
        [
          'ai 6 with @ai-sdk/openai-compatible',
          // Of another major version; what is called is the same.
          aiSdk((key) => frameworks.createOpenAICompatible6(compatibleOptions(key) as never)('parrot') as never, {
            jobFrom: metadataJob,
            embedding: (key) =>
              frameworks.createOpenAICompatible6(compatibleOptions(key) as never).embeddingModel('vectors') as never,
            sdk: frameworks.ai6 as unknown as typeof ai7,
          }),
          { tellsJob: true },
        ],
        ['ai 7 with @ai-sdk/openai, responses', aiSdk((key) => hosted(key)('parrot')), { isResponses: true }],
        [
          'ai 7 with @ai-sdk/openai, chat',
          aiSdk((key) => hosted(key).chat('parrot'), { embedding: (key) => hosted(key).embedding('vectors') }),
          {},
        ],
        ["ai 7 with OpenRouter's provider", aiSdk((key) => frameworks.openRouterModel(v1(), key)), {}],
        ['@openrouter/sdk', frameworks.openRouter(v1), {}],
        ['@openai/agents, chat', frameworks.openAiAgents(v1, 'chat'), {}],
        ['@openai/agents, responses', frameworks.openAiAgents(v1, 'responses'), { isResponses: true }],
        ['LlamaIndex', frameworks.llamaIndex(v1), {}],
      ] as const)
    : []),
]

const columns = [
  ...['chat', 'stream', 'tools', 'schema', 'vision', 'embeddings', 'models', 'responses', '401', '402', '429'],
  ...['error', 'died', 'cut', 'truncated'],
] as const
type Column = (typeof columns)[number]
/** What each client was seen to do; `-` for what it has no call for. */
const seen = new Map(clients.map(([name]) => [name, new Map<Column, string>()]))
const mark = (name: string, ...done: readonly Column[]) => {
  for (const column of done) seen.get(name)?.set(column, 'ok')
}

afterAll(() => {
  const width = Math.max(...clients.map(([name]) => name.length))
  const head = [''.padEnd(width), ...columns].join('  ')
  const rows = clients.map(([name, client]) => {
    const has = { schema: client.schema, vision: client.vision, embeddings: client.embed, models: client.models }
    const cell = (column: Column) => {
      const isMissing = column === 'responses' || (column in has && !has[column as keyof typeof has])
      return seen.get(name)?.get(column) ?? (isMissing ? '-' : 'FAILED')
    }
    return [name.padEnd(width), ...columns.map((column) => cell(column).padEnd(column.length))].join('  ')
  })
  process.stdout.write(`\n${[head, ...rows].join('\n')}\n`)
})

describe.each(clients)('%s', (name, client, { tellsJob, isResponses }) => {
  test('a reply', async () => {
    const { text, tokens, job } = await client.chat(keys.good, 'one two three')
    expect([text, tokens]).toEqual(['one two three', 3])
    if (tellsJob) expect(job).toMatch(/^0x[0-9a-f]{64}$/)
    mark(name, 'chat', ...(isResponses ? (['responses'] as const) : []))
  })

  test('a stream', async () => {
    const { pieces, tokens, job } = await client.stream(keys.good, 'one two three')
    expect(pieces.join('')).toBe('one two three')
    expect(pieces.length).toBeGreaterThan(1)
    expect(tokens).toBe(3)
    if (tellsJob) expect(job).toMatch(/^0x[0-9a-f]{64}$/)
    mark(name, 'stream')
  })

  test('a tool', async () => {
    expect(await client.tool(keys.good)).toEqual(['look', { city: 'pond' }])
    mark(name, 'tools')
  })

  test.runIf(client.schema)('a reply in the form of a schema', async () => {
    expect(await client.schema?.(keys.good, '{"city":"pond"}')).toEqual({ city: 'pond' })
    mark(name, 'schema')
  })

  test.runIf(client.vision)('a picture', async () => {
    expect(await client.vision?.(keys.good)).toBe('1 image/png')
    mark(name, 'vision')
  })

  test.runIf(client.embed)('vectors', async () => {
    expect(await client.embed?.(keys.good, 'frog')).toEqual([4, 0])
    mark(name, 'embeddings')
  })

  test.runIf(client.models)('models', async () => {
    expect([...((await client.models?.(keys.good)) ?? [])].sort()).toEqual(['parrot', 'vectors'])
    mark(name, 'models')
  })

  test.each([
    ['fails in the middle', '!failed-midway', 'error'],
    ['dies in the middle', '!crash-midway', 'died'],
    ['is cut', '!cut', 'cut'],
    ['has no finish reason', '!unfinished', 'truncated'],
  ] as const)('a stream that %s throws', async (_, content, column) => {
    await expect(client.stream(keys.good, content)).rejects.toThrow()
    mark(name, column)
  })

  test('401, 402 and 429 are what they are called', async () => {
    const status = (key: string) => client.chat(key, 'one').then(() => 200, client.statusOf)
    expect([await status(keys.wrong), await status(keys.poor), await status(await keys.slow())]).toEqual([
      401, 402, 429,
    ])
    mark(name, '401', '402', '429')
  })
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
