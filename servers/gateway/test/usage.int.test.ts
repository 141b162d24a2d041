import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { requests } from '../src/db/schema.ts'
import type { GatewayContext } from '../src/context.ts'
import { type OpenApp, openApp } from './open-app.ts'
import { jsonOf, post } from './test-gateway.ts'

let app: OpenApp
let account: Awaited<ReturnType<OpenApp['openAccount']>>
const day = 86_400
const first = 20_000 * day

beforeAll(async () => {
  // A catalog that has every model: what is asked here never comes to ordering one.
  const models = { get: async (id: string) => ({ id }) } as unknown as GatewayContext['models']
  app = await openApp({ models })
  account = await app.openAccount()
  const { accountId, keyId } = account
  const row = (index: number, model: string, createdAt: number) => ({
    ...{ id: `u${index}`, accountId, keyId, replica: 'r', state: 'charged' as const, kind: 'chat', model, createdAt },
    ...{ held: 10n, price: BigInt(index) * 10n ** 15n, inputUnits: index, outputUnits: 1, requestDigest: randomUUID() },
  })
  // Three of one second: pages must neither skip nor repeat one.
  const rows = [
    row(1, 'a', first),
    row(2, 'a', first),
    row(3, '=b', first),
    row(4, 'a', first + day),
    row(5, '=b', first + day),
  ]
  await app.database.insert(requests).values(rows)
})
afterAll(() => app?.close())

const usage = (query: string, key = account.key) =>
  fetch(`${app.url}/v1/usage?${query}`, { headers: { authorization: `Bearer ${key}` } })
const ids = (page: { data: { id: string }[] }) => page.data.map(({ id }) => id)

test('usage comes in pages, each request once', async () => {
  const seen: string[] = []
  let after = ''
  for (let pages = 0; pages < 5; pages += 1) {
    const page = await jsonOf(usage(`limit=2${after}`))
    seen.push(...ids(page))
    if (page.next_cursor === null) break
    after = `&after=${page.next_cursor}`
  }
  expect(seen).toEqual(['u1', 'u2', 'u3', 'u4', 'u5'])
  expect((await usage('limit=2&format=csv')).headers.get('x-lilypad-next-cursor')).toBe(`${first}.u2`)
  expect((await usage('after=1;drop')).status).toBe(400)
})

test('it is that of a time, a model, a key, and of the account alone', async () => {
  expect(ids(await jsonOf(usage(`from=${first + day}&until=${first + day + 1}`)))).toEqual(['u4', 'u5'])
  expect(ids(await jsonOf(usage('model=a')))).toEqual(['u1', 'u2', 'u4'])
  expect(ids(await jsonOf(usage(`key=${account.keyId}`)))).toHaveLength(5)
  expect(ids(await jsonOf(usage('key=key_other')))).toEqual([])
  expect(ids(await jsonOf(usage('', (await app.openAccount()).key)))).toEqual([])
})

test.each([
  [
    'model',
    [
      ['=b', 2, 8, '0.008'],
      ['a', 3, 7, '0.007'],
    ],
  ],
  [
    'day',
    [
      ['2024-10-04', 3, 6, '0.006'],
      ['2024-10-05', 2, 9, '0.009'],
    ],
  ],
] as const)('sums by %s', async (by, rows) => {
  const { data } = await jsonOf(usage(`by=${by}`))
  type Sum = { group: string; requests: number; inputUnits: number; cost: string }
  expect(data.map(({ group, requests: count, inputUnits, cost }: Sum) => [group, count, inputUnits, cost])).toEqual(
    rows,
  )
})

test('as CSV no cell is a formula', async () => {
  const csv = await (await usage('by=model&format=csv')).text()
  expect(csv.split('\n')[0]).toBe('group,requests,inputUnits,outputUnits,cost')
  expect(csv).toContain('"\'=b","2"')
})

describe('a key for some models', () => {
  test('uses those, and no other', async () => {
    const { key } = await app.openAccount({ models: ['small'] })
    const chat = (model: string) =>
      post(app.url, '/v1/chat/completions', key, { model, messages: [{ role: 'user', content: 'x' }] })
    const refused = await chat('large')
    expect(refused.status).toBe(403)
    expect((await jsonOf(refused)).error.message).toMatch(/not for this model.*Allowed: small/s)
    // Let through, it fails where there is no network.
    expect((await chat('small')).status).not.toBe(403)
    expect((await post(app.url, '/v1/jobs', key, { module: 'large', inputs: {} })).status).toBe(403)
  })
})
