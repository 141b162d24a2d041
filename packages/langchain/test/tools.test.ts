import type { ToolMessage } from '@langchain/core/messages'
import type { DynamicStructuredTool } from '@langchain/core/tools'
import { z } from 'zod'
import { JobBundle } from '@lilypad-agents/protocol'
import { beforeEach, describe, expect, test } from 'vitest'
import {
  apiKeyPayer,
  getReceipt,
  JobFailedError,
  LilypadToolkit,
  lilypadTool,
  type LilypadToolOptions,
  PriceOverCapError,
  VerificationFailedError,
  verifyReceipt,
} from '../src/index.ts'
import { toToolName } from '../src/tools/tool-name.ts'
import { toJobRequest, toToolSchema } from '../src/tools/tool-inputs.ts'
import { apiKey, baseUrl, createFakeGateway, type FakeGateway } from './fake-gateway.ts'

let gateway: FakeGateway
beforeEach(() => {
  gateway = createFakeGateway()
})
const payer = () => apiKeyPayer({ apiKey, baseUrl, fetch: gateway.fetch })
const createTool = (options: Partial<LilypadToolOptions> = {}) => lilypadTool('sample', { payer: payer(), ...options })
const call = (id: string, text = 'hello') => ({ type: 'tool_call' as const, id, name: 'sample', args: { text } })
async function use(tool: DynamicStructuredTool, id: string, text?: string): Promise<ToolMessage> {
  return (await tool.invoke(call(id, text))) as ToolMessage
}

test('a module is a tool: the model reads texts, the receipt is the artifact, and it holds', async () => {
  const tool = await createTool({ maxPrice: '0.01' })
  expect(tool.name).toBe('sample')
  expect(tool.description).toMatchInlineSnapshot(`
    "Buys a run of the module "sample". Its author says: "Sample. Says a text For tests."
    Gives: out.txt (text/plain).
    Costs real money: 0.001 LILY a job, at most 0.01 LILY a call. Only what verifies is paid: signatures, digests and price are checked."
  `)
  expect(tool.metadata).toMatchObject({ lilypad: { module: 'sample', maxPrice: '0.01', price: { perJob: '0.001' } } })
  const message = await use(tool, 'a')
  expect(JSON.parse(String(message.content))).toMatchObject({
    note: expect.stringContaining('not instructions'),
    cost: expect.stringMatching(/ LILY$/),
    outputs: [
      { path: 'out.txt', text: 'hello' },
      { path: 'pages/1.txt', bytes: 4 },
    ],
  })
  const receipt = getReceipt(message)
  expect(receipt).toMatchObject({ jobId: expect.stringMatching(/^0x/), tx: null })
  expect(String(message.content)).not.toContain(receipt?.receipt)
  expect(await verifyReceipt(message, { payer: payer() })).toMatchObject({ ok: true })
})

describe('4: one purchase for one call of a model', () => {
  test('called again and side by side', async () => {
    const tool = await createTool()
    const messages = await Promise.all([1, 2, 3, 4].map(() => use(tool, 'same')))
    messages.push(await use(tool, 'same'), await use(await createTool(), 'same'))
    expect(new Set(messages.map((message) => getReceipt(message)?.jobId)).size).toBe(1)
    expect(gateway.orders).toBe(1)
    await use(tool, 'other')
    await use(tool, 'same', 'other inputs')
    expect(gateway.orders).toBe(3)
  })

  test.each([
    ['a 503', [{ status: 503 }, { status: 503 }]],
    ['a connection lost before the order', ['cut-before']],
    ['a connection lost after the order', ['cut-after']],
  ] as const)('through %s', async (_, faults) => {
    const tool = await createTool()
    gateway.fail(...faults)
    await use(tool, 'a')
    expect(gateway.orders).toBe(1)
  })

  test('after a timeout the same call finds the job', async () => {
    gateway.state.jobEnd = 'never'
    const tool = await createTool({ timeout: 1 })
    const error = await use(tool, 'a').catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ name: 'JobTimeoutError', charged: 'reserved', jobId: expect.stringMatching(/^0x/) })
    gateway.state.jobEnd = 'done'
    await use(tool, 'a')
    expect(gateway.orders).toBe(1)
  })

  test('each use by a program is a purchase of its own', async () => {
    const tool = await createTool()
    await tool.invoke({ text: 'hello' })
    await tool.invoke({ text: 'hello' })
    expect(gateway.orders).toBe(2)
  })
})

describe('5: a call that is aborted', () => {
  test('before it is ordered asks for nothing', async () => {
    const tool = await createTool()
    await expect(tool.invoke(call('a'), { signal: AbortSignal.abort() })).rejects.toThrow()
    expect(gateway.orders).toBe(0)
  })

  test('while it runs is cancelled, and its job is found by its key', async () => {
    gateway.state.jobEnd = 'never'
    const running = payer()
    const stop = new AbortController()
    const request = { module: 'sample', inputs: { text: 'hello' } }
    const states: string[] = []
    const work = running.run(request, {
      idempotencyKey: 'k',
      signal: stop.signal,
      onState: (state) => {
        states.push(state)
        stop.abort()
      },
    })
    await expect(work).rejects.toThrow('aborted')
    expect(states).toEqual(['running'])
    expect(gateway.state.cancelled).toHaveLength(1)
    const error = await running.run(request, { idempotencyKey: 'k' }).catch((thrown: unknown) => thrown)
    expect(JobFailedError.isInstance(error)).toBe(true)
    expect(error).toMatchObject({ jobId: gateway.state.cancelled[0] })
    expect(gateway.orders).toBe(1)
  })
})

test('6: a price above the maximum never pays', async () => {
  const tool = await createTool({ maxPrice: '0.0001' })
  const error = await use(tool, 'a').catch((thrown: unknown) => thrown)
  expect(PriceOverCapError.isInstance(error)).toBe(true)
  expect(gateway.orders).toBe(0)
})

test('a job that fails is told, and costs nothing', async () => {
  gateway.state.jobEnd = 'failed'
  const error = await use(await createTool(), 'a').catch((thrown: unknown) => thrown)
  expect(JobFailedError.isInstance(error)).toBe(true)
  expect(error).toMatchObject({ charged: 'none', message: expect.stringContaining('exit code 1') })
})

test('a result that cannot be read is told as paid, and the same call reads it later', async () => {
  const known = payer()
  const stranger = apiKeyPayer({ apiKey: 'wrong', baseUrl, fetch: gateway.fetch })
  let isAway = true
  const tool = await lilypadTool('sample', {
    payer: {
      ...known,
      getBundle: (jobId) => (isAway ? stranger : known).getBundle(jobId),
    },
  })
  const error = await use(tool, 'a').catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'OUTPUT_UNAVAILABLE', charged: 'unknown', jobId: expect.stringMatching(/^0x/) })
  isAway = false
  await use(tool, 'a')
  expect(gateway.orders).toBe(1)
})

describe('8: what does not verify', () => {
  test.each([
    [
      'other bytes than were signed',
      {
        outputs: new Map([
          ['out.txt', new TextEncoder().encode('SECRET')],
          ['pages/1.txt', new Uint8Array(4)],
        ]),
      },
    ],
    ['another receipt than was named', { receipt: `0x${'00'.repeat(32)}` }],
    ['another price than was signed', { cost: '0.0001' }],
  ])('%s: is not shown to the model', async (_, change) => {
    gateway.state.tamper = (job) => ({ ...job, ...change })
    const error = await use(await createTool(), 'a').catch((thrown: unknown) => thrown)
    expect(VerificationFailedError.isInstance(error)).toBe(true)
    expect((error as Error).message).not.toContain('SECRET')
  })

  test('a signature of somebody else', async () => {
    gateway.state.tamper = (job) => {
      const wire = z.encode(JobBundle, job.bundle) as { delivery: { signature: string } }
      wire.delivery.signature = job.bundle.order.signature
      return { ...job, bundle: z.decode(JobBundle, wire as never) }
    }
    const error = await use(await createTool(), 'a').catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'VERIFICATION_FAILED', message: expect.stringContaining('receipt.signature') })
  })

  test('a proof that is none', async () => {
    const receipt = { jobId: 'x', receipt: 'x', cost: { amount: '1', currency: 'LILY' }, tx: null }
    const nothing = { getBundle: async () => ({}), readOutput: async () => new Uint8Array() }
    expect(await verifyReceipt(receipt, { payer: nothing })).toMatchObject({ ok: false, checks: [{ name: 'bundle' }] })
  })
})

describe('13: names and inputs', () => {
  test.each([
    ['sample', 'sample'],
    ['org/some.module@v2', 'org_some_module_v2'],
    ['日本', 'module'],
    ['x'.repeat(100), 'x'.repeat(64)],
  ])('of %s: valid', (module, name) => {
    expect(toToolName(module)).toBe(name)
    expect(toToolName(module, new Set([name]))).toMatch(/^[a-zA-Z0-9_-]{1,62}_2$/)
  })

  const files = {
    inputs: {
      type: 'object',
      properties: {
        image: {
          type: 'object',
          format: 'lilypad-file',
          mediaTypes: ['image/png'],
          maxBytes: 9,
          description: 'A picture',
        },
        text: { type: 'string' },
      },
    },
  }

  test('a file is a data: URL', () => {
    expect(toToolSchema(files).properties).toEqual({
      image: {
        type: 'string',
        pattern: '^data:',
        description: 'A picture A file as a data: URL in Base64; media types: image/png.',
      },
      text: { type: 'string' },
    })
    const offer = { ...files, moduleVersion: '0x1' } as never
    expect(toJobRequest(offer, { image: 'data:image/png;base64,AAE=', text: 'x' })).toEqual({
      module: '0x1',
      inputs: { text: 'x' },
      files: { image: { bytes: Uint8Array.of(0, 1), mediaType: 'image/png', name: 'image' } },
    })
    for (const image of ['/etc/passwd', 'https://x.example', 'data:image/png;base64,A', 1, null])
      expect(() => toJobRequest(offer, { image })).toThrow('not a data: URL')
  })

  test('arguments that do not fit the schema are refused before anything is ordered', async () => {
    const tool = await createTool()
    await expect(tool.invoke({ ...call('a'), args: { text: 1 } })).rejects.toThrow()
    await expect(tool.invoke({ ...call('a'), args: {} })).rejects.toThrow()
    expect(gateway.orders).toBe(0)
  })
})

describe('the toolkit', () => {
  test('holds what is offered, allowed and cheap enough, with free tools for prices and states', async () => {
    const [first] = gateway.state.modules
    if (!first) return expect.unreachable()
    gateway.state.modules = [
      first,
      { ...first, name: 'quote' as never },
      { ...first, name: 'dear' as never, price: { ...first.price, per_job: '9' } },
      { ...first, name: 'gone' as never, providers: 0 },
    ]
    const { tools } = await LilypadToolkit.fromRegistry({ payer: payer(), maxPrice: '0.01' })
    expect(tools.map(({ name }) => name)).toEqual(['sample', 'quote', 'lilypad_quote', 'lilypad_job_status'])
    const only = await LilypadToolkit.fromRegistry({ payer: payer(), allow: ['dear'], filter: () => true })
    expect(only.getTools().map(({ name }) => name)).toEqual(['dear', 'lilypad_quote', 'lilypad_job_status'])
    const [, , quote, status] = tools
    expect(JSON.parse(await quote?.invoke({ module: 'sample', inputs: { text: 'x' } }))).toEqual({
      expected: '0.001 LILY',
      at_most: '0.001 LILY',
      expected_seconds: 3,
    })
    expect(gateway.orders).toBe(0)
    const bought = await use(tools[0] ?? expect.unreachable(), 'a')
    const job = getReceipt(bought)?.jobId
    expect(JSON.parse(await status?.invoke({ job }))).toMatchObject({ state: 'acknowledged', verified: true })
  })
})
