import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { eq, sum } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Database, openDatabase } from '../db/open-database.ts'
import { accounts, apiKeys, auditLog, ledgerEntries, requests } from '../db/schema.ts'
import { createAccount, creditAccount, getBalance } from './account.ts'
import {
  type ApiKey,
  createApiKey,
  findApiKey,
  type KeyLimits,
  limitApiKey,
  listApiKeys,
  revokeApiKey,
  rotateApiKey,
  switchApiKey,
} from './api-key.ts'
import { chargeRequest, forgetAnswers, openRequest, releaseRequest, reserveFor } from './paid-request.ts'

let database: Database
let close: () => Promise<void>
const now = 1_700_000_000
const receipt = '0x01'

beforeAll(async () => {
  ;({ database, close } = await openDatabase({ databaseUrl: process.env.DATABASE_URL }))
})
afterAll(() => close?.())

let account: string
let accountId: string
let key: ApiKey
let secret: string
const withKey = async (limits: KeyLimits = {}) => {
  const made = await createApiKey(database, { account, name: 'k', ...limits, now })
  const found = await findApiKey(database, made.key, now)
  if (!found) return expect.unreachable()
  return { ...made, found }
}
beforeEach(async () => {
  account = randomUUID()
  accountId = await createAccount(database, { name: account, now })
  await creditAccount(database, { account, amount: 1000n, reference: randomUUID(), now })
  const made = await withKey()
  key = made.found
  secret = made.key
})

const open = async (fields: Partial<Parameters<typeof openRequest>[1]> = {}) => {
  const id = randomUUID()
  const opened = await openRequest(database, {
    id,
    key,
    replica: 'r',
    kind: 'chat',
    model: 'm',
    digest: 'd',
    now,
    ...fields,
  })
  return { id, opened }
}
const charge = (id: string, price: bigint) =>
  chargeRequest(database, { id, price, receipt, inputUnits: 1, outputUnits: 1, answer: '{}', now })
const release = (id: string) => releaseRequest(database, { id, errorCode: 'TIMED_OUT', now })

describe('keys', () => {
  test('a key is found by itself alone, and is nowhere in the database', async () => {
    expect(secret).toMatch(/^lp-[A-Za-z0-9_-]{43}$/)
    expect(await findApiKey(database, `${secret}x`, now)).toBeUndefined()
    expect(await findApiKey(database, '', now)).toBeUndefined()
    const rows = [...(await database.select().from(apiKeys)), ...(await database.select().from(auditLog))]
    expect(rows.flatMap((row) => Object.values(row).map(String)).join(' ')).not.toContain(secret.slice(3, -4))
  })

  test('a revoked key is none, also for a request that is on its way', async () => {
    const { id } = await open()
    expect(await revokeApiKey(database, { id: key.id, now })).toBe(true)
    expect(await revokeApiKey(database, { id: key.id, now })).toBe(false)
    expect(await findApiKey(database, secret, now)).toBeUndefined()
    await expect(reserveFor(database, { id, amount: 1n, now })).rejects.toMatchObject({ code: 'UNAUTHORIZED' })
    expect(await getBalance(database, accountId)).toEqual({ balance: 1000n, reserved: 0n })
  })

  test('switched off it is none until it is on again; after its time it is none', async () => {
    const { id } = key
    const set = (isEnabled: boolean) => switchApiKey(database, { id, isEnabled, now })
    expect(await set(false)).toBe(true)
    expect(await findApiKey(database, secret, now)).toBeUndefined()
    expect(await set(true)).toBe(true)
    expect(await findApiKey(database, secret, now)).toMatchObject({ id })
    await limitApiKey(database, { id, expiresAt: now + 1, now })
    expect(await findApiKey(database, secret, now)).toMatchObject({ id })
    expect(await findApiKey(database, secret, now + 1)).toBeUndefined()
    await revokeApiKey(database, { id, now })
    expect(await set(true)).toBe(false)
  })

  test('rotated it is another secret with the same past; the one before is good for a while', async () => {
    const { id } = key
    const opened = await open({ idempotencyKey: 'kept' })
    const next = await rotateApiKey(database, { id, graceSeconds: 10, now })
    expect(next.id).toBe(id)
    const found = await findApiKey(database, next.key, now)
    expect(found).toMatchObject({ id })
    expect(await findApiKey(database, secret, now + 9)).toMatchObject({ id })
    expect(await findApiKey(database, secret, now + 10)).toBeUndefined()
    expect((await open({ key: found ?? key, idempotencyKey: 'kept' })).opened).toMatchObject({
      earlier: { id: opened.id },
    })
    const last = await rotateApiKey(database, { id, graceSeconds: 10, now })
    expect(await findApiKey(database, secret, now)).toBeUndefined()
    expect(await findApiKey(database, last.key, now)).toMatchObject({ id })
    await expect(rotateApiKey(database, { id: 'key_none', graceSeconds: 0, now })).rejects.toThrow(/no such key/)
  })

  test('are listed without a secret', async () => {
    const [listed] = await listApiKeys(database, account)
    expect(listed).toMatchObject({ account, id: key.id, hint: secret.slice(-4), spent: 0n })
    expect(Object.keys(listed ?? {}).join()).not.toMatch(/hash/i)
  })

  test('an account that is none gets no key and no money', async () => {
    await expect(createApiKey(database, { account: 'nobody', name: 'k', now })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    })
    await expect(
      creditAccount(database, { account: 'nobody', amount: 1n, reference: randomUUID(), now }),
    ).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })
})

test('a credit counts once, whoever repeats it', async () => {
  const reference = randomUUID()
  const credit = () => creditAccount(database, { account, amount: 5n, reference, now })
  const done = await Promise.all([credit(), credit(), credit()])
  expect(done.filter(({ isNew }) => isNew)).toHaveLength(1)
  expect(await getBalance(database, accountId)).toEqual({ balance: 1005n, reserved: 0n })
})

describe('a request', () => {
  test('holds what it may cost, is charged what it cost, and frees the rest', async () => {
    const { id } = await open()
    await reserveFor(database, { id, amount: 400n, now })
    expect(await getBalance(database, accountId)).toEqual({ balance: 1000n, reserved: 400n })
    expect(await charge(id, 150n)).toBe(true)
    expect(await getBalance(database, accountId)).toEqual({ balance: 850n, reserved: 0n })
  })

  test.each([
    ['charged twice', charge, charge, 850n],
    ['charged, then released', charge, release, 850n],
    ['released, then charged', release, charge, 1000n],
  ])('%s is settled once', async (_, first, second, balance) => {
    const { id } = await open()
    await reserveFor(database, { id, amount: 400n, now })
    expect(await first(id, 150n)).toBe(true)
    expect(await second(id, 150n)).toBe(false)
    expect(await getBalance(database, accountId)).toEqual({ balance, reserved: 0n })
  })

  test('never costs more than was held', async () => {
    const { id } = await open()
    await reserveFor(database, { id, amount: 100n, now })
    await expect(charge(id, 101n)).rejects.toMatchObject({ code: 'INTERNAL' })
    expect(await getBalance(database, accountId)).toEqual({ balance: 1000n, reserved: 100n })
  })

  test('that the account does not cover is refused with both amounts', async () => {
    const { id } = await open()
    await expect(reserveFor(database, { id, amount: 1001n, now })).rejects.toMatchObject({
      code: 'INSUFFICIENT_BALANCE',
      details: ['Needed: up to 0.000000000000001001 LILY   Available: 0.000000000000001 LILY'],
    })
  })

  test('that the budget of its key does not cover is refused, and the account stays free', async () => {
    const { found } = await withKey({ budget: 300n })
    const first = await open({ key: found })
    await reserveFor(database, { id: first.id, amount: 200n, now })
    const second = await open({ key: found })
    await expect(reserveFor(database, { id: second.id, amount: 101n, now })).rejects.toThrow(/budget/)
    expect(await getBalance(database, accountId)).toEqual({ balance: 1000n, reserved: 200n })
    await charge(first.id, 50n)
    await reserveFor(database, { id: second.id, amount: 250n, now })
  })

  test.each([
    ['day', { dayBudget: 300n }, 86_400],
    ['month', { monthBudget: 300n }, 31 * 86_400],
  ] as const)('that passes what its key may spend in a %s is refused until the next', async (name, limits, seconds) => {
    const { found } = await withKey(limits)
    const begin = async (amount: bigint, at: number) => {
      const { id } = await open({ key: found })
      await reserveFor(database, { id, amount, now: at })
      return id
    }
    const spent = await begin(200n, now)
    await expect(begin(101n, now)).rejects.toThrow(name === 'day' ? /today/ : /this month/)
    await charge(spent, 150n)
    await release(await begin(150n, now))
    await expect(begin(151n, now)).rejects.toMatchObject({
      code: 'INSUFFICIENT_BALANCE',
      details: [expect.stringContaining('Available: 0.00000000000000015 LILY')],
    })
    await begin(300n, now + seconds)
  })

  test('many at once never hold more than there is', async () => {
    const opened = await Promise.all(Array.from({ length: 12 }, () => open()))
    const held = await Promise.allSettled(opened.map(({ id }) => reserveFor(database, { id, amount: 300n, now })))
    expect(held.filter(({ status }) => status === 'fulfilled')).toHaveLength(3)
    expect(await getBalance(database, accountId)).toEqual({ balance: 1000n, reserved: 900n })
  })
})

describe('an idempotency key', () => {
  test('brings back the request that it came with first, with its answer', async () => {
    const { id } = await open({ idempotencyKey: 'a' })
    await reserveFor(database, { id, amount: 10n, now })
    expect((await open({ idempotencyKey: 'a' })).opened).toMatchObject({
      isNew: false,
      earlier: { id, state: 'reserved' },
    })
    await charge(id, 10n)
    expect((await open({ idempotencyKey: 'a' })).opened).toMatchObject({ earlier: { state: 'charged', answer: '{}' } })
    await forgetAnswers(database, { before: now + 1 })
    expect((await open({ idempotencyKey: 'a' })).opened).toMatchObject({ earlier: { state: 'charged', answer: null } })
  })

  test('of a request that cost nothing may be tried again', async () => {
    const { id } = await open({ idempotencyKey: 'a' })
    await release(id)
    expect((await open({ idempotencyKey: 'a' })).opened).toEqual({ isNew: true })
  })

  test('with another request is refused', async () => {
    await open({ idempotencyKey: 'a' })
    await expect(open({ idempotencyKey: 'a', digest: 'other' })).rejects.toMatchObject({ code: 'STATE_CONFLICT' })
  })

  test('is of one key alone', async () => {
    await open({ idempotencyKey: 'a' })
    const { found } = await withKey()
    expect((await open({ idempotencyKey: 'a', key: found })).opened).toEqual({ isNew: true })
  })

  test('that comes many times at once opens one request', async () => {
    const opened = await Promise.all(Array.from({ length: 8 }, () => open({ idempotencyKey: 'b' })))
    expect(opened.filter(({ opened: { isNew } }) => isNew)).toHaveLength(1)
  })

  test('without an idempotency key no answer is kept', async () => {
    const { id } = await open()
    await reserveFor(database, { id, amount: 10n, now })
    await charge(id, 10n)
    const [row] = await database.select().from(requests).where(eq(requests.id, id))
    expect(row?.answer).toBeNull()
  })
})

test('after any order of moves the balance is the sum of the ledger, and what is held that of open requests', async () => {
  const moves = fc.array(
    fc.record({
      move: fc.constantFrom('open', 'credit', 'charge', 'release'),
      amount: fc.bigInt(1n, 600n),
      which: fc.nat(9),
    }),
    { minLength: 20, maxLength: 40 },
  )
  await fc.assert(
    fc.asyncProperty(moves, async (steps) => {
      const ids: string[] = []
      for (const { move, amount, which } of steps) {
        const id = ids[which % Math.max(1, ids.length)]
        if (move === 'credit') await creditAccount(database, { account, amount, reference: randomUUID(), now })
        else if (move === 'open') {
          const { id: opened } = await open()
          await reserveFor(database, { id: opened, amount, now }).catch((error) =>
            expect(error.code).toBe('INSUFFICIENT_BALANCE'),
          )
          ids.push(opened)
        } else if (id !== undefined && move === 'release') await release(id)
        else if (id !== undefined) await charge(id, amount).catch((error) => expect(error.code).toBe('INTERNAL'))
      }
      const [entries] = await database
        .select({ total: sum(ledgerEntries.amount) })
        .from(ledgerEntries)
        .where(eq(ledgerEntries.accountId, accountId))
      const all = await database.select().from(requests).where(eq(requests.accountId, accountId))
      const stillHeld = all.filter(({ state }) => state === 'reserved').reduce((total, { held }) => total + held, 0n)
      const [row] = await database.select().from(accounts).where(eq(accounts.id, accountId))
      expect(row).toMatchObject({ balance: BigInt(entries?.total ?? 0), reserved: stillHeld })
      expect((row?.balance ?? -1n) >= (row?.reserved ?? 0n)).toBe(true)
      const [spender] = await database.select().from(apiKeys).where(eq(apiKeys.id, key.id))
      expect(spender?.reserved).toBe(stillHeld)
    }),
    { numRuns: 12 },
  )
})
