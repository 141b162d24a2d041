import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ModuleManifest, moduleManifestDigest, moduleVersionId } from '@lilypad-agents/protocol'
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { schema, user } from './client.ts'
import { startTestGateway, type TestGateway } from './test-gateway.ts'

// `.ci/model-servers` brings packages and weights, and names their folder.
const prepared = process.env.MODEL_SERVERS

describe.skipIf(prepared === undefined)('a real model behind the gateway', () => {
  let gateway: TestGateway
  let apiKey: string
  let openai: OpenAI
  let anthropic: Anthropic

  beforeAll(async () => {
    const home = join(prepared ?? '', 'chat')
    const source = JSON.parse(
      await readFile(new URL('../../../examples/modules/chat/module.json', import.meta.url), 'utf8'),
    )
    source.runtime.image.digest = `sha256:${'0'.repeat(64)}`
    source.runtime.env = { ...source.runtime.env, MODEL_PATH: join(home, 'tiny.gguf'), CONTEXT_SIZE: '512' }
    const manifest = ModuleManifest.parse(source)
    const moduleVersion = moduleVersionId(manifest.name, moduleManifestDigest(manifest))
    gateway = await startTestGateway({ models: [{ manifest, moduleVersion, program: join(home, 'server.mjs') }] })
    apiKey = (await gateway.openAccount({ credit: 10n ** 20n })).key
    openai = new OpenAI({ apiKey, baseURL: `${gateway.url}/v1`, maxRetries: 0 })
    anthropic = new Anthropic({ apiKey, baseURL: gateway.url, maxRetries: 0 })
  }, 300_000)
  afterAll(() => gateway?.close())

  const ask = { model: 'chat', messages: user('A frog is'), max_tokens: 16, seed: 7 }

  test('streams what it says whole, token by token, and counts the same', async () => {
    const whole = await openai.chat.completions.create(ask)
    const pieces: string[] = []
    let usage: OpenAI.CompletionUsage | null | undefined
    for await (const chunk of await openai.chat.completions.create({ ...ask, stream: true })) {
      const text = chunk.choices[0]?.delta.content
      if (text) pieces.push(text)
      usage = chunk.usage ?? usage
    }
    expect(whole.choices[0]?.message.content).toBeTruthy()
    expect(pieces.join('')).toBe(whole.choices[0]?.message.content)
    expect(pieces.length).toBeGreaterThan(3)
    expect(usage?.completion_tokens).toBe(whole.usage?.completion_tokens)
    expect(whole.usage?.prompt_tokens).toBeGreaterThan(0)
  })

  test('answers in the other dialects', async () => {
    const response = await openai.responses.create({ model: 'chat', input: 'A frog is', max_output_tokens: 8 })
    expect(response.output_text).toBeTruthy()
    const message = await anthropic.messages
      .stream({ model: 'chat', max_tokens: 8, messages: user('A frog is') })
      .finalMessage()
    expect(message.usage.output_tokens).toBeGreaterThan(0)
  })

  test('calls the tool that it has to', async () => {
    const tools = [{ type: 'function' as const, function: { name: 'look', parameters: schema } }]
    const tool_choice = { type: 'function' as const, function: { name: 'look' } }
    const reply = await openai.chat.completions.create({ ...ask, max_tokens: 200, tools, tool_choice })
    const [choice] = reply.choices
    const [call] = choice?.message.tool_calls ?? []
    // A model without sense may not come to the end of its arguments: then it says so.
    const isCall = call?.type === 'function' && call.function.name === 'look'
    expect(isCall || choice?.finish_reason === 'length').toBe(true)
  })

  test('refuses a prompt that it cannot read, and nothing is charged', async () => {
    const long = openai.chat.completions.create({ ...ask, messages: user('frog '.repeat(2000)) })
    await expect(long).rejects.toMatchObject({ status: 400, message: expect.stringContaining('tokens') })
  })
})
