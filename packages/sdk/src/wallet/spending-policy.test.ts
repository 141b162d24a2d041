import type { JobState } from '@lilypad-agents/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  assertWithinPolicy,
  budgetLeft,
  countedSpend,
  isPaymentUnknown,
  type LedgerEntry,
  OverLimitError,
  type Spending,
  type SpendingPolicy,
  sumSpend,
} from './spending-policy.ts'

const policy = { perJob: 100n, perDay: 250n, total: 400n }
const now = 1_800_000_000
const entry = (maxPrice: bigint, changes: Partial<LedgerEntry> = {}): LedgerEntry => ({
  kind: 'job',
  maxPrice,
  price: null,
  state: 'ordered',
  orderedAt: now,
  deliverBy: now + 600,
  ...changes,
})
const decide = (
  ledger: readonly LedgerEntry[],
  maxPrice: bigint,
  limits: Partial<SpendingPolicy> = {},
  what: Partial<Spending> = {},
) => {
  try {
    const spending = { kind: 'job' as const, maxPrice, module: 'tts', ...what }
    assertWithinPolicy({ policy: { ...policy, ...limits }, ledger, spending, nowSeconds: now })
    return 'signed'
  } catch (error) {
    return (error as OverLimitError).code
  }
}

test.each<[string, readonly LedgerEntry[], bigint, string]>([
  ['nothing spent', [], 100n, 'signed'],
  ['over one job', [], 101n, 'OVER_JOB_LIMIT'],
  ['up to the day', [entry(100n), entry(50n)], 100n, 'signed'],
  ['over the day', [entry(100n), entry(51n)], 100n, 'OVER_DAY_LIMIT'],
  ['the day before is over', [entry(250n, { orderedAt: now - 86_400 })], 100n, 'signed'],
  ['the day before is not quite over', [entry(250n, { orderedAt: now - 86_399 })], 100n, 'OVER_DAY_LIMIT'],
  ['over all time', [entry(301n, { orderedAt: 0, price: 301n })], 100n, 'OVER_TOTAL_LIMIT'],
  ['a job that was cheaper than its maximum', [entry(250n, { price: 10n, state: 'settled' })], 100n, 'signed'],
  ['a job that never ran and still could', [entry(250n, { state: 'expired' })], 100n, 'OVER_DAY_LIMIT'],
  ['a job that never ran and no longer can', [entry(250n, { state: 'expired', deliverBy: now - 1 })], 100n, 'signed'],
  ['a free job', [entry(250n)], 0n, 'signed'],
])('%s', (_, ledger, maxPrice, expected) => expect(decide(ledger, maxPrice)).toBe(expected))

const [alice, bob] = [`0x${'a1'.repeat(20)}`, `0x${'b0'.repeat(20)}`] as const

test.each<[string, Partial<SpendingPolicy>, Partial<Spending>, string]>([
  ['a module that is named', { modules: ['tts'] }, {}, 'signed'],
  ['a module that is not named', { modules: ['ocr'] }, {}, 'MODULE_NOT_ALLOWED'],
  ['no module is named', { modules: [] }, {}, 'MODULE_NOT_ALLOWED'],
  [
    'a payment for no module, where modules are named',
    { modules: ['tts'] },
    { module: undefined },
    'MODULE_NOT_ALLOWED',
  ],
  ['a denied module', { deniedModules: ['tts'] }, {}, 'MODULE_NOT_ALLOWED'],
  ['a module that is named and denied', { modules: ['tts'], deniedModules: ['tts'] }, {}, 'MODULE_NOT_ALLOWED'],
  ['another module is denied', { deniedModules: ['ocr'] }, {}, 'signed'],
  ['a publisher that is named', { publishers: [alice] }, { publisher: alice }, 'signed'],
  ['a publisher that is not named', { publishers: [alice] }, { publisher: bob }, 'PUBLISHER_NOT_ALLOWED'],
  ['an unknown publisher, where some are named', { publishers: [alice] }, {}, 'PUBLISHER_NOT_ALLOWED'],
  ['a denied publisher', { deniedPublishers: [bob] }, { publisher: bob }, 'PUBLISHER_NOT_ALLOWED'],
  [
    'a publisher that is named and denied',
    { publishers: [bob], deniedPublishers: [bob] },
    { publisher: bob },
    'PUBLISHER_NOT_ALLOWED',
  ],
  ['an unknown publisher, where some are denied', { deniedPublishers: [bob] }, {}, 'PUBLISHER_NOT_ALLOWED'],
  ['another publisher is denied', { deniedPublishers: [bob] }, { publisher: alice }, 'signed'],
])('%s', (_, limits, what, expected) => expect(decide([], 1n, limits, what)).toBe(expected))

const own = { session: 'own' }
test.each<[string, readonly LedgerEntry[], bigint, Partial<SpendingPolicy>, Partial<Spending>, string]>([
  ['up to the session', [entry(60n, own)], 40n, { perSession: 100n }, own, 'signed'],
  ['over the session', [entry(60n, own)], 41n, { perSession: 100n }, own, 'OVER_SESSION_LIMIT'],
  [
    'what other sessions spent',
    [entry(60n, { session: 'other' }), entry(9n)],
    100n,
    { perSession: 100n },
    own,
    'signed',
  ],
  [
    'the session outlasts the day',
    [entry(60n, { ...own, orderedAt: now - 90_000 })],
    41n,
    { perSession: 100n },
    own,
    'OVER_SESSION_LIMIT',
  ],
  ['up to the hour', [entry(1n)], 1n, { jobsPerHour: 2 }, {}, 'signed'],
  [
    'over the hour',
    [entry(1n), entry(0n, { kind: 'payment', price: 0n })],
    1n,
    { jobsPerHour: 2 },
    {},
    'OVER_HOUR_LIMIT',
  ],
  ['the hour before is over', [entry(1n, { orderedAt: now - 3600 }), entry(1n)], 1n, { jobsPerHour: 2 }, {}, 'signed'],
  ['no job in an hour', [], 0n, { jobsPerHour: 0 }, {}, 'OVER_HOUR_LIMIT'],
  ['up to what may be open', [entry(1n)], 1n, { concurrentJobs: 2 }, {}, 'signed'],
  ['over what may be open', [entry(1n), entry(1n)], 1n, { concurrentJobs: 2 }, {}, 'OVER_CONCURRENT_LIMIT'],
  [
    'a paid job is not open',
    [entry(1n), entry(1n, { price: 1n, state: 'settled' })],
    1n,
    { concurrentJobs: 2 },
    {},
    'signed',
  ],
  [
    'a declined job is not open',
    [entry(1n), entry(1n, { state: 'declined' })],
    1n,
    { concurrentJobs: 2 },
    {},
    'signed',
  ],
  ['nobody can deliver it any more', [entry(1n, { deliverBy: now - 1 })], 1n, { concurrentJobs: 1 }, {}, 'signed'],
  ['a payment is no job', [entry(1n)], 1n, { concurrentJobs: 1 }, { kind: 'payment' }, 'signed'],
  ['a payment that is open is no job', [entry(1n, { kind: 'payment' })], 1n, { concurrentJobs: 1 }, {}, 'signed'],
  ['a payment over the day', [entry(200n)], 51n, {}, { kind: 'payment' }, 'OVER_DAY_LIMIT'],
])('%s: %#', (_, ledger, maxPrice, limits, what, expected) =>
  expect(decide(ledger, maxPrice, limits, what)).toBe(expected),
)

test('what may still be spent is what the tightest limit leaves, and never less than nothing', () => {
  const left = (changes: Partial<SpendingPolicy>, ledger: readonly LedgerEntry[] = []) =>
    budgetLeft({ ...policy, ...changes }, sumSpend(ledger, now, 'own'))
  expect(left({})).toBe(250n)
  expect(left({ total: 40n })).toBe(40n)
  expect(left({ perSession: 30n }, [entry(20n, own), entry(5n)])).toBe(10n)
  expect(left({}, [entry(300n)])).toBe(0n)
})

test('a payment is unknown when it could no longer be taken and nobody said what became of it', () => {
  expect(isPaymentUnknown(entry(1n, { deliverBy: now }), now)).toBe(false)
  expect(isPaymentUnknown(entry(1n, { deliverBy: now - 1 }), now)).toBe(true)
  expect(isPaymentUnknown(entry(1n, { deliverBy: now - 1, price: 1n }), now)).toBe(false)
  expect(isPaymentUnknown(entry(1n, { deliverBy: now - 1, state: 'expired' }), now)).toBe(false)
})

test('the error says the limit, what it would have been, and that nothing was charged', () => {
  const decision = () =>
    assertWithinPolicy({ policy, ledger: [entry(200n)], spending: { kind: 'job', maxPrice: 90n }, nowSeconds: now })
  expect(decision).toThrow(OverLimitError)
  expect(decision).toThrow(
    /Limit: 0\.00000000000000025 LILY {3}With this order: 0\.00000000000000029 LILY {3}Setting: max-per-day\n {2}Charged: none/,
  )
})

test('a job counts its maximum until its price is known', () => {
  const states: readonly JobState[] = ['ordered', 'reserved', 'running', 'delivered', 'disputed']
  for (const state of states) expect(countedSpend(entry(7n, { state, deliverBy: 0 }), now)).toBe(7n)
  for (const state of ['declined', 'expired', 'failed', 'refunded'] as const) {
    expect(countedSpend(entry(7n, { state, deliverBy: now - 1 }), now)).toBe(0n)
    expect(countedSpend(entry(7n, { state, deliverBy: now }), now)).toBe(7n)
  }
  expect(sumSpend([entry(7n), entry(5n, { orderedAt: 0 })], now)).toEqual({
    day: 7n,
    total: 12n,
    session: 0n,
    hourJobs: 1,
    openJobs: 2,
  })
})

describe('whatever is asked, in whatever order', () => {
  type Job = LedgerEntry & { readonly id: number }
  const step = fc.oneof(
    fc.record({ kind: fc.constant('order' as const), maxPrice: fc.bigInt({ min: 0n, max: 150n }) }),
    fc.record({ kind: fc.constant('wait' as const), seconds: fc.integer({ min: 1, max: 60_000 }) }),
    fc.record({ kind: fc.constant('finish' as const), at: fc.nat(), part: fc.integer({ min: 0, max: 100 }) }),
    fc.record({ kind: fc.constant('lapse' as const), at: fc.nat() }),
  )

  test('no job, no day and no life costs more than its limit', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let time = now
        let jobs: readonly Job[] = []
        const change = (at: number, update: (job: Job) => Job) => {
          const open = jobs.filter((job) => job.price === null && job.state === 'ordered')
          const chosen = open[at % Math.max(1, open.length)]
          if (chosen) jobs = jobs.map((job) => (job.id === chosen.id ? update(job) : job))
        }
        for (const next of steps) {
          if (next.kind === 'wait') time += next.seconds
          if (next.kind === 'finish')
            change(next.at, (job) => ({ ...job, price: (job.maxPrice * BigInt(next.part)) / 100n, state: 'settled' }))
          if (next.kind === 'lapse') change(next.at, (job) => ({ ...job, state: 'expired' }))
          if (next.kind !== 'order') continue
          try {
            assertWithinPolicy({
              policy,
              ledger: jobs,
              spending: { kind: 'job', maxPrice: next.maxPrice },
              nowSeconds: time,
            })
          } catch (error) {
            expect(error).toBeInstanceOf(OverLimitError)
            continue
          }
          jobs = [...jobs, { ...entry(next.maxPrice, { orderedAt: time, deliverBy: time + 600 }), id: jobs.length }]
        }
        // What can have been paid at most: the price, or the maximum of what was signed and did not lapse.
        const paid = (job: Job) => job.price ?? (job.state === 'expired' ? 0n : job.maxPrice)
        expect(jobs.reduce((sum, job) => sum + paid(job), 0n)).toBeLessThanOrEqual(policy.total)
        for (const job of jobs) {
          expect(job.maxPrice).toBeLessThanOrEqual(policy.perJob)
          const day = jobs.filter(({ orderedAt }) => orderedAt <= job.orderedAt && orderedAt > job.orderedAt - 86_400)
          expect(day.reduce((sum, other) => sum + paid(other), 0n)).toBeLessThanOrEqual(policy.perDay)
        }
      }),
      { numRuns: 500 },
    )
  })
})
