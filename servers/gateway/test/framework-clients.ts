import {
  Agent,
  OpenAIChatCompletionsModel,
  OpenAIResponsesModel,
  Runner,
  setTracingDisabled,
  tool,
} from '@openai/agents'
import { OpenAI as LlamaOpenAI, OpenAIEmbedding } from '@llamaindex/openai'
import { createOpenRouter } from '@openrouter/ai-sdk-provider'
import { OpenRouter } from '@openrouter/sdk'
import OpenAI from 'openai'
import { expect } from 'vitest'
import { z } from 'zod'
import { type Client, countPictures, pixel, schema, statusOf, toolCall, user } from './client.ts'

/** OpenRouter's own client, which checks every reply against its schemas. */
export function openRouter(url: () => string): Client {
  const open = (apiKey: string) => new OpenRouter({ apiKey, serverURL: url(), retryConfig: { strategy: 'none' } })
  const ask = { model: 'parrot' }
  return {
    statusOf,
    async chat(key, content) {
      const reply = await open(key).chat.send({ chatRequest: { ...ask, messages: user(content), stream: false } })
      if (!('choices' in reply)) return expect.unreachable()
      const text = reply.choices[0]?.message.content
      return { text: typeof text === 'string' ? text : '', tokens: reply.usage?.completionTokens }
    },
    async stream(key, content) {
      const stream = await open(key).chat.send({ chatRequest: { ...ask, messages: user(content), stream: true } })
      if (!(Symbol.asyncIterator in stream)) return expect.unreachable()
      const pieces: string[] = []
      let tokens: number | undefined
      for await (const chunk of stream) {
        if (chunk.error) throw new Error(chunk.error.message)
        const text = chunk.choices[0]?.delta.content
        if (text) pieces.push(text)
        tokens = chunk.usage?.completionTokens ?? tokens
      }
      return { pieces, tokens }
    },
    async tool(key) {
      const tools = [{ type: 'function' as const, function: { name: 'look', parameters: schema } }]
      const reply = await open(key).chat.send({
        chatRequest: { ...ask, messages: user(toolCall), tools, stream: false },
      })
      if (!('choices' in reply)) return expect.unreachable()
      const call = reply.choices[0]?.message.toolCalls?.[0]
      return call ? [call.function.name, JSON.parse(call.function.arguments)] : expect.unreachable()
    },
    async schema(key, content) {
      const reply = await open(key).chat.send({
        chatRequest: {
          ...{ ...ask, messages: user(content), stream: false },
          responseFormat: { type: 'json_schema', jsonSchema: { name: 'place', schema, strict: true } },
        },
      })
      if (!('choices' in reply)) return expect.unreachable()
      return JSON.parse(String(reply.choices[0]?.message.content))
    },
    async vision(key) {
      const content = [
        { type: 'text' as const, text: countPictures },
        { type: 'image_url' as const, imageUrl: { url: `data:image/png;base64,${pixel}` } },
      ]
      const reply = await open(key).chat.send({
        chatRequest: { ...ask, messages: [{ role: 'user', content }], stream: false },
      })
      if (!('choices' in reply)) return expect.unreachable()
      return String(reply.choices[0]?.message.content)
    },
    async embed(key, text) {
      const reply = await open(key).embeddings.generate({ requestBody: { model: 'vectors', input: text } })
      const vector = typeof reply === 'string' ? undefined : reply.data[0]?.embedding
      return Array.isArray(vector) ? vector : expect.unreachable()
    },
    models: (key) => openRouterModels(url(), key),
  }
}

/** OpenRouter's model for the AI SDK. */
export const openRouterModel = (baseURL: string, apiKey: string) => createOpenRouter({ apiKey, baseURL })('parrot')

/** Models of the gateway, as OpenRouter's client reads them. */
async function openRouterModels(url: string, apiKey: string): Promise<readonly string[]> {
  const pages = await new OpenRouter({ apiKey, serverURL: url }).models.list()
  const ids: string[] = []
  for await (const page of pages) ids.push(...page.result.data.map(({ id }) => id))
  return ids
}

/** OpenAI's agents over either of its two APIs. */
export function openAiAgents(url: () => string, api: 'chat' | 'responses'): Client {
  setTracingDisabled(true)
  const agent = (apiKey: string) => {
    const client = new OpenAI({ apiKey, baseURL: url(), maxRetries: 0 })
    const model =
      api === 'chat' ? new OpenAIChatCompletionsModel(client, 'parrot') : new OpenAIResponsesModel(client, 'parrot')
    return new Agent({ name: 'frog', model })
  }
  const runner = new Runner({ tracingDisabled: true })
  return {
    statusOf,
    async chat(key, content) {
      const { finalOutput, rawResponses } = await runner.run(agent(key), content)
      return { text: finalOutput ?? '', tokens: rawResponses[0]?.usage.outputTokens }
    },
    async stream(key, content) {
      const result = await runner.run(agent(key), content, { stream: true })
      const pieces: string[] = []
      for await (const text of result.toTextStream({ compatibleWithNodeStreams: false })) pieces.push(text)
      await result.completed
      return { pieces, tokens: result.rawResponses[0]?.usage.outputTokens }
    },
    async tool(key) {
      const calls: unknown[] = []
      const look = tool({
        name: 'look',
        description: 'looks',
        parameters: { ...schema, required: [...schema.required] },
        strict: true,
        execute: (input) => {
          calls.push(input)
          return 'rain'
        },
      })
      const asked = agent(key).clone({ tools: [look], toolUseBehavior: 'stop_on_first_tool' })
      await runner.run(asked, toolCall)
      return ['look', calls[0]]
    },
    async schema(key, content) {
      const typed = new Agent({ name: 'frog', model: agent(key).model, outputType: z.object({ city: z.string() }) })
      return (await runner.run(typed, content)).finalOutput
    },
    async vision(key) {
      const { finalOutput } = await runner.run(agent(key), [
        {
          role: 'user',
          content: [
            { type: 'input_text', text: countPictures },
            { type: 'input_image', image: `data:image/png;base64,${pixel}` },
          ],
        },
      ])
      return finalOutput ?? ''
    },
  }
}

/** LlamaIndex over the OpenAI client that it brings along. */
export function llamaIndex(url: () => string): Client {
  const open = (apiKey: string) => new LlamaOpenAI({ model: 'parrot' as never, apiKey, baseURL: url(), maxRetries: 0 })
  return {
    statusOf,
    async chat(key, content) {
      const { message, raw } = await open(key).chat({ messages: user(content) })
      const { usage } = raw as { readonly usage: { readonly completion_tokens: number } }
      return { text: String(message.content), tokens: usage.completion_tokens }
    },
    async stream(key, content) {
      const pieces: string[] = []
      let tokens: number | undefined
      for await (const { delta, raw } of await open(key).chat({ messages: user(content), stream: true })) {
        if (delta) pieces.push(delta)
        tokens = (raw as { usage?: { completion_tokens: number } } | null)?.usage?.completion_tokens ?? tokens
      }
      return { pieces, tokens }
    },
    async tool(key) {
      const look = { metadata: { name: 'look', description: 'looks', parameters: schema }, call: () => 'rain' }
      const { message } = await open(key).chat({ messages: user(toolCall), tools: [look as never] })
      const [call] = (message.options as { toolCall: { name: string; input: unknown }[] }).toolCall
      const input = typeof call?.input === 'string' ? JSON.parse(call.input) : call?.input
      return call ? [call.name, input] : expect.unreachable()
    },
    async vision(key) {
      const content = [
        { type: 'text' as const, text: countPictures },
        { type: 'image_url' as const, image_url: { url: `data:image/png;base64,${pixel}` } },
      ]
      const { message } = await open(key).chat({ messages: [{ role: 'user', content }] })
      return String(message.content)
    },
    embed: (key, text) => llamaIndexEmbedding(url(), key, text),
  }
}

function llamaIndexEmbedding(url: string, apiKey: string, text: string): Promise<number[]> {
  return new OpenAIEmbedding({ model: 'vectors', apiKey, baseURL: url, maxRetries: 0 }).getTextEmbedding(text)
}

/** The AI SDK as it was before, with the provider of its time. */
export { createOpenAICompatible as createOpenAICompatible6 } from 'openai-compatible-2'
export * as ai6 from 'ai6'
