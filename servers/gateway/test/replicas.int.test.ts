import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eq } from 'drizzle-orm'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ledgerEntries, replicas, requests } from '../src/db/schema.ts'
import { checkLedger } from '../src/ledger/check-ledger.ts'
import { tellReplica } from '../src/replicas/replica.ts'
import { settleOrphans } from '../src/replicas/settle-orphans.ts'
import { type RunningGateway, startGateway } from '../src/start-gateway.ts'
import { chatRequest, eventually, type Json, jsonOf, post, startTestGateway, type TestGateway } from './test-gateway.ts'

// Two gateways over one database: with DATABASE_URL a Postgres server, each with its own connections; else the embedded one, shared.
let first: TestGateway
let second: RunningGateway
let folder: string
let key: string
let accountId: string

beforeAll(async () => {
  first = await startTestGateway({ config: { databaseUrl: process.env.DATABASE_URL }, rules: { sweepSeconds: 0.5 } })
  folder = mkdtempSync(join(tmpdir(), 'lp-gateway-2-'))
  const { actor } = await first.market.openRequester()
  second = await startGateway(
    { ...first.config, stateDirectory: folder, signer: actor.signer },
    {
      log: pino({ level: 'silent' }),
      rules: { sweepSeconds: 0.5 },
      ...(process.env.DATABASE_URL === undefined ? { database: first.database } : {}),
    },
  )
  ;({ key, accountId } = await first.openAccount())
  await eventually(async () => ((await first.database.select().from(replicas)).length >= 2 ? true : undefined))
})
afterAll(async () => {
  await second?.close()
  await first?.close()
  if (folder) rmSync(folder, { recursive: true, force: true })
})

const chat = (content: string) => ({ model: 'parrot', messages: [{ role: 'user', content }], max_tokens: 3 })
const get = (url: string, path: string, headers: Record<string, string> = {}) =>
  fetch(`${url}${path}`, { headers: { authorization: `Bearer ${key}`, ...headers } })
const charges = async () =>
  (await first.database.select().from(ledgerEntries).where(eq(ledgerEntries.accountId, accountId))).filter(
    ({ source }) => source === 'job',
  ).length

test('the same idempotency key on both at once is one order and one charge', async () => {
  const before = await charges()
  const headers = { 'idempotency-key': 'both' }
  const ask = (url: string) => post(url, '/v1/chat/completions', key, chat('one two'), { headers })
  const askUntil = (url: string): Promise<Json> =>
    eventually(async () => {
      const answer = await ask(url)
      if (answer.status === 409) return undefined
      expect(answer.status).toBe(200)
      return jsonOf(answer)
    }, 60)
  const answers = await Promise.all([first.url, second.url, second.url, first.url].map(askUntil))
  expect(new Set(answers.map(({ lilypad }) => lilypad.job_id)).size).toBe(1)
  expect(await charges()).toBe(before + 1)
  const rows = await first.database.select().from(requests).where(eq(requests.idempotencyKey, 'both'))
  expect(rows).toHaveLength(1)
})

test('a client that gave up on one is answered by the other, and pays once', async () => {
  const before = await charges()
  const headers = { 'idempotency-key': 'gave up' }
  const gone = AbortSignal.timeout(400)
  await post(first.url, '/v1/chat/completions', key, chat('!wait 1500'), { headers, signal: gone }).catch(() => 'left')
  const answer = await eventually(async () => {
    const asked = await post(second.url, '/v1/chat/completions', key, chat('!wait 1500'), { headers })
    return asked.status === 200 ? asked : undefined
  }, 60)
  expect((await jsonOf(answer)).choices[0].finish_reason).toBeTruthy()
  await eventually(async () => {
    const { reserved } = await jsonOf(get(first.url, '/v1/account'))
    return reserved === '0' ? true : undefined
  }, 60)
  expect((await charges()) - before).toBe(1)
  const settled = await first.database.select().from(requests).where(eq(requests.accountId, accountId))
  for (const { state } of settled) expect(['charged', 'released']).toContain(state)
  expect(await checkLedger(first.database, undefined)).toMatchObject({ faults: [] })
})

describe('a job that one of them has', () => {
  test('is ordered from a quote, followed, read and proven at the other', async () => {
    const asked = { module: 'parrot', inputs: { request: chatRequest('one two') } }
    const quoted = await post(first.url, '/v1/quotes', key, asked)
    expect(quoted.status).toBe(201)
    const quote_id = (await jsonOf(quoted)).id
    const placed = await post(second.url, '/v1/jobs', key, { quote_id })
    expect(placed.status).toBe(201)
    const { id } = await jsonOf(placed)
    const done = await eventually(async () => {
      const shown = await jsonOf(get(second.url, `/v1/jobs/${id}`))
      return shown.cost === null ? undefined : shown
    }, 60)
    expect(done).toEqual(await jsonOf(get(first.url, `/v1/jobs/${id}`)))
    expect((await jsonOf(post(second.url, '/v1/jobs', key, { quote_id }))).id).toBe(id)
    for (const path of [`/v1/jobs/${id}/receipt`, `/v1/jobs/${id}/outputs/response.json`]) {
      const [own, other] = await Promise.all([get(first.url, path), get(second.url, path)])
      expect([other.status, other.headers.get('content-type')]).toEqual([200, own.headers.get('content-type')])
      expect(await other.text()).toBe(await own.text())
    }
    const events = await get(second.url, `/v1/jobs/${id}/events`, { accept: 'text/event-stream' })
    expect(events.headers.get('content-type')).toMatch(/^text\/event-stream/)
    expect(await events.text()).toContain('event: end')
    const listed = (await jsonOf(get(second.url, '/v1/jobs'))).data
    expect(listed.map((shown: Json) => shown.id)).toContain(id)
    // Another account learns nothing of it, here or there.
    const stranger = await first.openAccount()
    const asStranger = { headers: { authorization: `Bearer ${stranger.key}` } }
    expect((await fetch(`${second.url}/v1/jobs/${id}`, asStranger)).status).toBe(404)
  })

  test('of one that is away is told as such', async () => {
    const [row] = await first.database.select().from(requests).where(eq(requests.kind, 'job'))
    const { orderHash, id, replica } = row ?? expect.unreachable()
    await first.database.update(requests).set({ replica: 'away' }).where(eq(requests.id, id))
    const answer = await get(second.url, `/v1/jobs/${orderHash}`)
    expect([answer.status, answer.headers.has('retry-after')]).toEqual([503, true])
    // One that was passed on already is not passed on again.
    await first.database.update(requests).set({ replica }).where(eq(requests.id, id))
    expect((await get(second.url, `/v1/jobs/${orderHash}`, { 'x-lilypad-forwarded': 'x' })).status).toBe(503)
  })
})

test('what a replica that is lost left open is freed, and nothing of one that is there', async () => {
  const { context } = first.gateway
  const { database } = context
  const now = Math.floor(Date.now() / 1000)
  const owner = await first.openAccount()
  const rowOf = (id: string, replica: string, state: 'open' | 'reserved', createdAt: number) => ({
    ...{
      id,
      replica,
      state,
      createdAt,
      accountId: owner.accountId,
      kind: 'chat',
      model: 'm',
      held: 0n,
      requestDigest: 'd',
    },
    ...(state === 'reserved' ? { quoteId: `0x${id}` as const } : {}),
  })
  const keyId = (await database.select().from(requests).where(eq(requests.accountId, accountId)))[0]?.keyId ?? ''
  await tellReplica(database, { id: 'present', url: first.url })
  const day = 86_400
  await database
    .insert(requests)
    .values(
      [
        rowOf('a1', 'lost', 'open', now - 2 * 3600),
        rowOf('a2', 'lost', 'reserved', now - 2 * 3600),
        rowOf('a3', 'lost', 'reserved', now - 4 * day),
        rowOf('a4', 'present', 'open', now - 4 * day),
        rowOf('a5', 'lost', 'open', now),
      ].map((row) => ({ ...row, keyId })),
    )
  await settleOrphans(context)
  const rows = await database
    .select()
    .from(requests)
    .where(eq(requests.accountId, owner.accountId))
    .orderBy(requests.id)
  expect(rows.map(({ state }) => state)).toEqual(['released', 'reserved', 'released', 'open', 'open'])
  await database.delete(requests).where(eq(requests.accountId, owner.accountId))
})
