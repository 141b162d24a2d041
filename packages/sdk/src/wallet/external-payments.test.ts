import { keccak256 } from '@lilypad-agents/protocol'
import { beforeEach, describe, expect, test } from 'vitest'
import { createStoredJob } from '../../test/describe-client-store.ts'
import { sampleDomain, sampleSigners } from '../../test/sample-bundle.ts'
import type { ClientStore } from '../store/client-store.ts'
import { memoryStore } from '../store/memory-store.ts'
import { createExternalPayments, type ExternalPayments } from './external-payments.ts'
import { createKeyWallet } from './key-wallet.ts'
import type { SpendingPolicy } from './spending-policy.ts'

const start = 1_800_000_000
const payee = sampleSigners.stranger.address
const stopAfter = { failures: 3, unknown: 2 }
const policy: SpendingPolicy = { perJob: 100n, perDay: 250n, total: 400n, stopAfter }
let now: number
let store: ClientStore
const open = (changes: Partial<SpendingPolicy> = {}, session = 'own'): ExternalPayments => {
  const options = { signer: sampleSigners.session, domain: sampleDomain, grant: null }
  const wallet = createKeyWallet({ ...options, policy: { ...policy, ...changes } })
  return createExternalPayments({ store, requireWallet: () => wallet, session, nowSeconds: () => now })
}
const request = (number: number, maxPrice = 100n) => ({
  id: keccak256(`payment ${number}`),
  payee,
  purpose: 'a page',
  maxPrice,
  validUntil: start + 60,
})
const breaker = () => store.transaction((transaction) => transaction.findBreaker())

beforeEach(() => {
  now = start
  store = memoryStore()
})

test('a payment counts from before it is signed, with what was taken when that is known', async () => {
  const payments = open()
  const { payment, isNew } = await payments.reserve(request(1))
  expect([payment.state, payment.price, isNew]).toEqual(['reserved', null, true])
  await payments.reserve(request(2))
  await expect(payments.reserve(request(3, 51n))).rejects.toMatchObject({ code: 'OVER_DAY_LIMIT' })
  await payments.commit(request(1).id, { price: 40n, isGood: true })
  expect((await payments.reserve(request(3, 100n))).isNew).toBe(true)
  expect((await payments.list()).map(({ state }) => state)).toEqual(['reserved', 'reserved', 'committed'])
})

test('the same id is the same payment, whatever is asked for it', async () => {
  const payments = open()
  const all = await Promise.all(Array.from({ length: 50 }, () => payments.reserve(request(1))))
  expect(all.filter(({ isNew }) => isNew)).toHaveLength(1)
  expect(await payments.reserve(request(1, 7n))).toMatchObject({ isNew: false, payment: { maxPrice: 100n } })
  expect(await payments.list()).toHaveLength(1)
})

test('jobs and payments share their limits', async () => {
  const { order } = createStoredJob(1)
  await store.transaction((transaction) =>
    transaction.putJob(createStoredJob(1, { order: { ...order, maxPrice: 200n }, orderedAt: now })),
  )
  await expect(open().reserve(request(1, 51n))).rejects.toMatchObject({ code: 'OVER_DAY_LIMIT' })
  expect((await open().reserve(request(1, 50n))).isNew).toBe(true)
})

test.each<[string, Partial<SpendingPolicy>, string]>([
  ['one payment', { perJob: 99n }, 'OVER_JOB_LIMIT'],
  ['the session', { perSession: 99n }, 'OVER_SESSION_LIMIT'],
  ['the hour', { jobsPerHour: 0 }, 'OVER_HOUR_LIMIT'],
  ['the total', { total: 99n }, 'OVER_TOTAL_LIMIT'],
  ['the payee', { publishers: [sampleSigners.payer.address] }, 'PUBLISHER_NOT_ALLOWED'],
  ['a denied payee', { deniedPublishers: [payee] }, 'PUBLISHER_NOT_ALLOWED'],
  ['no approval', { approveFrom: 1n }, 'APPROVAL_REQUIRED'],
])('%s refuses it, and nothing is kept', async (_, changes, code) => {
  const payments = open(changes)
  await expect(payments.reserve(request(1))).rejects.toMatchObject({ code })
  expect(await payments.list()).toEqual([])
})

test('an approval is about one payment and is used with it', async () => {
  const { id, maxPrice } = request(1)
  const approval = { id, maxPrice, left: 9n, way: 'cli' as const, wantedAt: now, decidedAt: now, validUntil: now + 9 }
  await store.transaction((transaction) => transaction.putApproval({ ...approval, state: 'approved' }))
  const payments = open({ approveFrom: 0n })
  await expect(payments.reserve(request(2))).rejects.toMatchObject({ code: 'APPROVAL_REQUIRED' })
  expect((await payments.reserve(request(1))).isNew).toBe(true)
  expect(await store.transaction((transaction) => transaction.findApproval(id))).toMatchObject({ state: 'used' })
})

describe('what is given up', () => {
  test('is free at once when it was not signed', async () => {
    const payments = open({ total: 100n })
    await payments.reserve(request(1))
    await payments.release(request(1).id, { wasSigned: false })
    expect((await payments.reserve(request(2))).isNew).toBe(true)
  })

  test('counts until it can no longer be taken when it was signed', async () => {
    const payments = open({ total: 100n })
    await payments.reserve(request(1))
    await payments.release(request(1).id, { wasSigned: true })
    await expect(payments.reserve(request(2))).rejects.toMatchObject({ code: 'OVER_TOTAL_LIMIT' })
    now = start + 61
    expect((await payments.reserve(request(2))).isNew).toBe(true)
  })

  test('nothing is taken over what was reserved', async () => {
    const payments = open()
    await payments.reserve(request(1))
    const over = payments.commit(request(1).id, { price: 101n, isGood: true })
    await expect(over).rejects.toMatchObject({ code: 'PRICE_OVER_CAP' })
    expect(await payments.list()).toMatchObject([{ state: 'reserved', price: null }])
  })

  test('or taken stays so', async () => {
    const payments = open()
    await payments.reserve(request(1))
    await payments.commit(request(1).id, { price: 1n, isGood: true })
    await expect(payments.release(request(1).id, { wasSigned: false })).rejects.toMatchObject({
      code: 'STATE_CONFLICT',
    })
    await expect(payments.commit(request(2).id, { price: 1n, isGood: true })).rejects.toMatchObject({
      code: 'STATE_CONFLICT',
    })
  })
})

describe('spending stops', () => {
  const pay = async (number: number, isGood: boolean) => {
    await open().reserve(request(number, 1n))
    await open().commit(request(number).id, { price: 1n, isGood })
  }

  test('after three paid failures in a row, for every client of the store', async () => {
    for (const [number, isGood] of [false, false, true, false, false].entries()) await pay(number, isGood)
    await pay(9, false)
    expect(await breaker()).toMatchObject({ failures: 3, stopped: { reason: 'failures', count: 3, at: start } })
    await expect(open({}, 'other').reserve(request(10))).rejects.toMatchObject({ code: 'SPENDING_STOPPED' })
  })

  test('after two payments whose fate is unknown, and stays stopped when that is known later', async () => {
    const payments = open()
    await payments.reserve(request(1, 1n))
    await payments.reserve(request(2, 1n))
    now = start + 61
    await expect(payments.reserve(request(3, 1n))).rejects.toMatchObject({ code: 'SPENDING_STOPPED' })
    await payments.commit(request(1).id, { price: 1n, isGood: true })
    await payments.commit(request(2).id, { price: 1n, isGood: true })
    await expect(payments.reserve(request(3, 1n))).rejects.toMatchObject({ code: 'SPENDING_STOPPED' })
    await store.transaction((transaction) => transaction.putBreaker({ failures: 0, stopped: null, resumedAt: now }))
    expect((await payments.reserve(request(3, 1n))).isNew).toBe(true)
  })
})
