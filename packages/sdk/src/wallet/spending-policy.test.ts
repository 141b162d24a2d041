import type { JobState } from '@lilypad-agents/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { assertWithinPolicy, countedSpend, type LedgerEntry, OverLimitError, sumSpend } from './spending-policy.ts'

const policy = { perJob: 100n, perDay: 250n, total: 400n }
const now = 1_800_000_000
const entry = (maxPrice: bigint, changes: Partial<LedgerEntry> = {}): LedgerEntry => ({
  maxPrice,
  price: null,
  state: 'ordered',
  orderedAt: now,
  deliverBy: now + 600,
  ...changes,
})
const decide = (ledger: readonly LedgerEntry[], maxPrice: bigint, modules?: readonly string[]) => {
  try {
    const limits = modules ? { ...policy, modules } : policy
    assertWithinPolicy({ policy: limits, ledger, maxPrice, module: 'tts', nowSeconds: now })
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

test('only modules that the owner named', () => {
  expect(decide([], 1n, ['tts'])).toBe('signed')
  expect(decide([], 1n, ['ocr'])).toBe('MODULE_NOT_ALLOWED')
  expect(decide([], 1n, [])).toBe('MODULE_NOT_ALLOWED')
})

test('the error says the limit, what it would have been, and that nothing was charged', () => {
  const decision = () =>
    assertWithinPolicy({ policy, ledger: [entry(200n)], maxPrice: 90n, module: 'tts', nowSeconds: now })
  expect(decision).toThrow(OverLimitError)
  expect(decision).toThrow(/Limit: 250 {3}With this order: 290 {3}Setting: max-per-day\n {2}Charged: none/)
})

test('a job counts its maximum until its price is known', () => {
  const states: readonly JobState[] = ['ordered', 'reserved', 'running', 'delivered', 'disputed']
  for (const state of states) expect(countedSpend(entry(7n, { state, deliverBy: 0 }), now)).toBe(7n)
  for (const state of ['declined', 'expired', 'failed', 'refunded'] as const) {
    expect(countedSpend(entry(7n, { state, deliverBy: now - 1 }), now)).toBe(0n)
    expect(countedSpend(entry(7n, { state, deliverBy: now }), now)).toBe(7n)
  }
  expect(sumSpend([entry(7n), entry(5n, { orderedAt: 0 })], now)).toEqual({ day: 7n, total: 12n })
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
            assertWithinPolicy({ policy, ledger: jobs, maxPrice: next.maxPrice, module: 'tts', nowSeconds: time })
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
