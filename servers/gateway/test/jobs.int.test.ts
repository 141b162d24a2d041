import fc from 'fast-check'
import { verifyBundle } from '@lilypad-agents/sdk/verify'
import { JobBundle, sha256 } from '@lilypad-agents/protocol'
import { z } from 'zod'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { getBalance } from '../src/account/account.ts'
import { JobView, ModuleView, QuoteView } from '../src/jobs/job-schema.ts'
import { chatRequest, eventually, type Json, jsonOf, post, startTestGateway, type TestGateway } from './test-gateway.ts'

let gateway: TestGateway
let key: string
let accountId: string

beforeAll(async () => {
  gateway = await startTestGateway()
})
afterAll(() => gateway?.close())
beforeEach(async () => {
  ;({ key, accountId } = await gateway.openAccount())
})

const full = 10n ** 18n
const headers = () => ({ authorization: `Bearer ${key}` })
const get = (path: string, more: Record<string, string> = {}) =>
  fetch(`${gateway.url}${path}`, { headers: { ...headers(), ...more } })
const parrot = (content: string, fields: Readonly<Record<string, unknown>> = {}) => ({
  module: 'parrot',
  inputs: { request: chatRequest(content, fields) },
})
const order = (body: unknown, options: Parameters<typeof post>[4] = {}) =>
  post(gateway.url, '/v1/jobs', key, body, options)
const ended = (id: string) =>
  eventually(async () => {
    const job = await jsonOf(get(`/v1/jobs/${id}`))
    return job.cost === null ? undefined : job
  })

test('modules can be searched and read without a key', async () => {
  const { data } = await jsonOf(fetch(`${gateway.url}/v1/modules?query=parrot`))
  expect(ModuleView.array().parse(data)).toContainEqual(
    expect.objectContaining({ name: 'parrot', price: expect.objectContaining({ per_job: '0.000000000000001' }) }),
  )
  expect(await jsonOf(fetch(`${gateway.url}/v1/modules/parrot`))).toEqual(
    data.find(({ name }: Json) => name === 'parrot'),
  )
  expect((await fetch(`${gateway.url}/v1/modules/toad`)).status).toBe(404)
})

test('a quote is ordered once: the job is charged, verified, and its receipt holds anywhere', async () => {
  const quoted = await post(gateway.url, '/v1/quotes', key, parrot('one two'))
  expect(quoted.status).toBe(201)
  const quote = QuoteView.parse(await jsonOf(quoted))
  const first = await order({ quote_id: quote.id })
  expect(first.status).toBe(201)
  const placed = JobView.parse(await jsonOf(first))
  expect(first.headers.get('location')).toBe(`/v1/jobs/${placed.id}`)
  expect((await jsonOf(order({ quote_id: quote.id }))).id).toBe(placed.id)
  const { id: second } = await jsonOf(post(gateway.url, '/v1/quotes', key, parrot('one')))
  const races = await Promise.all([1, 2, 3].map(() => order({ quote_id: second })))
  expect(races.map(({ status }) => status).filter((status) => ![200, 201, 409].includes(status))).toEqual([])
  expect(races.filter(({ status }) => status === 201)).toHaveLength(1)
  await ended((await jsonOf(order({ quote_id: second }))).id)
  const done = JobView.parse(await ended(placed.id))
  expect(done).toMatchObject({ cost: '0.00000000000000102', verified: true, outputs: [{ path: 'response.json' }] })
  expect(await getBalance(gateway.database, accountId)).toEqual({ balance: full - 2030n, reserved: 0n })
  const output = await get(done.outputs[0]?.url ?? '')
  expect(output.headers.get('content-disposition')).toBe('attachment; filename=response.json')
  const bytes = new Uint8Array(await output.arrayBuffer())
  expect(JSON.parse(Buffer.from(bytes).toString())).toMatchObject({ choices: [{ message: { content: 'one two' } }] })
  const bundle = z.decode(JobBundle, await jsonOf(get(`/v1/jobs/${placed.id}/receipt`)))
  const { checks } = await verifyBundle(bundle, {
    findOutput: () => ({ bytes: bytes.length, sha256: sha256(bytes), read: () => bytes }),
  })
  expect(checks.filter(({ ok }) => !ok)).toEqual([])
  expect((await jsonOf(get('/v1/jobs'))).data.map(({ id }: Json) => id)).toContain(placed.id)
  // A quote that somebody ordered is nobody else's.
  const { key: other } = await gateway.openAccount()
  expect((await post(gateway.url, '/v1/jobs', other, { quote_id: quote.id })).status).toBe(409)
})

test('a repeat with its idempotency key is the same job', async () => {
  const options = { headers: { 'idempotency-key': 'a' } }
  const jobs = await Promise.all([1, 2, 3].map(async () => jsonOf(order(parrot('one'), options))))
  const ids = new Set(jobs.flatMap(({ id }) => (id ? [id] : [])))
  expect(ids.size).toBe(1)
  await ended([...ids][0])
  expect(await getBalance(gateway.database, accountId)).toEqual({ balance: full - 1010n, reserved: 0n })
})

test('a job of another account is none', async () => {
  const { id } = await jsonOf(order(parrot('one')))
  const { key: other } = await gateway.openAccount()
  for (const path of ['', '/receipt', '/events', '/outputs/response.json']) {
    const response = await fetch(`${gateway.url}/v1/jobs/${id}${path}`, {
      headers: { authorization: `Bearer ${other}` },
    })
    expect(response.status).toBe(404)
  }
  expect((await post(gateway.url, `/v1/jobs/${id}/cancel`, other, {})).status).toBe(404)
  await ended(id)
})

test('a cancelled job costs nothing', async () => {
  const { id } = await jsonOf(order(parrot('!hang')))
  expect((await post(gateway.url, `/v1/jobs/${id}/cancel`, key, {})).status).toBe(200)
  expect(await ended(id)).toMatchObject({ cost: '0' })
  expect(await getBalance(gateway.database, accountId)).toEqual({ balance: full, reserved: 0n })
})

type Happening = { readonly id: string; readonly event: string; readonly data: Json }
async function happenings(response: Response): Promise<Happening[]> {
  return (await response.text())
    .split('\n\n')
    .filter((block) => block !== '' && !block.startsWith(':'))
    .map((block) => ({
      id: /^id: (.*)$/m.exec(block)?.[1] ?? '',
      event: /^event: (.*)$/m.exec(block)?.[1] ?? '',
      data: JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? 'null'),
    }))
}

test('what happens to a job can be followed, and taken up where a reader was cut off', async () => {
  const { id } = await jsonOf(order(parrot('frog and toad', { stream: true })))
  const all = await happenings(await get(`/v1/jobs/${id}/events`))
  const states = all.flatMap(({ event, data }) => (event === 'state' ? [data.state] : []))
  expect(states[0]).toBe('ordered')
  expect(states.some((state) => ['delivered', 'acknowledged', 'settled'].includes(state))).toBe(true)
  const said = (events: Happening[]) =>
    Buffer.concat(
      events.flatMap(({ event, data }) => (event === 'output' ? [Buffer.from(data.data, 'base64')] : [])),
    ).toString()
  expect(said(all)).toContain('toad')
  expect(all.at(-1)?.event).toBe('end')
  const cut = Math.floor(all.length / 2)
  const rest = await happenings(await get(`/v1/jobs/${id}/events`, { 'last-event-id': all[cut]?.id ?? '' }))
  const outputs = (events: Happening[]) => events.filter(({ event }) => event === 'output').map(({ data }) => data)
  expect([...outputs(all.slice(0, cut + 1)), ...outputs(rest)]).toEqual(outputs(all))
  await ended(id)
})

describe('the document', () => {
  test('describes every route that there is, and each answers', async () => {
    const document = await jsonOf(fetch(`${gateway.url}/openapi.json`))
    expect(document.openapi).toBe('3.1.1')
    const zeros = `0x${'0'.repeat(64)}`
    for (const [path, methods] of Object.entries<Json>(document.paths))
      for (const method of Object.keys(methods)) {
        const address = path
          .replace('{id}', zeros)
          .replace('{path}', 'x')
          .replace('{model}', 'parrot')
          .replace('{module}', 'parrot')
        const isOpen = methods[method].security?.length === 0
        const response = await fetch(`${gateway.url}${address}`, {
          method: method.toUpperCase(),
          ...(method === 'post' ? { headers: { 'content-type': 'application/json' }, body: '{}' } : {}),
        })
        await response.body?.cancel()
        expect([path, response.status]).toEqual([path, isOpen ? 200 : 401])
      }
    const bodies = Object.values<Json>(document.paths).flatMap(({ post: operation }) => operation?.requestBody ?? [])
    expect(bodies.length).toBe(7)
    expect(JSON.stringify(document)).not.toContain('"pattern":""')
  })

  test('nothing that is sent as a body is a fault of ours', async () => {
    const document = await jsonOf(fetch(`${gateway.url}/openapi.json`))
    const paths = Object.entries<Json>(document.paths).flatMap(([path, { post: operation }]) =>
      operation?.requestBody ? [path] : [],
    )
    const word = fc.constantFrom(
      'model',
      'messages',
      'input',
      'role',
      'content',
      'type',
      'parrot',
      'vectors',
      'user',
      'text',
      'max_tokens',
      'module',
      'inputs',
      'quote_id',
      'files',
      'tools',
      'stream',
    )
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 4 },
        word,
        fc.integer(),
        fc.double(),
        fc.boolean(),
        fc.constant(null),
        fc.string(),
        fc.array(tie('any'), { maxLength: 4 }),
        tie('object'),
      ),
      object: fc.dictionary(fc.oneof(word, fc.string()), tie('any'), { maxKeys: 6 }),
    }))
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...paths), value.object, fc.boolean(), async (path, body, isNear) => {
        const near = {
          model: 'parrot',
          module: 'parrot',
          messages: [{ role: 'user', content: 'x' }],
          max_tokens: 1,
          input: 'x',
        }
        const response = await post(gateway.url, path, key, isNear ? { ...near, ...body } : body)
        const answer = await response.text()
        expect(response.status, answer).toBeLessThan(500)
      }),
      { numRuns: 150 },
    )
  })
})
