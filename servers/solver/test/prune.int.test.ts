import { join } from 'node:path'
import { type Bytes32, receiptType } from '@lilypad-agents/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openDatabase } from '../src/db/open-database.ts'
import { jobEvents, jobFiles, jobs, reservations } from '../src/db/schema.ts'
import { createJobMemory } from '../src/job/job-memory.ts'
import { pruneJobs } from '../src/job/prune-jobs.ts'
import { actors, createDelivery, createOrder, domain } from './fixtures.ts'
import { connectProvider, createLane, deliver, type Harness, startHarness, testConfig, until } from './harness.ts'

let harness: Harness

beforeAll(async () => {
  harness = await startHarness({ acknowledgeWithinSeconds: 1 })
})
afterAll(() => harness.close())

/** Places one job of each kind, and gives their order hashes by how they end. */
async function placeJobs() {
  const { client, chain, url } = harness
  const provider = await connectProvider(url)
  const voucherLane = createLane()
  let nonce = 0
  const place = async () => {
    const parts = createOrder({ change: { lane: 7, nonce: nonce++ } })
    await client.postOrder(parts.request)
    return parts
  }
  const acknowledge = async () => {
    const parts = await place()
    const delivery = await deliver(url, provider, parts)
    await client.acknowledge(parts.orderHash, voucherLane.next(parts.order, delivery))
    await provider.take('acknowledgement', parts.orderHash)
    provider.send({ type: 'acknowledged', orderHash: parts.orderHash })
    return { ...parts, delivery }
  }
  const paid = await acknowledge()
  chain.settle({
    orderHash: paid.orderHash,
    receiptHash: receiptType.hash(domain, paid.delivery.receipt),
    price: paid.delivery.receipt.price,
    payer: actors.payer.address,
    provider: actors.provider.address,
  })
  const unpaid = await acknowledge()
  const unacknowledged = await place()
  await deliver(url, provider, unacknowledged, createDelivery(unacknowledged))
  const declined = await place()
  await provider.take('order', declined.orderHash)
  provider.send({ type: 'declined', orderHash: declined.orderHash, code: 'JOB_DECLINED', reason: 'busy' })
  const open = await place()
  const hashes: Record<string, Bytes32> = {
    paid: paid.orderHash,
    unpaid: unpaid.orderHash,
    unacknowledged: unacknowledged.orderHash,
    declined: declined.orderHash,
    open: open.orderHash,
  }
  const stateOf = async (name: string) => (await client.getJob(hashes[name] ?? '0x', actors.payer)).state
  await until(async () => (await stateOf('paid')) === 'settled' && (await stateOf('declined')) === 'declined')
  await until(async () => (await stateOf('unacknowledged')) === 'expired')
  await provider.close()
  return hashes
}

test('jobs that ended long ago are forgotten, with all that belongs to them; those somebody may be owed for never', async () => {
  const hashes = await placeJobs()
  const config = testConfig(harness.stateDir)
  await harness.stop()
  const { database, tidy, close } = await openDatabase({
    directory: join(harness.stateDir, 'solver', 'db'),
    databaseUrl: config.databaseUrl,
    tidyBytes: 0,
  })
  const list = async () => {
    const known = new Set<string>(
      (await database.select({ orderHash: jobs.orderHash }).from(jobs)).map((row) => row.orderHash),
    )
    return Object.keys(hashes).filter((name) => known.has(hashes[name] ?? ''))
  }
  const memory = createJobMemory({ isSoleWriter: true })
  const now = Math.floor(Date.now() / 1000)
  try {
    await tidy()
    expect(await pruneJobs({ database, memory }, { endedBefore: now - 3600 })).toBe(0)
    expect(await list()).toEqual(['paid', 'unpaid', 'unacknowledged', 'declined', 'open'])
    expect(await pruneJobs({ database, memory }, { endedBefore: now + 3600 })).toBe(2)
    expect(await list()).toEqual(['unpaid', 'unacknowledged', 'open'])
    for (const table of [jobEvents, jobFiles, reservations]) {
      const left = await database.select({ orderHash: table.orderHash }).from(table)
      expect(left.filter(({ orderHash }) => [hashes.paid, hashes.declined].includes(orderHash))).toEqual([])
    }
    await tidy()
    expect(await list()).toHaveLength(3)
  } finally {
    await close()
  }
})
