import { sha256 } from '@lilypad-agents/protocol'
import { expect, test } from 'vitest'
import { claimBy, planClaims } from './plan-claims.ts'

const grace = 21_600
const policy = { afterSeconds: 3600, marginSeconds: 1800, maxBatch: 3, notWorthPrice: 10n }
const job = (
  name: string,
  change: { price?: bigint; deliverBy?: number; finishedAt?: number; stepPrice?: bigint } = {},
) => ({
  orderHash: sha256(name),
  price: 100n,
  deliverBy: 10_000,
  finishedAt: 5000,
  stepPrice: 0n,
  ...change,
})
const last = 10_000 + grace
const plan = (now: number, ...jobs: ReturnType<typeof job>[]) => {
  const { due, missed } = planClaims({ jobs, now, claimGraceSeconds: grace, policy })
  return { due: due.map(({ orderHash }) => orderHash), missed: missed.map(({ orderHash }) => orderHash) }
}
const [a, b, c] = [sha256('a'), sha256('b'), sha256('c')]

test.each<[string, ReturnType<typeof plan>, ReturnType<typeof plan>]>([
  ['waits for the payer', plan(8599, job('a')), { due: [], missed: [] }],
  ['waits for a batch, or until it has to', plan(8600, job('a'), job('b')), { due: [], missed: [] }],
  ['claims a full batch', plan(8600, job('a'), job('b'), job('c')), { due: [a, b, c], missed: [] }],
  ['claims in time', plan(last - 1800, job('a')), { due: [a], missed: [] }],
  ['is not late a second before', plan(last - 1801, job('a')), { due: [], missed: [] }],
  [
    'takes along what may be claimed, the dearest first',
    plan(
      last - 1800,
      job('a'),
      job('b', { price: 300n, deliverBy: 90_000 }),
      job('c', { deliverBy: 90_000, finishedAt: last }),
    ),
    { due: [b, a], missed: [] },
  ],
  [
    'leaves what is not worth its gas',
    plan(last - 1800, job('a', { price: 10n }), job('b', { price: 11n })),
    { due: [b], missed: [] },
  ],
  ['can still claim in the last second', plan(last, job('a')), { due: [a], missed: [] }],
  ['gives up what is too late', plan(last + 1, job('a'), job('b', { price: 1n })), { due: [], missed: [a, b] }],
])('%s', (_name, planned, expected) => expect(planned).toEqual(expected))

test.each<[string, number, bigint, readonly string[], readonly string[]]>([
  ['is claimed where the rest is worth it', last - 1800, 89n, [a], []],
  ['is paid by its last step where the rest is not worth it', last - 1800, 90n, [], [a]],
  ['is left alone while its payer may still come', 8599, 90n, [], []],
  ['is not paid by a step that there is not', last - 1800, 0n, [a], []],
])('a job paid in steps %s', (_name, now, stepPrice, due, stepped) => {
  const planned = planClaims({ jobs: [job('a', { stepPrice })], now, claimGraceSeconds: grace, policy })
  expect(planned.due.map(({ orderHash }) => orderHash)).toEqual(due)
  expect(planned.stepped.map(({ orderHash }) => orderHash)).toEqual(stepped)
})

test('a margin longer than the grace leaves half of it', () => {
  expect(claimBy({ deliverBy: 1000 }, { claimGraceSeconds: 300, marginSeconds: 1800 })).toBe(1150)
})
