import { type Bytes32, type JobRecord, sha256, zeroAddress, zeroBytes32 } from '@lilypad-agents/protocol'
import { expect, test } from 'vitest'
import type { ChainLane } from '../chain/chain.ts'
import type { LaneEntry } from '../journal/journal.ts'
import { type LaneBacklog, planSettlement } from './plan-settlement.ts'

function backlog(
  name: string,
  jobs: number,
  options: { readonly from?: number; readonly versions?: number } = {},
): LaneBacklog {
  const { from = 0, versions = 1 } = options
  const entries = Array.from({ length: jobs - from }, (_, offset): LaneEntry => {
    const index = from + offset + 1
    const record: JobRecord = {
      orderHash: sha256(`${name} order ${index}`),
      receiptHash: sha256(`${name} receipt ${index}`),
      moduleVersion: sha256(`version ${index % versions}`),
      price: 10n,
      nonce: index - 1,
    }
    const recordsHash = sha256(`${name} records ${index}`)
    const voucher = {
      payer: zeroAddress,
      key: zeroAddress,
      provider: zeroAddress,
      solver: zeroAddress,
      token: zeroAddress,
      lane: 0,
      cumulativeAmount: BigInt(index) * 10n,
      jobs: index,
      recordsHash,
    }
    return { index, record, recordsHash, acknowledgement: { voucher, signature: zeroBytes32 } }
  })
  return {
    laneId: sha256(name),
    jobs,
    entries,
    previousRecordsHash: from === 0 ? zeroBytes32 : sha256(`${name} records ${from}`),
  }
}
const chainOf = (...lanes: readonly (readonly [string, number])[]): ReadonlyMap<Bytes32, ChainLane> =>
  new Map(
    lanes.map(([name, jobs]) => [
      sha256(name),
      { settledJobs: jobs, settledAmount: BigInt(jobs) * 10n, nextNonce: jobs },
    ]),
  )
const shape = (plan: ReturnType<typeof planSettlement>) =>
  plan.batches.map((batch) =>
    batch.map(({ settlement }) => `${settlement.records.length} up to ${settlement.acknowledgement.voucher.jobs}`),
  )

test('sends a new lane from its beginning, with its newest voucher', () => {
  const plan = planSettlement([backlog('a', 3)], chainOf(['a', 0]))
  expect(shape(plan)).toEqual([['3 up to 3']])
  expect(plan.batches[0]?.[0]?.settlement.previousRecordsHash).toBe(zeroBytes32)
})

test('sends what the chain lacks, and nothing that it has', () => {
  const plan = planSettlement([backlog('a', 5)], chainOf(['a', 2]))
  expect(shape(plan)).toEqual([['3 up to 5']])
  expect(plan.batches[0]?.[0]?.settlement.previousRecordsHash).toBe(sha256('a records 2'))
  expect(planSettlement([backlog('a', 5, { from: 2 })], chainOf(['a', 2]))).toEqual(plan)
})

test('sends nothing when the chain has all, nor before the chain has answered', () => {
  expect(planSettlement([backlog('a', 5), backlog('b', 1)], chainOf(['a', 5]))).toEqual({
    batches: [],
    settled: [sha256('a')],
    broken: [],
  })
})

test('sends again what a reorganisation took back', () => {
  expect(shape(planSettlement([backlog('a', 5)], chainOf(['a', 5])))).toEqual([])
  expect(shape(planSettlement([backlog('a', 5)], chainOf(['a', 4])))).toEqual([['1 up to 5']])
  expect(shape(planSettlement([backlog('a', 5)], chainOf(['a', 0])))).toEqual([['5 up to 5']])
})

test('puts many lanes into one transaction, and starts another when it is full', () => {
  const lanes = ['a', 'b', 'c', 'd'].map((name) => backlog(name, 2))
  const chain = chainOf(['a', 0], ['b', 1], ['c', 0], ['d', 0])
  expect(shape(planSettlement(lanes, chain))).toEqual([['2 up to 2', '1 up to 2', '2 up to 2', '2 up to 2']])
  expect(shape(planSettlement(lanes, chain, { maxRecords: 4, maxLanes: 200 }))).toEqual([
    ['2 up to 2', '1 up to 2'],
    ['2 up to 2', '2 up to 2'],
  ])
  expect(shape(planSettlement(lanes, chain, { maxRecords: 1000, maxLanes: 3 }))).toEqual([
    ['2 up to 2', '1 up to 2', '2 up to 2'],
    ['2 up to 2'],
  ])
})

test('cuts a long lane at an older voucher', () => {
  expect(shape(planSettlement([backlog('a', 9)], chainOf(['a', 1]), { maxRecords: 4, maxLanes: 200 }))).toEqual([
    ['4 up to 5'],
  ])
})

test('keeps to the number of module versions that the vault takes', () => {
  expect(shape(planSettlement([backlog('a', 300, { versions: 300 })], chainOf(['a', 0])))).toEqual([['256 up to 256']])
})

test.each([
  ['the journal was lost', backlog('a', 2), chainOf(['a', 3]), 'the chain has settled 3 jobs, the journal knows 2'],
  ['the journal has a hole', backlog('a', 5, { from: 4 }), chainOf(['a', 2]), 'the journal has no record of job 3'],
  [
    'the sums differ',
    backlog('a', 3),
    new Map([[sha256('a'), { settledJobs: 1, settledAmount: 11n, nextNonce: 1 }]]),
    'the chain has settled 11, the journal says 10 for the same jobs',
  ],
] as const)('leaves a lane alone when %s, and settles the others', (_name, lane, chain, reason) => {
  const plan = planSettlement([lane, backlog('b', 1)], new Map([...chain, ...chainOf(['b', 0])]))
  expect(plan.broken).toEqual([{ laneId: lane.laneId, reason }])
  expect(shape(plan)).toEqual([['1 up to 1']])
})
