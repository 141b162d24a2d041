import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { getBalance } from '../src/account/account.ts'
import { requests } from '../src/db/schema.ts'
import { eventually, jsonOf, post, startTestGateway, type TestGateway } from './test-gateway.ts'

let gateway: TestGateway
let key: string
let accountId: string

beforeAll(async () => {
  gateway = await startTestGateway({ rules: { keepAliveSeconds: 0.5 } })
})
afterAll(() => gateway?.close())
beforeEach(async () => {
  ;({ key, accountId } = await gateway.openAccount())
})

const chat = (content: string, fields: object = {}) => ({
  model: 'parrot',
  messages: [{ role: 'user', content }],
  ...fields,
})
const ask = (content: string, fields: object = {}, options: Parameters<typeof post>[4] = {}) =>
  post(gateway.url, '/v1/chat/completions', key, chat(content, fields), options)
const balance = () => getBalance(gateway.database, accountId)
const full = 10n ** 18n
const rows = () => gateway.database.select().from(requests).where(eq(requests.accountId, accountId))
const settled = () =>
  eventually(async () =>
    (await rows()).every(({ state }) => state === 'charged' || state === 'released') ? true : undefined,
  )

test('a reply is a job: verified, paid, charged to the account, with its receipt in body and head', async () => {
  const response = await ask('one two three', { max_tokens: 2 })
  expect(response.status).toBe(200)
  const body = await jsonOf(response)
  const price = 1000n + 3n * 3n + 2n * 7n
  expect(body).toMatchObject({
    object: 'chat.completion',
    model: 'parrot',
    choices: [{ message: { role: 'assistant', content: 'one two' }, finish_reason: 'length' }],
    usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5, cost: Number(2n * price) / 1e18 },
    lilypad: { cost: { amount: '0.000000000000001023', currency: 'LILY' } },
  })
  expect(response.headers.get('x-lilypad-job')).toBe(body.lilypad.job_id)
  expect(response.headers.get('x-lilypad-receipt')).toBe(body.lilypad.receipt)
  expect(response.headers.get('x-lilypad-cost')).toBe('0.000000000000001023 LILY')
  expect(response.headers.get('x-request-id')).toMatch(/^req_/)
  expect(await balance()).toEqual({ balance: full - price, reserved: 0n })
  const { client } = gateway.gateway.context
  // It is signed before the reply ends, and nobody waits until it has arrived.
  expect(await client.getStoredJob(body.lilypad.job_id)).toMatchObject({ price, verified: true })
  await eventually(async () => (await client.getStoredJob(body.lilypad.job_id)).acknowledgementSent || undefined)
})

type Frame = { event?: string; data: string }
async function readFrames(response: Response): Promise<{ frames: Frame[]; comments: number }> {
  const text = await response.text()
  const blocks = text.split('\n\n').filter(Boolean)
  const frames = blocks
    .filter((block) => !block.startsWith(':'))
    .map((block) => ({
      event: /^event: (.*)$/m.exec(block)?.[1],
      data: /^data: (.*)$/m.exec(block)?.[1] ?? '',
    })) as Frame[]
  return { frames, comments: blocks.filter((block) => block.startsWith(':')).length }
}

test('a long reply is acknowledged in steps while it comes, and charged by its receipt', async () => {
  const response = await ask('!slowly 150 2', { stream: true, max_tokens: 200 })
  const { frames } = await readFrames(response)
  expect(frames.at(-1)?.data).toBe('[DONE]')
  const { client } = gateway.gateway.context
  const price = 1000n + 3n * 3n + 150n * 7n
  const { lilypad } = JSON.parse(frames.at(-2)?.data ?? '')
  const job = await client.getStoredJob(lilypad.job_id)
  expect(job).toMatchObject({ price, verified: true })
  expect(job.step?.step.step.price).toBeGreaterThan(0n)
  expect(job.step?.step.step.price).toBeLessThan(price)
  expect(await balance()).toEqual({ balance: full - price, reserved: 0n })
})

test('a streamed reply comes in pieces, and looks whole only after it was paid', async () => {
  const response = await ask('one two three', { stream: true })
  expect(response.headers.get('content-type')).toContain('text/event-stream')
  const { frames } = await readFrames(response)
  expect(frames.at(-1)?.data).toBe('[DONE]')
  const chunks = frames.slice(0, -1).map(({ data }) => JSON.parse(data))
  expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toBe('one two three')
  expect(chunks.at(-2).choices[0].finish_reason).toBe('stop')
  expect(chunks.at(-1)).toMatchObject({
    choices: [],
    usage: { prompt_tokens: 3, completion_tokens: 3 },
    lilypad: { job_id: response.headers.get('x-lilypad-job') ?? expect.stringMatching(/^0x/) },
  })
  expect(await balance()).toEqual({ balance: full - 1030n, reserved: 0n })
})

test('the other two dialects give the same reply', async () => {
  const response = await post(gateway.url, '/v1/responses', key, { model: 'parrot', input: 'one two' })
  expect(await jsonOf(response)).toMatchObject({
    object: 'response',
    status: 'completed',
    store: false,
    output: [{ type: 'message', content: [{ type: 'output_text', text: 'one two' }] }],
    usage: { input_tokens: 2, output_tokens: 2 },
  })
  const message = await fetch(`${gateway.url}/v1/messages`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': key, 'anthropic-version': '2023-06-01' },
    body: JSON.stringify({ ...chat('one two'), max_tokens: 1 }),
  })
  expect(await jsonOf(message)).toMatchObject({
    type: 'message',
    content: [{ type: 'text', text: 'one' }],
    stop_reason: 'max_tokens',
    usage: { input_tokens: 2, output_tokens: 1 },
  })
})

test('vectors, as numbers and as Base64', async () => {
  const ask = { model: 'vectors', input: ['frog', 'toad on a stone'] }
  const floats = await jsonOf(post(gateway.url, '/v1/embeddings', key, ask))
  expect(floats).toMatchObject({
    object: 'list',
    data: [
      { index: 0, embedding: [4, 0] },
      { index: 1, embedding: [15, 0] },
    ],
  })
  expect(floats.usage.prompt_tokens).toBe(5)
  const coded = await jsonOf(post(gateway.url, '/v1/embeddings', key, { ...ask, encoding_format: 'base64' }))
  expect(coded.data[0].embedding).toBe(Buffer.from(Float32Array.of(4, 0).buffer).toString('base64'))
})

test('models with prices in dollars per token, for everybody', async () => {
  const { data } = await jsonOf(fetch(`${gateway.url}/v1/models`))
  const parrot = data.find(({ id }: { id: string }) => id === 'parrot')
  expect(parrot).toMatchObject({
    object: 'model',
    owned_by: expect.stringMatching(/^0x/),
    pricing: { prompt: '0.000000000000000006', completion: '0.000000000000000014', request: '0.000000000000002' },
    context_length: 4096,
    is_ready: true,
  })
  expect(await jsonOf(fetch(`${gateway.url}/v1/models/parrot`))).toEqual(parrot)
  expect((await fetch(`${gateway.url}/v1/models/toad`)).status).toBe(404)
})

describe('a reply that breaks', () => {
  test.each([
    ['dies in the middle', '!crash-midway', 502],
    ['is cut', '!cut', 502],
    ['has no end', '!unfinished', 502],
    ['fails in the stream', '!failed', 502],
    ['is a page', '!html', 502],
  ])('%s: an error, nothing charged', async (_, content, code) => {
    const response = await ask(content, { stream: true })
    const text = await response.text()
    expect(text).not.toMatch(/"finish_reason":"(stop|length)"/)
    expect(text).toContain(`"code":${code}`)
    if (response.status === 200) expect(text.trim().endsWith('data: [DONE]')).toBe(true)
    await settled()
    expect(await balance()).toEqual({ balance: full, reserved: 0n })
  })

  test('without a stream has a status of its own', async () => {
    const response = await ask('!not-json')
    expect(response.status).toBe(502)
    expect(await jsonOf(response)).toMatchObject({
      error: { type: 'server_error', code: 502, metadata: { code: 'UPSTREAM_FAILED' } },
    })
    expect(await balance()).toEqual({ balance: full, reserved: 0n })
  })

  test('because the model refuses the request is the fault of the request', async () => {
    const response = await ask('!status 400')
    expect(response.status).toBe(400)
    const { error } = await jsonOf(response)
    expect(error).toMatchObject({ type: 'invalid_request_error' })
    expect(error.message).toContain('too long a prompt')
    expect(response.headers.get('x-should-retry')).toBe('false')
    expect(await balance()).toEqual({ balance: full, reserved: 0n })
  })
})

describe('who may answer', () => {
  const status = async (fields: object, headers: Readonly<Record<string, string>> = {}) => {
    const response = await ask('one', fields, { headers })
    return response.status === 200 ? 200 : [response.status, (await jsonOf(response)).error.metadata.code]
  }

  test('can be said by region and by name, in headers and as OpenRouter says it', async () => {
    const { data } = await jsonOf(fetch(`${gateway.url}/v1/models`))
    const [{ provider, region }] = data[0].lilypad.offers
    expect(region).toBe('eu-west')
    expect(await status({}, { 'x-lilypad-region': 'eu' })).toBe(200)
    expect(await status({}, { 'x-lilypad-region': 'us' })).toEqual([404, 'NOT_FOUND'])
    expect(await status({ provider: { only: [provider], sort: 'latency' } })).toBe(200)
    expect(await status({ provider: { ignore: [provider] } })).toEqual([404, 'NOT_FOUND'])
    expect(await status({ provider: { max_price: { prompt: 0 } } })).toEqual([409, 'PRICE_OVER_CAP'])
    expect(await status({ provider: { only: ['openai'] } })).toEqual([400, 'INVALID_REQUEST'])
    expect(await status({}, { 'x-lilypad-verification': 'vibes' })).toEqual([400, 'INVALID_REQUEST'])
  })

  test('is told while its server is ready', async () => {
    const offers = () => jsonOf(fetch(`${gateway.url}/v1/models/parrot`)).then(({ lilypad }) => lilypad.offers)
    expect(await eventually(async () => ((await offers())[0].resident ? true : undefined))).toBe(true)
  })

  test('can be asked twice where one is slow; with one provider there is no other', async () => {
    expect(await status({ stream: true }, { 'x-lilypad-hedge': 'on' })).toBe(200)
  })
})

test('comments keep a waiting reader', async () => {
  const { frames, comments } = await readFrames(await ask('!wait 2000', { stream: true }))
  expect(comments).toBeGreaterThanOrEqual(2)
  expect(frames.at(-1)?.data).toBe('[DONE]')
})

test('who leaves stops the work, and pays nothing for what was not delivered', async () => {
  const gone = new AbortController()
  const asked = ask('!hang', {}, { signal: gone.signal }).catch((error: Error) => error.name)
  await eventually(async () => ((await rows())[0]?.orderHash ? true : undefined))
  await eventually(async () => ((await balance()).reserved > 0n ? true : undefined))
  gone.abort()
  expect(await asked).toBe('AbortError')
  await settled()
  expect(await balance()).toEqual({ balance: full, reserved: 0n })
  const [row] = await rows()
  const { state } = await gateway.gateway.context.client.getStoredJob(row?.orderHash ?? '0x')
  expect(['expired', 'failed', 'delivered']).toContain(state)
})

test('who leaves a stream in the middle stops the model, and pays for the tokens that came', async () => {
  const gone = new AbortController()
  const response = await ask('!steadily 200', { stream: true, max_tokens: 200 }, { signal: gone.signal })
  const reader = response.body?.getReader()
  let text = ''
  while (!text.includes('w9"')) text += Buffer.from((await reader?.read())?.value ?? [])
  gone.abort()
  await settled()
  const [row] = await rows()
  expect(row?.state).toBe('charged')
  const { outputUnits, inputUnits, price } = row ?? {}
  expect(inputUnits).toBe(2)
  expect(outputUnits).toBeGreaterThanOrEqual(10)
  expect(outputUnits).toBeLessThan(60)
  expect(price).toBe(1000n + 2n * 3n + BigInt(outputUnits ?? 0) * 7n)
  expect(await balance()).toEqual({ balance: full - (price ?? 0n), reserved: 0n })
})

describe('a repeat with the same idempotency key', () => {
  const headers = { 'idempotency-key': 'k1' }

  test('is answered the same, and paid once', async () => {
    const first = await ask('one two', {}, { headers })
    const second = await ask('one two', {}, { headers })
    expect(second.headers.get('x-lilypad-replayed')).toBe('true')
    expect(await jsonOf(second)).toEqual(await jsonOf(first))
    expect(await balance()).toEqual({ balance: full - 1020n, reserved: 0n })
  })

  test('while the first still runs is told to wait', async () => {
    const first = ask('!wait 700', {}, { headers })
    await eventually(async () => ((await rows())[0]?.orderHash ? true : undefined))
    const second = await ask('!wait 700', {}, { headers })
    expect(second.status).toBe(409)
    expect(second.headers.get('x-should-retry')).toBe('true')
    expect((await first).status).toBe(200)
    expect((await jsonOf(ask('!wait 700', {}, { headers }))).choices[0].message.content).toBe('waited')
    expect((await rows()).filter(({ state }) => state === 'charged')).toHaveLength(1)
  })

  test('of another request is refused for good', async () => {
    await ask('one', {}, { headers })
    const other = await ask('two', {}, { headers })
    expect([other.status, other.headers.get('x-should-retry')]).toEqual([409, 'false'])
  })
})

describe('money and limits', () => {
  test('an account without money: 402 before anything is ordered', async () => {
    const { key: poor } = await gateway.openAccount({ credit: 0n })
    const response = await post(gateway.url, '/v1/chat/completions', poor, chat('a'))
    expect(response.status).toBe(402)
    expect(await jsonOf(response)).toMatchObject({ error: { code: 402, metadata: { code: 'INSUFFICIENT_BALANCE' } } })
    const message = await post(gateway.url, '/v1/messages', poor, { ...chat('a'), max_tokens: 1 })
    expect([message.status, (await jsonOf(message)).error.type]).toEqual([402, 'billing_error'])
  })

  test('a budget that is used up: 402, though the account has money', async () => {
    const { key: small } = await gateway.openAccount({ budget: 2000n })
    expect((await post(gateway.url, '/v1/chat/completions', small, chat('a', { max_tokens: 1 }))).status).toBe(402)
  })

  test.each([[undefined], ['lp-wrong'], ['sk-other']])('key %s: 401 in the shape of each dialect', async (wrong) => {
    const openai = await post(gateway.url, '/v1/chat/completions', wrong, chat('a'))
    expect([openai.status, (await jsonOf(openai)).error.type]).toEqual([401, 'authentication_error'])
    const anthropic = await post(gateway.url, '/v1/messages', wrong, chat('a'))
    expect([anthropic.status, (await jsonOf(anthropic)).error.type]).toEqual([401, 'authentication_error'])
  })

  test('more requests than a key may make: 429 with the time to wait', async () => {
    const { key: slow } = await gateway.openAccount({ requestsPerMinute: 1 })
    await post(gateway.url, '/v1/embeddings', slow, {})
    const response = await post(gateway.url, '/v1/embeddings', slow, {})
    expect([response.status, response.headers.get('retry-after')]).toEqual([429, '60'])
  })

  test('a maximum price caps the reply, or refuses it', async () => {
    const cheap = await ask('a b c', {}, { headers: { 'x-lilypad-max-price': '0.000000000000001' } })
    expect(cheap.status).toBe(409)
    expect((await jsonOf(cheap)).error.metadata.code).toBe('PRICE_OVER_CAP')
    expect((await ask('a', {}, { headers: { 'x-lilypad-max-price': 'free' } })).status).toBe(400)
    expect(await balance()).toEqual({ balance: full, reserved: 0n })
  })

  test('a body that is too large, no JSON, or nested too deeply', async () => {
    expect((await ask('x'.repeat(300_000))).status).toBe(413)
    expect((await post(gateway.url, '/v1/chat/completions', key, '{"model":')).status).toBe(400)
    const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`
    expect((await post(gateway.url, '/v1/chat/completions', key, `{"model":"m","messages":${deep}}`)).status).toBe(400)
  })

  test('what was spent can be exported', async () => {
    await ask('one two')
    const headers = { authorization: `Bearer ${key}` }
    const { data } = await jsonOf(fetch(`${gateway.url}/v1/usage`, { headers }))
    expect(data).toMatchObject([
      { kind: 'chat', model: 'parrot', inputUnits: 2, outputUnits: 2, cost: '0.00000000000000102' },
    ])
    const csv = await (await fetch(`${gateway.url}/v1/usage?format=csv`, { headers })).text()
    expect(csv.split('\n')[1]).toContain(data[0].job)
    expect(await jsonOf(fetch(`${gateway.url}/v1/account`, { headers }))).toMatchObject({
      reserved: '0',
      currency: 'LILY',
    })
  })
})

describe('the door', () => {
  test('another name than the allowed ones is turned away', async () => {
    const { request } = await import('node:http')
    const status = await new Promise((resolve) =>
      request(`${gateway.url}/v1/models`, { headers: { host: 'evil.example' } }, ({ statusCode }) =>
        resolve(statusCode),
      ).end(),
    )
    expect(status).toBe(403)
  })

  test('pages of allowed origins may read, others not', async () => {
    const origin = async (of: string) =>
      (await fetch(`${gateway.url}/v1/models`, { headers: { origin: of } })).headers.get('access-control-allow-origin')
    expect(await origin('https://app.example')).toBe('https://app.example')
    expect(await origin('https://evil.example')).toBeNull()
  })

  test('health, readiness and metrics', async () => {
    expect(await jsonOf(fetch(`${gateway.url}/health`))).toMatchObject({ status: 'ok' })
    expect((await fetch(`${gateway.url}/ready`)).status).toBe(200)
    await ask('one')
    const metrics = await (await fetch(gateway.gateway.metricsUrl ?? '')).text()
    expect(metrics).toMatch(/gateway_requests_total\{route="\/v1\/chat\/completions",status="200"\} \d/)
    expect(metrics).toMatch(/gateway_settled_total\{outcome="charged"\} \d/)
  })
})
