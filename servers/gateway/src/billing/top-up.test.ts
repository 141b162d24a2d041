import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { eq, sum } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createAccount, getBalance } from '../account/account.ts'
import { createApiKey, findApiKey } from '../account/api-key.ts'
import { chargeRequest, openRequest, reserveFor } from '../account/paid-request.ts'
import { type Database, openDatabase } from '../db/open-database.ts'
import { auditLog, cardReversals, ledgerEntries, topUps } from '../db/schema.ts'
import { type CardEvent, readCardEvent } from './card-event.ts'
import { CardProcessorError } from './card-processor.ts'
import { applyCardEvent, openTopUp, toCredit, type TopUp } from './top-up.ts'

let database: Database
let close: () => Promise<void>
const now = 1_700_000_000
const usdPerLilyWad = 2n * 10n ** 18n
const lily = 10n ** 18n

beforeAll(async () => {
  ;({ database, close } = await openDatabase({ databaseUrl: process.env.DATABASE_URL }))
})
afterAll(() => close?.())

let accountName: string
let accountId: string
let topUp: TopUp
let payment: string
const cards = {
  openPage: async ({ id }: { id: string }) => ({ sessionId: `cs_${id}`, url: 'https://pay.example/', expiresAt: now }),
}
const open = (options: Partial<Parameters<typeof openTopUp>[2]> = {}, processor = cards) =>
  openTopUp(
    database,
    { ...processor, readEvent: () => undefined },
    { accountId, usdCents: 2000, usdPerLilyWad, now, ...options },
  )

beforeEach(async () => {
  accountName = randomUUID()
  accountId = await createAccount(database, { name: accountName, now })
  topUp = await open()
  payment = `pi_${randomUUID()}`
})

/** Events as Stripe sends them, read as the gateway reads them. */
const tell = (type: string, object: object, fields: { id?: string; created?: number; livemode?: boolean } = {}) =>
  readCardEvent({ id: `evt_${randomUUID()}`, type, created: now, livemode: false, data: { object }, ...fields }, false)
const session = (change: object = {}) => ({
  id: topUp.sessionId,
  mode: 'payment',
  client_reference_id: topUp.id,
  metadata: { top_up: topUp.id, account: accountId },
  payment_status: 'paid',
  payment_intent: payment,
  currency: 'usd',
  amount_total: 2000,
  ...change,
})
const paid = (change?: object) => tell('checkout.session.completed', session(change))
const refund = (id: string, amount: number, status = 'succeeded', type = 'refund.created') =>
  tell(type, { id: `re_${id}_${payment}`, payment_intent: payment, currency: 'usd', amount, status })
const refundTotal = (amount_refunded: number) =>
  tell('charge.refunded', { id: `ch_${payment}`, payment_intent: payment, currency: 'usd', amount_refunded })
const dispute = (status: string, created = now, change: object = {}) =>
  tell(
    'charge.dispute.updated',
    { id: `dp_${payment}`, payment_intent: payment, currency: 'usd', amount: 2000, status, ...change },
    { created },
  )

const apply = (event: CardEvent | undefined) =>
  event ? applyCardEvent(database, event, { now }) : expect.unreachable('the event was not read')
const balance = async () => (await getBalance(database, accountId)).balance

describe('a top-up', () => {
  test('brings what its dollars bought when it was asked for, once it is paid', async () => {
    expect(topUp).toMatchObject({ state: 'open', credit: 10n * lily, credited: 0n })
    expect(await balance()).toBe(0n)
    expect(await apply(paid())).toBe('entered')
    expect(await balance()).toBe(10n * lily)
  })

  test('is rounded down to what the dollars buy', () => {
    expect(toCredit(100, 3n * lily)).toBe(333_333_333_333_333_333n)
    expect(() => toCredit(100, 0n)).toThrow(/rate/)
  })

  test('counts once, however often and by whichever event it is told', async () => {
    const event = paid()
    const all = [event, event, paid(), tell('checkout.session.async_payment_succeeded', session())]
    const told = await Promise.all(all.map(apply))
    expect(told.filter((outcome) => outcome === 'repeated')).toHaveLength(1)
    expect(await balance()).toBe(10n * lily)
  })

  test('that was left without paying brings nothing, and one that is paid late brings its credit', async () => {
    expect(paid({ payment_status: 'unpaid' })).toBeUndefined()
    await apply(tell('checkout.session.expired', { id: topUp.sessionId }))
    expect(await balance()).toBe(0n)
    await apply(paid())
    expect(await balance()).toBe(10n * lily)
  })

  test.each([
    ['another amount', { amount_total: 1 }],
    ['another currency', { currency: 'jpy' }],
    ['another account', { metadata: { account: 'acct_other' } }],
    ['another top-up', { client_reference_id: 'topup_other' }],
  ])('told with %s is not credited, and is written down', async (_, change) => {
    expect(await apply(paid(change))).toBe('strange')
    expect(await balance()).toBe(0n)
    const [row] = await database.select().from(topUps).where(eq(topUps.id, topUp.id))
    expect(row?.state).toBe('refused')
    expect(await database.select().from(auditLog).where(eq(auditLog.subject, topUp.id))).toHaveLength(1)
  })

  test('that a second payment names brings the first alone', async () => {
    await apply(paid())
    expect(await apply(paid({ payment_intent: 'pi_other' }))).toBe('strange')
    expect(await balance()).toBe(10n * lily)
  })

  test('of another mode, or nobody’s, is nothing', async () => {
    expect(tell('checkout.session.completed', session(), { livemode: true })).toBeUndefined()
    expect(await apply(paid({ id: 'cs_unknown' }))).toBe('unknown')
    expect(await balance()).toBe(0n)
  })

  test('asked for with the same idempotency key is the same, also where the processor failed between', async () => {
    const idempotencyKey = randomUUID()
    const failing = { openPage: () => Promise.reject(new CardProcessorError(new Error('down'))) }
    await expect(open({ idempotencyKey }, failing)).rejects.toMatchObject({ code: 'UPSTREAM_FAILED' })
    // The rate that was noted first counts.
    const made = await Promise.all([open({ idempotencyKey, usdPerLilyWad: 1n }), open({ idempotencyKey })])
    expect(made.map(({ id, credit }) => [id, credit])).toEqual([1, 2].map(() => [made[0]?.id, 10n * lily]))
    await expect(open({ idempotencyKey, usdCents: 2001 })).rejects.toMatchObject({ code: 'STATE_CONFLICT' })
  })
})

describe('money that is taken back', () => {
  test('leaves the account, below nothing where it was spent, and then it orders no more', async () => {
    await apply(paid())
    const { key } = await createApiKey(database, { account: accountName, name: 'k', now })
    const found = (await findApiKey(database, key, now)) ?? expect.unreachable()
    const begin = async (amount: bigint) => {
      const id = randomUUID()
      await openRequest(database, { id, key: found, replica: 'r', kind: 'chat', model: 'm', digest: 'd', now })
      await reserveFor(database, { id, amount, now })
      return id
    }
    const spent = await begin(4n * lily)
    await chargeRequest(database, { id: spent, price: 4n * lily, receipt: '0x01', inputUnits: 1, outputUnits: 1, now })
    const running = await begin(6n * lily)
    await apply(dispute('needs_response'))
    expect(await getBalance(database, accountId)).toEqual({ balance: -4n * lily, reserved: 6n * lily })
    await expect(begin(1n)).rejects.toMatchObject({
      code: 'INSUFFICIENT_BALANCE',
      details: [expect.stringContaining('Available: 0 LILY')],
    })
    // What was ordered before is still charged.
    await chargeRequest(database, { id: running, price: 1n, receipt: '0x02', inputUnits: 1, outputUnits: 1, now })
    expect(await getBalance(database, accountId)).toEqual({ balance: -4n * lily - 1n, reserved: 0n })
  })

  test.each([
    ['a part', () => [refund('1', 500)], 7_500n],
    ['two parts', () => [refund('1', 500), refund('2', 500), refundTotal(1000)], 5000n],
    ['a total alone', () => [refundTotal(300), refundTotal(200)], 8500n],
    ['a refund that failed', () => [refund('1', 500), refund('1', 500, 'failed', 'refund.failed')], 10_000n],
    ['a refund and its late success', () => [refund('1', 500, 'failed'), refund('1', 500)], 10_000n],
    ['a lost dispute', () => [dispute('needs_response'), dispute('lost', now + 5)], 0n],
    ['a dispute that was won', () => [dispute('needs_response'), dispute('won', now + 5)], 10_000n],
    ['the end of a dispute before its beginning', () => [dispute('won', now + 5), dispute('needs_response')], 10_000n],
    ['an inquiry', () => [dispute('warning_needs_response')], 10_000n],
    [
      'an inquiry that became a dispute',
      () => [dispute('needs_response', now + 5), dispute('warning_needs_response')],
      0n,
    ],
    ['a refund and a dispute of the same', () => [refund('1', 1500), dispute('lost')], 0n],
    ['another currency', () => [dispute('lost', now, { currency: 'eur', amount: 1 })], 0n],
  ] as const)('by %s', async (_, events, thousandths) => {
    await apply(paid())
    for (const event of events()) await apply(event)
    expect(await balance()).toBe((thousandths * lily) / 1000n)
  })

  test('before it was known to be paid counts too', async () => {
    expect(await apply(refund('1', 500))).toBe('unknown')
    await apply(paid())
    expect(await balance()).toBe(7_500_000_000_000_000_000n)
  })
})

test('events in any order, repeated and at once, come to the same balance, which is that of the ledger', async () => {
  const steps = () => [
    paid(),
    tell('checkout.session.async_payment_succeeded', session()),
    refund('1', 300),
    refund('2', 400),
    refund('2', 400, 'failed', 'refund.failed'),
    refundTotal(700),
    dispute('warning_needs_response', now, { amount: 500 }),
    dispute('needs_response', now + 1, { amount: 500 }),
    dispute('lost', now + 2, { amount: 500 }),
  ]
  await fc.assert(
    fc.asyncProperty(
      fc.shuffledSubarray([...steps().keys(), ...steps().keys()], { minLength: steps().length * 2 }),
      fc.boolean(),
      async (order, isAtOnce) => {
        accountId = await createAccount(database, { name: randomUUID(), now })
        topUp = await open()
        payment = `pi_${randomUUID()}`
        const events = steps()
        if (isAtOnce) await Promise.all(order.map((index) => apply(events[index])))
        else for (const index of order) await apply(events[index])
        expect(await balance()).toBe(6n * lily)
        const [entries] = await database
          .select({ total: sum(ledgerEntries.amount) })
          .from(ledgerEntries)
          .where(eq(ledgerEntries.accountId, accountId))
        expect(BigInt(entries?.total ?? 0)).toBe(6n * lily)
        expect(await database.select().from(cardReversals).where(eq(cardReversals.paymentId, payment))).toHaveLength(4)
      },
    ),
    { numRuns: 15 },
  )
})
