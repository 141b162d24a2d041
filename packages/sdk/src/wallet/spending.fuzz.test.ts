import { type Bytes32, LilypadError } from '@lilypad-agents/protocol'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { countingSigner, standInNetwork, standInQuote, standInRpc, standInSolver } from '../../test/stand-in-market.ts'
import { createLilypad } from '../job/create-lilypad.ts'
import { memoryStore } from '../store/memory-store.ts'
import type { SpendingPolicy } from './spending-policy.ts'

const sequences = 10_000
const start = 1_800_000_000

beforeAll(() => void vi.stubGlobal('fetch', standInRpc()))
afterAll(() => void vi.unstubAllGlobals())

const amount = fc.oneof(
  { weight: 9, arbitrary: fc.bigInt({ min: 0n, max: 6n }) },
  { weight: 1, arbitrary: fc.constantFrom(13n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 64n, 2n ** 127n, 2n ** 128n - 1n) },
)
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('run' as const),
      maxPrice: amount,
      client: fc.nat(1),
      isLost: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('again' as const), at: fc.nat(), client: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('together' as const), maxPrice: amount }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('pay' as const), maxPrice: amount, client: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cancel' as const), at: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('finish' as const), at: fc.nat(), percent: fc.nat(100) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('wait' as const),
      seconds: fc.constantFrom(1, 599, 601, 3599, 3600, 86_399, 86_400),
    }),
  },
)
const policyOf = fc.record({
  perJob: fc.bigInt({ min: 2n, max: 12n }),
  perDay: fc.bigInt({ min: 1n, max: 40n }),
  total: fc.bigInt({ min: 1n, max: 60n }),
  perSession: fc.bigInt({ min: 1n, max: 30n }),
  jobsPerHour: fc.integer({ min: 1, max: 8 }),
  concurrentJobs: fc.integer({ min: 1, max: 5 }),
})
/** What was signed, as the test itself keeps it. */
type Signed = {
  readonly client: number
  readonly kind: 'job' | 'payment'
  readonly maxPrice: bigint
  readonly at: number
  readonly deliverBy: number
  paid: bigint | undefined
  hasEnded: boolean
}

async function play(policy: SpendingPolicy, steps: readonly (typeof step extends fc.Arbitrary<infer S> ? S : never)[]) {
  let now = start
  let quotes = 0
  let isLost = false
  const signed = new Map<Bytes32, Signed>()
  const store = memoryStore()
  const solver = standInSolver(() => isLost)
  const signers = [countingSigner(), countingSigner()]
  const clients = [0, 1].map((client) =>
    createLilypad({
      ...{ network: standInNetwork, store, signer: signers[client] ?? countingSigner(), policy, fetch: solver.fetch },
      session: `client ${client}`,
      now: () => new Date(now * 1000),
    }),
  ) as [ReturnType<typeof createLilypad>, ReturnType<typeof createLilypad>]
  const hasCode = (error: unknown, ...codes: string[]) => {
    if (!LilypadError.is(error) || !codes.some((code) => error.code.startsWith(code))) throw error
  }
  const quote = (maxPrice: bigint) => {
    const stored = standInQuote(quotes++, { maxPrice, deliverBy: now + 600, expiresAt: now + 300 })
    return store.transaction((transaction) => {
      transaction.putQuote(stored)
      return stored.quote.quoteId
    })
  }
  const note = async (quoteId: Bytes32) => {
    const job = await store.transaction((transaction) => transaction.findJobByQuote(quoteId))
    if (!job || signed.has(job.orderHash)) return
    // Whose key signed it; of two at once, one only.
    const by = signers.flatMap((signer, index) => (signer.signed.includes(job.orderHash) ? [index] : []))
    expect(by).toHaveLength(1)
    const [client = 0] = by
    const { maxPrice, deliverBy } = job.order
    signed.set(job.orderHash, { client, kind: 'job', maxPrice, at: now, deliverBy, paid: undefined, hasEnded: false })
  }
  const run = async (quoteId: Bytes32, client: 0 | 1) => {
    await clients[client]
      .order(quoteId)
      .catch((error) => hasCode(error, 'OVER_', 'SOLVER_UNREACHABLE', 'QUOTE_EXPIRED'))
    await note(quoteId)
  }
  const open = (kind: Signed['kind']) =>
    [...signed].filter(([, entry]) => entry.kind === kind && entry.paid === undefined && !entry.hasEnded)

  for (const next of steps) {
    if (next.kind === 'wait') now += next.seconds
    if (next.kind === 'run') {
      isLost = next.isLost
      await run(await quote(next.maxPrice), next.client as 0 | 1)
      isLost = false
    }
    if (next.kind === 'again') {
      const ids = await store.transaction((transaction) => transaction.listJobs().map(({ quoteId }) => quoteId))
      const [quoteId] = ids.slice(next.at % Math.max(1, ids.length))
      if (quoteId) await run(quoteId, next.client as 0 | 1)
    }
    if (next.kind === 'together') {
      // Both clients at once: the same quote, and one of their own each.
      const shared = await quote(next.maxPrice)
      const [one, two] = [await quote(next.maxPrice), await quote(next.maxPrice)]
      const order = (client: 0 | 1, id: Bytes32) => clients[client].order(id).catch((error) => hasCode(error, 'OVER_'))
      await Promise.all([order(0, shared), order(1, shared), order(0, one), order(1, two)])
      for (const id of [shared, one, two]) await note(id)
    }
    if (next.kind === 'pay') {
      const id = standInQuote(quotes++, {}).quote.quoteId
      const request = {
        id,
        payee: standInNetwork.contracts.jobClaims,
        purpose: 'fuzz',
        maxPrice: next.maxPrice,
        validUntil: now + 60,
      }
      const client = next.client as 0 | 1
      const reserved = await clients[client].payments.reserve(request).catch((error) => hasCode(error, 'OVER_'))
      const { maxPrice } = next
      if (reserved)
        signed.set(id, {
          client,
          kind: 'payment',
          maxPrice,
          at: now,
          deliverBy: now + 60,
          paid: undefined,
          hasEnded: false,
        })
    }
    if (next.kind === 'cancel') {
      const jobs = open('job')
      const [found] = jobs.slice(next.at % Math.max(1, jobs.length))
      if (found) {
        await clients[0].cancel(found[0])
        found[1].hasEnded = true
      }
    }
    if (next.kind === 'finish') {
      const entries = [...open('job'), ...open('payment')]
      const [found] = entries.slice(next.at % Math.max(1, entries.length))
      if (found) {
        const [id, entry] = found
        const price = (entry.maxPrice * BigInt(next.percent)) / 100n
        entry.paid = price
        if (entry.kind === 'payment') await clients[0].payments.commit(id, { price, isGood: true })
        else
          await store.transaction((transaction) => {
            const job = transaction.findJob(id)
            if (job) transaction.putJob({ ...job, price, state: 'settled' })
          })
      }
    }
    assertWithin()
  }

  /** What may have been paid at most for an entry at a time. */
  function exposure({ paid, hasEnded, deliverBy, maxPrice }: Signed): bigint {
    return paid ?? (hasEnded && now > deliverBy ? 0n : maxPrice)
  }
  function assertWithin(): void {
    const all = [...signed.values()]
    const sum = (entries: readonly Signed[]) => entries.reduce((total, entry) => total + exposure(entry), 0n)
    const isOver = {
      job: all.some(({ maxPrice }) => maxPrice > policy.perJob),
      total: sum(all) > policy.total,
      day: sum(all.filter(({ at }) => at > now - 86_400)) > policy.perDay,
      session: [0, 1].some((client) => sum(all.filter((entry) => entry.client === client)) > (policy.perSession ?? 0n)),
      hour: all.filter(({ at }) => at > now - 3600).length > (policy.jobsPerHour ?? 0),
      open:
        all.filter(
          ({ kind, paid, hasEnded, deliverBy }) =>
            kind === 'job' && paid === undefined && !hasEnded && now <= deliverBy,
        ).length > (policy.concurrentJobs ?? 0),
    }
    expect(Object.entries(isOver).filter(([, is]) => is)).toEqual([])
  }

  // Every order that reached the solver is one that the ledger has, and amounts were never anything but integers.
  const kept = await store.transaction((transaction) => transaction.listJobs())
  expect(kept.map(({ orderHash }) => orderHash).sort()).toEqual(
    [...signed]
      .filter(([, { kind }]) => kind === 'job')
      .map(([id]) => id)
      .sort(),
  )
  for (const orderHash of solver.orders.keys()) expect(signed.has(orderHash)).toBe(true)
  expect(
    kept.every(
      ({ order, price }) => typeof order.maxPrice === 'bigint' && (price === null || typeof price === 'bigint'),
    ),
  ).toBe(true)
  return signed.size
}

test(`M3: ${sequences} sequences of quotes, runs, payments, lost answers and cancellations by two clients pass no limit`, async () => {
  let orders = 0
  await fc.assert(
    fc.asyncProperty(policyOf, fc.array(step, { minLength: 3, maxLength: 12 }), async (policy, steps) => {
      orders += await play(policy, steps)
    }),
    { numRuns: sequences },
  )
  // Sequences in which nothing is ever signed would prove nothing.
  expect(orders).toBeGreaterThan(sequences)
}, 180_000)
