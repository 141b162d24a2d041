import { keccak256, sha256 } from '@lilypad-agents/protocol'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ClientStore, StoredJob, StoredQuote } from '../src/store/client-store.ts'
import type { StoredApproval } from '../src/wallet/approval.ts'
import { closedBreaker } from '../src/wallet/circuit-breaker.ts'
import type { StoredPayment } from '../src/wallet/stored-payment.ts'
import { createSampleBundle, sampleModule, sampleSigners } from './sample-bundle.ts'

const bundle = createSampleBundle()

/** A job as a client keeps it, told apart by a number. */
export function createStoredJob(number: number, changes: Partial<StoredJob> = {}): StoredJob {
  return {
    orderHash: keccak256(`order ${number}`),
    quoteId: keccak256(`quote ${number}`),
    order: bundle.order.order,
    signature: bundle.order.signature,
    grant: bundle.grant,
    ask: bundle.ask,
    module: sampleModule,
    inputs: bundle.inputs,
    auditSecret: sha256('secret'),
    state: 'ordered',
    reservation: null,
    delivery: null,
    verified: null,
    price: null,
    acknowledgement: null,
    acknowledgementSent: false,
    settlement: null,
    reason: null,
    orderedAt: 1_800_000_000,
    ...changes,
  }
}

const quote: StoredQuote = {
  quote: {
    quoteId: keccak256('quote 1'),
    module: 'sample',
    moduleVersion: bundle.order.order.moduleVersion,
    manifestDigest: sha256('manifest'),
    inputsDigest: bundle.order.order.inputsDigest,
    ask: bundle.ask,
    maxPrice: (1n << 128n) - 1n,
    expectedPrice: 0n,
    expectedSeconds: 1.5,
    startBy: 1,
    deliverBy: 2,
    expiresAt: 3,
  },
  module: sampleModule,
  inputs: bundle.inputs,
}
const whole = createStoredJob(2, {
  state: 'settled',
  reservation: bundle.reservation,
  delivery: bundle.delivery,
  verified: true,
  price: 1025n,
  acknowledgement: bundle.acknowledgement,
  acknowledgementSent: true,
  settlement: { transaction: sha256('transaction'), blockNumber: 7, price: 1025n },
  reason: { code: 'X', message: 'y' },
})

/** What every store of a client does, judged on an empty one. */
export function describeClientStore(name: string, open: () => ClientStore): void {
  describe(`a client store: ${name}`, () => {
    let store: ClientStore
    beforeEach(() => {
      store = open()
    })
    afterEach(() => store.close())

    test('is empty at first', async () => {
      await store.transaction((transaction) => {
        expect(transaction.listJobs()).toEqual([])
        expect(transaction.findJob(whole.orderHash)).toBeUndefined()
        expect(transaction.findJobByQuote(whole.quoteId)).toBeUndefined()
        expect(transaction.findQuote(quote.quote.quoteId)).toBeUndefined()
        expect(transaction.findLane(sha256('lane'))).toBeUndefined()
      })
      expect(await store.findBlob(sha256('blob'))).toBeUndefined()
    })

    test('gives back what was put, amounts and all', async () => {
      await store.transaction((transaction) => {
        transaction.putQuote(quote)
        transaction.putJob(whole)
        transaction.putLane(sha256('lane'), { jobs: 3, cumulativeAmount: 1n << 127n, recordsHash: sha256('records') })
      })
      await store.transaction((transaction) => {
        expect(transaction.findQuote(quote.quote.quoteId)).toEqual(quote)
        expect(transaction.findJob(whole.orderHash)).toEqual(whole)
        expect(transaction.findJobByQuote(whole.quoteId)).toEqual(whole)
        expect(transaction.findLane(sha256('lane'))).toEqual({
          jobs: 3,
          cumulativeAmount: 1n << 127n,
          recordsHash: sha256('records'),
        })
      })
    })

    test('returns what the work returns', async () => {
      expect(await store.transaction(() => 'answer')).toBe('answer')
    })

    test('undoes everything when the work throws, and goes on', async () => {
      await store.transaction((transaction) => {
        transaction.putJob(createStoredJob(1))
        transaction.next('nonce')
      })
      const failing = store.transaction((transaction) => {
        transaction.putQuote(quote)
        transaction.putJob(createStoredJob(1, { state: 'settled' }))
        transaction.putJob(createStoredJob(3))
        transaction.putLane(sha256('lane'), { jobs: 1, cumulativeAmount: 1n, recordsHash: sha256('x') })
        expect(transaction.next('nonce')).toBe(1)
        throw new RangeError('no')
      })
      await expect(failing).rejects.toThrow(new RangeError('no'))
      await store.transaction((transaction) => {
        expect(transaction.findQuote(quote.quote.quoteId)).toBeUndefined()
        expect(transaction.listJobs()).toEqual([createStoredJob(1)])
        expect(transaction.findLane(sha256('lane'))).toBeUndefined()
        expect(transaction.next('nonce')).toBe(1)
      })
    })

    test('counts up from 0 by name', async () => {
      const counted = await store.transaction(({ next }) => [next('a'), next('a'), next('b'), next('a')])
      expect(counted).toEqual([0, 1, 0, 2])
      expect(await store.transaction(({ next }) => next('a'))).toBe(3)
    })

    test('no two of many at once get the same number', async () => {
      const all = await Promise.all(Array.from({ length: 50 }, () => store.transaction(({ next }) => next('n'))))
      expect(all.sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, index) => index))
    })

    test('keeps its lane number', async () => {
      const first = await store.transaction(({ laneNumber }) => laneNumber())
      expect(await store.transaction(({ laneNumber, next }) => [next('lane'), laneNumber()])).toEqual([0, first])
      expect(first).toBeGreaterThanOrEqual(0)
      expect(first).toBeLessThan(2 ** 32)
    })

    test('gives a free lane to one job at a time, the lowest first', async () => {
      await store.transaction(({ putFreeLane }) => {
        for (const lane of [9, 7, 7, 8]) putFreeLane('ours', lane)
      })
      const take = (parties: string) => store.transaction(({ takeFreeLane }) => takeFreeLane(parties) ?? 'none')
      expect(await take('others')).toBe('none')
      expect([await take('ours'), await take('ours'), await take('ours'), await take('ours')]).toEqual([
        7,
        8,
        9,
        'none',
      ])
    })

    test('counts what was acknowledged of a job before its end', async () => {
      const zero = `0x${'0'.repeat(64)}` as const
      const step = {
        orderHash: zero,
        attempt: 1,
        chunks: 1,
        head: zero,
        inputUnits: 0,
        outputUnits: 1,
        meteredSeconds: 0,
        price: 5n,
      }
      const signature = `0x${'1'.repeat(130)}` as const
      const { payer, key, provider, solver, token, lane } = createStoredJob(1).order
      const voucher = { payer, key, provider, solver, token, lane, cumulativeAmount: 5n, jobs: 1, recordsHash: zero }
      const stepped = { step: { step, signature }, acknowledgement: { voucher, signature } }
      await store.transaction(({ putJob }) => {
        putJob(createStoredJob(1))
        putJob(createStoredJob(2, { step: stepped }))
      })
      expect(await store.transaction(({ findJob }) => findJob(createStoredJob(2).orderHash)?.step)).toEqual(stepped)
      const ledger = await store.transaction((transaction) => transaction.listLedger())
      expect(ledger.map(({ stepPrice }) => stepPrice)).toEqual([undefined, 5n])
    })

    test('lists jobs newest first; of one second, the one put last first', async () => {
      await store.transaction((transaction) => {
        transaction.putJob(createStoredJob(1, { orderedAt: 20 }))
        transaction.putJob(createStoredJob(2, { orderedAt: 10 }))
        transaction.putJob(createStoredJob(3, { orderedAt: 30 }))
        transaction.putJob(createStoredJob(4, { orderedAt: 20 }))
        transaction.putJob(createStoredJob(1, { orderedAt: 20, state: 'reserved' }))
      })
      const hashes = await store.transaction((transaction) => transaction.listJobs().map(({ orderHash }) => orderHash))
      expect(hashes).toEqual([3, 4, 1, 2].map((number) => createStoredJob(number).orderHash))
    })

    test('keeps the first quote of an id', async () => {
      await store.transaction((transaction) => {
        transaction.putQuote(quote)
        transaction.putQuote({ ...quote, quote: { ...quote.quote, expiresAt: 99 } })
        expect(transaction.findQuote(quote.quote.quoteId)).toEqual(quote)
      })
    })

    test('lets one quote be one job', async () => {
      await store.transaction((transaction) => transaction.putJob(createStoredJob(1)))
      const second = store.transaction((transaction) =>
        transaction.putJob(createStoredJob(2, { quoteId: createStoredJob(1).quoteId })),
      )
      await expect(second).rejects.toMatchObject({ code: 'QUOTE_USED' })
      expect(await store.transaction((transaction) => transaction.listJobs())).toHaveLength(1)
    })

    const payment: StoredPayment = {
      id: keccak256('payment'),
      payee: sampleSigners.stranger.address,
      purpose: 'a page',
      maxPrice: 5n,
      price: null,
      state: 'reserved',
      session: 'one',
      reservedAt: 20,
      validUntil: 30,
    }
    const approval: StoredApproval = {
      id: keccak256('quote 1'),
      maxPrice: (1n << 128n) - 1n,
      state: 'wanted',
      way: null,
      wantedAt: 3,
      left: 9n,
      decidedAt: null,
      validUntil: 9,
    }

    test('counts jobs and payments in one ledger, each with its session', async () => {
      await store.transaction((transaction) => {
        transaction.putJob(createStoredJob(1))
        transaction.putJob(createStoredJob(2, { session: 'two' }))
        transaction.putJob(createStoredJob(2, { session: 'two', state: 'running' }))
        transaction.putPayment(payment)
        transaction.putPayment({ ...payment, price: 4n, state: 'committed' })
      })
      const ledger = await store.transaction((transaction) => transaction.listLedger())
      expect(ledger.map(({ kind, session, state, price }) => [kind, session, state, price])).toEqual([
        ['job', undefined, 'ordered', null],
        ['job', 'two', 'running', null],
        ['payment', 'one', 'ordered', 4n],
      ])
    })

    test('keeps payments and approvals, the newest first', async () => {
      const other = { ...payment, id: keccak256('other'), reservedAt: 21 }
      const declined = { ...approval, id: keccak256('quote 2'), state: 'declined' as const, wantedAt: 2 }
      await store.transaction((transaction) => {
        expect(transaction.findPayment(payment.id)).toBeUndefined()
        expect(transaction.findApproval(approval.id)).toBeUndefined()
        for (const each of [payment, other]) transaction.putPayment(each)
        for (const each of [approval, declined]) transaction.putApproval(each)
      })
      await store.transaction((transaction) => {
        expect(transaction.listPayments()).toEqual([other, payment])
        expect(transaction.findPayment(payment.id)).toEqual(payment)
        expect(transaction.listApprovals()).toEqual([approval, declined])
        transaction.putApproval({ ...approval, state: 'approved', way: 'cli', decidedAt: 4 })
        expect(transaction.findApproval(approval.id)).toMatchObject({ state: 'approved', maxPrice: approval.maxPrice })
      })
    })

    test('a name is used once, by one of many, until it is forgotten', async () => {
      const use = (now: number) => store.transaction((transaction) => transaction.useOnce('nonce', 10, now))
      expect((await Promise.all([use(1), use(1), use(2)])).filter(Boolean)).toHaveLength(1)
      expect(await use(10)).toBe(false)
      expect(await use(11)).toBe(true)
    })

    test('keeps whether spending is stopped', async () => {
      expect(await store.transaction((transaction) => transaction.findBreaker())).toEqual(closedBreaker)
      const stopped = { failures: 3, stopped: { reason: 'failures' as const, count: 3, at: 5 }, resumedAt: 1 }
      await store.transaction((transaction) => transaction.putBreaker(stopped))
      expect(await store.transaction((transaction) => transaction.findBreaker())).toEqual(stopped)
    })

    test('forgets files that were last written before a time', async () => {
      const digest = sha256('file')
      await store.putBlob(digest, new TextEncoder().encode('file'))
      const now = Math.floor(Date.now() / 1000)
      expect(await store.forgetFiles(now - 60)).toBe(0)
      expect(await store.findBlob(digest)).toBeDefined()
      expect(await store.forgetFiles(now + 60)).toBe(1)
      expect(await store.findBlob(digest)).toBeUndefined()
    })

    test('forgets quotes that ended unused, and no other', async () => {
      const quoteOf = (number: number, expiresAt: number): StoredQuote => ({
        ...quote,
        quote: { ...quote.quote, quoteId: keccak256(`quote ${number}`), expiresAt },
      })
      await store.transaction((transaction) => {
        transaction.putQuote(quoteOf(1, 100))
        transaction.putQuote(quoteOf(2, 100))
        transaction.putQuote(quoteOf(3, 200))
        transaction.putJob(createStoredJob(2))
      })
      await store.forgetQuotes(200)
      const left = await store.transaction((transaction) =>
        [1, 2, 3].filter((number) => transaction.findQuote(keccak256(`quote ${number}`))),
      )
      expect(left).toEqual([2, 3])
    })

    test('keeps blobs by digest, byte for byte', async () => {
      const bytes = crypto.getRandomValues(new Uint8Array(60_000))
      await Promise.all([store.putBlob(sha256(bytes), bytes), store.putBlob(sha256(bytes), bytes)])
      await store.putBlob(sha256(''), new Uint8Array())
      const found = await store.findBlob(sha256(bytes))
      expect(Buffer.compare(found ?? Buffer.alloc(0), bytes)).toBe(0)
      expect(await store.findBlob(sha256(''))).toHaveLength(0)
    })

    test.each(['../../etc/passwd', '', '.', `0x${'AB'.repeat(32)}`, `0x${'ab'.repeat(31)}/.`])(
      'refuses %j as the digest of a blob',
      async (name) => {
        const digest = name as `0x${string}`
        await expect(store.putBlob(digest, new Uint8Array())).rejects.toMatchObject({ code: 'PATH_NOT_ALLOWED' })
        await expect(store.findBlob(digest)).rejects.toMatchObject({ code: 'PATH_NOT_ALLOWED' })
      },
    )
  })
}
