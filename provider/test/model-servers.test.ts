import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ModuleManifest, moduleManifestDigest, moduleVersionId } from '@lilypad-agents/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildNodeImage, findNodeImageProblem } from '../fixtures/node-image.ts'
import type { RunOptions } from '../src/executors/executor.ts'
import { ServerExecutor } from '../src/executors/server/server-executor.ts'
import { createLogger } from '../src/log/logger.ts'
import { createExecutors } from '../src/run/create-executors.ts'
import { type Provider, startProvider } from '../src/start-provider.ts'
import { startTestMarket, type TestMarket } from './test-market.ts'

// `.ci/model-servers` brings packages and weights, and names their folder.
const prepared = process.env.MODEL_SERVERS
const hasDocker = (await findNodeImageProblem()) === undefined
const modules = new URL('../../examples/modules/', import.meta.url)

describe.skipIf(prepared === undefined)(`real models, ${hasDocker ? 'in containers' : 'as processes'}`, () => {
  let folder: string
  let executor: ServerExecutor
  let count = 0
  const images = new Map<string, string>()
  const trusted: Record<`0x${string}`, string> = {}

  /** The manifest of an example as it runs here. */
  async function prepareModule(name: 'chat' | 'embeddings', weights = 'model.gguf') {
    const source = JSON.parse(await readFile(new URL(`${name}/module.json`, modules), 'utf8'))
    const home = join(prepared ?? '', name)
    const binaries = join(home, 'node_modules/@node-llama-cpp/linux-x64/bins/linux-x64')
    const libraries = (await readdir(binaries)).filter((file) => /\.(so|node)/.test(file))
    const build = () =>
      buildNodeImage(join(home, 'server.mjs'), `lilypad-test/${name}`, {
        folder: home,
        libraries: libraries.map((file) => join(binaries, file)),
      })
    const image = hasDocker ? (images.get(name) ?? (await build())) : `sha256:${'0'.repeat(64)}`
    images.set(name, image)
    source.runtime.image.digest = image
    source.runtime.env.MODEL_PATH = join(hasDocker ? '/app' : home, weights)
    if (weights !== 'model.gguf') source.name = 'tiny'
    const manifest = ModuleManifest.parse(source)
    const moduleVersion = moduleVersionId(manifest.name, moduleManifestDigest(manifest))
    if (!hasDocker) trusted[moduleVersion] = join(home, 'server.mjs')
    return { manifest, moduleVersion }
  }
  type Prepared = Awaited<ReturnType<typeof prepareModule>>
  let chat: Prepared
  let tiny: Prepared
  let embeddings: Prepared

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lp-models-'))
    chat = await prepareModule('chat')
    tiny = await prepareModule('chat', 'tiny.gguf')
    embeddings = await prepareModule('embeddings')
    const nodeId = `models-${process.pid}`
    executor = new ServerExecutor({ stateDirectory: join(folder, 's'), nodeId, trusted, hasContainers: hasDocker })
  }, 500_000)
  afterAll(async () => {
    await executor?.close()
    if (folder) await rm(folder, { recursive: true, force: true })
  })

  async function ask({ manifest, moduleVersion }: Prepared, request: object, options: RunOptions = {}) {
    const outputDirectory = join(folder, `o${++count}`)
    await mkdir(outputDirectory)
    const execution = await executor.run(
      {
        id: '0x01',
        runtime: manifest.runtime,
        args: [],
        env: {},
        inputs: [],
        limits: manifest.limits,
        outputDirectory,
        server: {
          moduleVersion,
          request: JSON.stringify(request),
          caps: { inputUnits: 2048, outputUnits: 256 },
          isMetered: true,
        },
      },
      options,
    )
    expect(execution.outcome).toEqual({ kind: 'exited', code: 0 })
    return { ...execution, reply: JSON.parse(await readFile(join(outputDirectory, 'response.json'), 'utf8')) }
  }
  const user = (content: string) => ({ messages: [{ role: 'user', content }], temperature: 0 })

  test('chat answers, and counts what it read and wrote', async () => {
    const { reply, units, isolation } = await ask(chat, { ...user('What is the capital of France?'), max_tokens: 20 })
    expect(reply.choices[0].message.content).toContain('Paris')
    expect(units).toEqual({ inputUnits: reply.usage.prompt_tokens, outputUnits: reply.usage.completion_tokens })
    expect(reply.usage.completion_tokens).toBeGreaterThan(2)
    expect(isolation.backend).toBe(hasDocker ? 'container' : 'process')
  })

  test('chat streams token by token the reply that it gives whole', async () => {
    const request = { ...user('Count from one to five.'), max_tokens: 24 }
    const pieces: string[] = []
    const streamed = await ask(
      chat,
      { ...request, stream: true },
      { onResponse: (bytes) => void pieces.push(Buffer.from(bytes).toString()) },
    )
    const whole = await ask(chat, request)
    expect(streamed.reply.choices).toEqual(whole.reply.choices)
    expect(streamed.units).toEqual(whole.units)
    expect(pieces.join('').split('\n\n').length).toBeGreaterThan(10)
    expect(pieces.length).toBeGreaterThan(5)
  })

  test('chat gives the same bytes for the same request', async () => {
    const request = { ...user('Tell me about frogs.'), max_tokens: 40, temperature: 0.8 }
    const runs = [await ask(chat, request), await ask(chat, request)]
    const digests = runs.map(({ outputs }) => outputs[0]?.sha256)
    // The date is fixed in containers and trusted processes alike, so that whole replies can be compared.
    expect(digests[0]).toBe(digests[1])
    expect((await ask(chat, { ...request, seed: 1 })).outputs[0]?.sha256).not.toBe(digests[0])
  })

  test('chat calls a tool that it has to call', async () => {
    const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
    const tools = [
      { type: 'function', function: { name: 'get_weather', description: 'Weather of a city', parameters } },
    ]
    const { reply } = await ask(chat, { ...user('Weather in Paris?'), max_tokens: 60, tools, tool_choice: 'required' })
    const [call] = reply.choices[0].message.tool_calls
    expect(reply.choices[0].finish_reason).toBe('tool_calls')
    expect(call.function.name).toBe('get_weather')
    expect(JSON.parse(call.function.arguments)).toEqual({ city: expect.any(String) })
  })

  test('chat answers by a schema', async () => {
    const schema = {
      type: 'object',
      properties: { name: { type: 'string' }, age: { type: 'integer' } },
      required: ['name', 'age'],
      additionalProperties: false,
    }
    const { reply } = await ask(chat, {
      ...user('Describe a frog named Ada, 3 years old, as JSON.'),
      max_tokens: 80,
      response_format: { type: 'json_schema', json_schema: { name: 'frog', strict: true, schema } },
    })
    expect(JSON.parse(reply.choices[0].message.content)).toEqual({ name: expect.any(String), age: expect.any(Number) })
  })

  test('chat says how likely its tokens are, and those of the prompt', async () => {
    const { reply } = await ask(chat, {
      ...user('What is the capital of France?'),
      max_tokens: 6,
      logprobs: true,
      top_logprobs: 2,
      prompt_logprobs: 1,
    })
    const { content } = reply.choices[0].logprobs
    expect(content).toHaveLength(reply.usage.completion_tokens)
    for (const { logprob, top_logprobs } of content) {
      expect(logprob).toBeLessThanOrEqual(0)
      expect(top_logprobs).toHaveLength(2)
      // At temperature 0 the likeliest token is the one that is taken.
      expect(top_logprobs[0].logprob).toBe(logprob)
    }
    expect(reply.prompt_logprobs).toHaveLength(reply.usage.prompt_tokens)
  })

  test('the tiny model of the repository does the same, without a download', async () => {
    const { reply, units } = await ask(tiny, { ...user('Say a word'), max_tokens: 8 })
    expect(units?.outputUnits).toBe(8)
    const text: string = reply.choices[0].message.content
    expect(createHash('sha256').update(text).digest('hex')).toBe(
      createHash('sha256')
        .update((await ask(tiny, { ...user('Say a word'), max_tokens: 8 })).reply.choices[0].message.content)
        .digest('hex'),
    )
  })

  test('embeddings of like sentences are nearer than of others', async () => {
    const input = ['The cat sat on the mat.', 'A kitten was sitting on the rug.', 'The car needs a new engine.']
    const { reply, units } = await ask(embeddings, { input })
    const [cat, kitten, car] = reply.data.map(({ embedding }: { embedding: number[] }) => embedding)
    const cosine = (a: number[], b: number[]) => a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0)
    expect(cosine(cat, cat)).toBeCloseTo(1, 4)
    expect(cosine(cat, kitten)).toBeGreaterThan(cosine(cat, car))
    expect(units).toEqual({ inputUnits: reply.usage.prompt_tokens, outputUnits: 0 })
    const { reply: packed } = await ask(embeddings, { input: input[0], encoding_format: 'base64', dimensions: 8 })
    const bytes = Buffer.from(packed.data[0].embedding, 'base64')
    expect(bytes).toHaveLength(32)
    expect(Math.sign(bytes.readFloatLE(0))).toBe(Math.sign(cat[0]))
  })

  describe('over a whole network', () => {
    let market: TestMarket
    let provider: Provider
    beforeAll(async () => {
      await executor.close()
      market = await startTestMarket()
      const actor = await market.createActor()
      const { stateDir } = market.createNode(actor, 'n')
      provider = await startProvider({
        network: market.network,
        key: actor.key,
        stateDir,
        executors: createExecutors(hasDocker ? ['docker', 'server'] : ['server'], { stateDir, servers: { trusted } }),
        settlement: { maxAgeSeconds: 0 },
        refreshSeconds: 0.3,
        log: createLogger(process.env.TEST_LOG ?? 'silent'),
      })
      for (const { manifest } of [chat, embeddings]) await market.publish(manifest)
    }, 300_000)
    afterAll(async () => {
      await provider?.close()
      await market?.close()
    })

    test.each([
      ['chat', { ...user('What is the capital of France?'), max_tokens: 20 }],
      ['embeddings', { input: ['frog', 'toad'] }],
    ])(
      'the receipt of %s bills the use that the reply reports',
      async (name, request) => {
        const orderHash = await market.order(name, { request: JSON.stringify(request) })
        const { verification, outputs, job } = await market.lilypad.complete(orderHash, { timeoutSeconds: 120 })
        expect(verification.checks.filter(({ ok }) => !ok)).toEqual([])
        const { usage } = JSON.parse(Buffer.from((await outputs[0]?.read()) ?? []).toString())
        const { price } = (name === 'chat' ? chat : embeddings).manifest
        const output = usage.completion_tokens ?? 0
        expect(job.delivery?.receipt).toMatchObject({
          inputUnits: usage.prompt_tokens,
          outputUnits: output,
          price:
            price.pricePerJob +
            price.pricePerInputUnit * BigInt(usage.prompt_tokens) +
            price.pricePerOutputUnit * BigInt(output),
        })
      },
      240_000,
    )
  })
})
