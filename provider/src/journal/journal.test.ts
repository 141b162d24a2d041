import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  appendRecord,
  type Bytes32,
  type Delivery,
  type JobManifest,
  jobPredicateType,
  laneId,
  type OrderRequest,
  sha256,
  type SignedReservation,
  zeroAddress,
  zeroBytes32,
} from '@lilypad-agents/protocol'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Journal, StateInUseError } from './journal.ts'

let folder: string
let journal: Journal
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lilypad-journal-'))
  journal = Journal.open(folder)
})
afterEach(() => {
  journal.close()
  rmSync(folder, { recursive: true, force: true })
})

const now = 1_800_000_000
const signature = `0x${'11'.repeat(65)}` as const
const address = (digit: string) => `0x${digit.repeat(40)}` as const

function request(
  nonce: number,
  options: { readonly maxPrice?: bigint; readonly key?: `0x${string}` } = {},
): OrderRequest {
  const { maxPrice = 100n, key = address('1') } = options
  const terms = { provider: address('2'), solver: address('3'), moduleVersion: sha256('module'), token: address('4') }
  return {
    order: {
      payer: address('1'),
      key,
      inputsDigest: zeroBytes32,
      askHash: zeroBytes32,
      maxPrice,
      lane: 0,
      nonce,
      startBy: now,
      deliverBy: now + 60,
      verification: 0,
      auditCommit: zeroBytes32,
      ...terms,
    },
    signature,
    grant: null,
    ask: {
      ask: {
        ...terms,
        pricePerJob: 1n,
        pricePerSecond: 0n,
        pricePerInputUnit: 0n,
        pricePerOutputUnit: 0n,
        slots: 1,
        validUntil: now,
        salt: zeroBytes32,
      },
      signature,
    },
    inputs: {},
  }
}
const reservation = (orderHash: Bytes32, sequence: number): SignedReservation => ({
  reservation: {
    orderHash,
    solver: address('3'),
    payer: address('1'),
    token: address('4'),
    sequence,
    previous: zeroBytes32,
    amount: 100n,
    outstanding: 100n,
    reservedAt: now,
  },
  signature,
})
function delivery(orderHash: Bytes32, price: bigint, status = 0): Delivery {
  const logs = {
    stdout: { bytes: 0, sha256: sha256(''), truncated: false },
    stderr: { bytes: 0, sha256: sha256(''), truncated: false },
  }
  const manifest: JobManifest = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [],
    predicateType: jobPredicateType,
    predicate: {
      orderHash,
      provider: address('2'),
      module: { name: 'pond', version: '1.0.0', id: sha256('module'), manifestDigest: zeroBytes32 },
      program: { sha256: zeroBytes32 },
      executor: { name: 'noop', isolation: {} },
      inputsDigest: zeroBytes32,
      outputs: [{ path: 'a.txt', bytes: 1, sha256: sha256(`output of ${orderHash}`) }],
      logs,
      outcome: { kind: 'exited', code: 0 },
      usage: { runMilliseconds: 1, meteredSeconds: 1, inputUnits: 0, outputUnits: 0, outputBytes: 1 },
      machine: {},
    },
  }
  const receipt = {
    orderHash,
    status,
    manifestDigest: zeroBytes32,
    outputsRoot: zeroBytes32,
    logsDigest: zeroBytes32,
    inputUnits: 0,
    outputUnits: 0,
    meteredSeconds: 1,
    price,
    startedAt: now,
    finishedAt: now,
  }
  return { receipt, signature, manifest, manifestSignature: signature }
}
const accept = (orderHash: Bytes32, nonce: number, options = {}) =>
  journal.accept({
    orderHash,
    request: request(nonce, options),
    reservation: reservation(orderHash, nonce + 1),
    reservationHash: sha256(`reservation ${nonce}`),
    now,
  })
const [one, two, three] = [sha256('one'), sha256('two'), sha256('three')]

function acknowledge(orderHash: Bytes32, nonce: number, price: bigint) {
  const { order } = request(nonce)
  const tip = journal.findLane(laneId(order)) ?? { jobs: 0, cumulativeAmount: 0n, recordsHash: zeroBytes32 }
  const record = {
    orderHash,
    receiptHash: sha256(`receipt ${nonce}`),
    moduleVersion: order.moduleVersion,
    price,
    nonce,
  }
  const { payer, key, provider, solver, token, lane } = order
  const voucher = {
    payer,
    key,
    provider,
    solver,
    token,
    lane,
    cumulativeAmount: tip.cumulativeAmount + price,
    jobs: tip.jobs + 1,
    recordsHash: appendRecord(tip.recordsHash, record),
  }
  journal.acknowledge({ acknowledgement: { voucher, signature }, record, now })
  return { record, voucher }
}
const lane = laneId(request(0).order)

describe('a job', () => {
  test('is accepted, run, finished, delivered and acknowledged, and survives a restart in between', () => {
    accept(one, 0)
    expect(journal.findJob(one)).toMatchObject({ phase: 'accepted', attempts: 0 })
    expect(journal.startAttempt(one, now + 1)).toEqual({ number: 1, firstStartedAt: now + 1 })
    journal.close()
    journal = Journal.open(folder)
    expect(journal.listJobs('accepted')).toEqual([one])
    expect(journal.startAttempt(one, now + 9)).toEqual({ number: 2, firstStartedAt: now + 1 })
    expect(journal.finish(one, delivery(one, 70n), sha256('receipt 0'))).toBe(true)
    expect(journal.getAcceptedJob(one)).toMatchObject({
      phase: 'finished',
      attempts: 2,
      receiptHash: sha256('receipt 0'),
      request: request(0),
      delivery: delivery(one, 70n),
    })
    journal.markDelivered(one, { isPayable: true })
    expect(journal.findJob(one)?.phase).toBe('delivered')
    acknowledge(one, 0, 70n)
    expect(journal.findJob(one)?.phase).toBe('acknowledged')
    expect(journal.countJobs()).toEqual({
      accepted: 0,
      finished: 0,
      delivered: 0,
      acknowledged: 1,
      closed: 0,
      declined: 0,
    })
  })

  test('has one receipt: a second is refused, and nothing runs again', () => {
    accept(one, 0)
    expect(journal.finish(one, delivery(one, 70n), sha256('first'))).toBe(true)
    expect(journal.finish(one, delivery(one, 71n), sha256('second'))).toBe(false)
    expect(journal.getAcceptedJob(one).receiptHash).toBe(sha256('first'))
    expect(journal.startAttempt(one, now)).toBeUndefined()
  })

  test('that nobody waits for gets no receipt', () => {
    accept(one, 0)
    journal.closeJob(one)
    expect(journal.finish(one, delivery(one, 70n), sha256('late'))).toBe(false)
    expect(journal.findJob(one)?.phase).toBe('closed')
  })

  test('stays acknowledged when the solver gives it up too late', () => {
    accept(one, 0)
    journal.finish(one, delivery(one, 70n), sha256('receipt 0'))
    acknowledge(one, 0, 70n)
    journal.closeJob(one)
    expect(journal.findJob(one)?.phase).toBe('acknowledged')
  })

  test('that failed has nothing left to wait for once it is stored', () => {
    accept(one, 0)
    journal.finish(one, delivery(one, 0n, 1), sha256('receipt 0'))
    journal.markDelivered(one, { isPayable: false })
    expect(journal.findJob(one)?.phase).toBe('closed')
  })

  test('cannot be accepted twice, nor with a nonce that is taken', () => {
    accept(one, 0)
    expect(() => accept(one, 5)).toThrow(/UNIQUE/)
    expect(() => accept(two, 0)).toThrow(/UNIQUE/)
    expect(journal.isNonceTaken(lane, 0, two)).toBe(true)
    expect(journal.isNonceTaken(lane, 0, one)).toBe(false)
    expect(
      journal.findReservationHash({ solver: address('3'), payer: address('1'), token: address('4'), sequence: 6 }),
    ).toBeUndefined()
  })

  test('that was declined stays declined and holds no nonce', () => {
    journal.decline(one, { code: 'NONCE_USED', reason: 'why not' }, now)
    journal.decline(one, { code: 'OTHER', reason: 'second' }, now)
    expect(journal.findJob(one)).toMatchObject({
      phase: 'declined',
      declined: { code: 'NONCE_USED', reason: 'why not' },
    })
    expect(() => journal.getAcceptedJob(one)).toThrow(RangeError)
    expect(journal.isNonceTaken(lane, 0, two)).toBe(false)
  })

  test('keeps its blobs while it is open', () => {
    accept(one, 0)
    journal.finish(one, delivery(one, 1n), sha256('receipt'))
    expect([...journal.listFilesInUse({ deliveredAfter: 0 })]).toEqual([
      { orderHash: one, digests: [sha256(`output of ${one}`)] },
    ])
    journal.markDelivered(one, { isPayable: true })
    const { deliverBy } = journal.getAcceptedJob(one).request.order
    expect(journal.listJobsWithFiles({ deliveredAfter: deliverBy })).toEqual([one])
    expect(journal.listJobsWithFiles({ deliveredAfter: deliverBy + 1 })).toEqual([])
    journal.closeJob(one)
    expect([...journal.listFilesInUse({ deliveredAfter: 0 })]).toEqual([])
  })
})

test('exposure to a solver counts the jobs of all its payers', () => {
  accept(one, 0)
  accept(two, 1, { maxPrice: 40n, key: address('5') })
  expect(journal.sumExposure({ solver: address('3'), token: address('4'), now })).toBe(140n)
  expect(journal.sumExposure({ solver: address('9'), token: address('4'), now })).toBe(0n)
})

test('exposure does not count a job twice whose claim holds the money', () => {
  accept(one, 0)
  journal.finish(one, delivery(one, 70n), sha256('receipt 0'))
  journal.markDelivered(one, { isPayable: true })
  const exposure = () => journal.sumExposure({ payer: address('1'), token: address('4'), now })
  expect(exposure()).toBe(70n)
  journal.claims.start(one, now)
  expect(exposure()).toBe(70n)
  journal.claims.note(one, { state: 'claimed', finalizableAt: now }, now)
  expect(exposure()).toBe(0n)
})

test('exposure counts open jobs at their most, finished ones at their price, and vouchers until they are settled', () => {
  const exposure = (key?: `0x${string}`, at = now) =>
    journal.sumExposure({ payer: address('1'), token: address('4'), now: at, ...(key ? { key } : {}) })
  accept(one, 0)
  accept(two, 1, { maxPrice: 40n })
  expect(exposure()).toBe(140n)
  journal.finish(one, delivery(one, 70n), sha256('receipt 0'))
  expect(exposure()).toBe(110n)
  acknowledge(one, 0, 70n)
  expect(exposure()).toBe(110n)
  journal.noteSettled(lane, { settledJobs: 1, settledAmount: 70n, now })
  expect(exposure()).toBe(40n)
  expect(exposure(address('9'))).toBe(0n)
  expect(exposure(undefined, now + 60 + 86_401)).toBe(0n)
})

test('what failed jobs of a payer ran is counted, of this payer and of late only', () => {
  accept(one, 0)
  accept(two, 1)
  accept(three, 2)
  journal.finish(one, delivery(one, 0n, 2), sha256('receipt 0'))
  journal.finish(two, delivery(two, 70n), sha256('receipt 1'))
  journal.finish(three, delivery(three, 0n, 2), sha256('receipt 2'))
  journal.markDelivered(three, { isPayable: false })
  expect(journal.sumUnpaidSeconds({ payer: address('1'), since: now })).toBe(2)
  expect(journal.sumUnpaidSeconds({ payer: address('1'), since: now + 1 })).toBe(0)
  expect(journal.sumUnpaidSeconds({ payer: address('9'), since: 0 })).toBe(0)
})

describe('a lane', () => {
  test('grows voucher by voucher and says what is not settled', () => {
    for (const [index, orderHash] of [one, two, three].entries()) {
      accept(orderHash, index)
      journal.finish(orderHash, delivery(orderHash, 10n), sha256(`receipt ${index}`))
    }
    const vouchers = [acknowledge(one, 0, 10n), acknowledge(two, 1, 20n), acknowledge(three, 2, 30n)]
    expect(journal.findLane(lane)).toMatchObject({
      jobs: 3,
      cumulativeAmount: 60n,
      settledJobs: 0,
      oldestUnsettledAt: now,
    })
    expect(journal.countUnsettled()).toBe(3)
    const entries = journal.listEntries(lane, { from: 1, limit: 10 })
    expect(entries.map(({ index }) => index)).toEqual([2, 3])
    expect(entries.map(({ record }) => record)).toEqual(vouchers.slice(1).map(({ record }) => record))
    expect(entries.at(-1)?.acknowledgement).toEqual({ voucher: vouchers[2]?.voucher, signature })
    expect(journal.findRecordsHash(lane, 0)).toBe(zeroBytes32)
    expect(journal.findRecordsHash(lane, 2)).toBe(vouchers[1]?.voucher.recordsHash)
    expect(journal.findRecordsHash(lane, 4)).toBeUndefined()
    journal.noteSettled(lane, { settledJobs: 3, settledAmount: 60n, now })
    expect(journal.findLane(lane)).toMatchObject({ settledJobs: 3, oldestUnsettledAt: undefined })
    expect(journal.listLanesToSettle(now)).toEqual([])
    expect(journal.listLanesToSettle(now - 1)).toHaveLength(1)
    journal.noteSettled(lane, { settledJobs: 1, settledAmount: 10n, now })
    expect(journal.countUnsettled()).toBe(2)
  })

  test('takes no voucher twice and none out of order', () => {
    for (const [index, orderHash] of [one, two].entries()) accept(orderHash, index)
    const { voucher, record } = acknowledge(one, 0, 10n)
    expect(() => journal.acknowledge({ acknowledgement: { voucher, signature }, record, now })).toThrow(/UNIQUE/)
    const skipping = { ...voucher, jobs: 3 }
    expect(() =>
      journal.acknowledge({
        acknowledgement: { voucher: skipping, signature },
        record: { ...record, orderHash: two },
        now,
      }),
    ).toThrow(/not the next/)
    expect(journal.findLane(lane)?.jobs).toBe(1)
    expect(journal.isAcknowledged(two)).toBe(false)
  })
})

test('the newest grant of a key is kept', () => {
  const grant = (nonce: bigint) => ({
    grant: {
      payer: address('1'),
      key: address('7'),
      token: address('4'),
      perJob: 1n,
      perDay: 1n,
      total: 1n,
      validUntil: now,
      providersRoot: zeroBytes32,
      modulesRoot: zeroBytes32,
      nonce,
    },
    signature,
  })
  for (const [nonce, index] of [
    [2n, 0],
    [1n, 1],
  ] as const) {
    journal.accept({
      orderHash: sha256(`grant ${index}`),
      request: { ...request(index), grant: grant(nonce) },
      reservation: reservation(one, index + 1),
      reservationHash: zeroBytes32,
      now,
    })
  }
  expect(journal.findGrant({ payer: address('1'), key: address('7'), token: address('4') })?.grant.nonce).toBe(2n)
  expect(journal.findGrant({ payer: zeroAddress, key: address('7'), token: address('4') })).toBeUndefined()
})

test('a lane is open while a job of it is queued or runs', () => {
  const lane = laneId(request(0).order)
  expect(journal.isLaneOpen(lane)).toBe(false)
  accept(one, 0)
  expect([journal.isLaneOpen(lane), journal.isLaneOpen(two)]).toEqual([true, false])
  journal.finish(one, delivery(one, 5n), two)
  expect(journal.isLaneOpen(lane)).toBe(false)
})

test('settlement transactions are listed, newest first', () => {
  journal.noteSettlement({ transaction: one, lanes: 1, jobs: 2, now })
  journal.noteSettlement({ transaction: two, lanes: 1, jobs: 3, now: now + 1 })
  journal.noteSettlementBlock(one, 7)
  expect(journal.listSettlements(10)).toEqual([
    { transaction: two, lanes: 1, jobs: 3, sentAt: now + 1, blockNumber: undefined },
    { transaction: one, lanes: 1, jobs: 2, sentAt: now, blockNumber: 7 },
  ])
})

describe('after a time', () => {
  const acceptedBefore = now + 1
  const isWhole = (orderHash: Bytes32) => {
    try {
      return journal.getAcceptedJob(orderHash).orderHash === orderHash
    } catch {
      return false
    }
  }
  function pay(orderHash: Bytes32, nonce: number) {
    accept(orderHash, nonce)
    journal.finish(orderHash, delivery(orderHash, 70n), sha256('receipt'))
    journal.markDelivered(orderHash, { isPayable: true })
    acknowledge(orderHash, nonce, 70n)
  }

  test('order and receipt of jobs that the chain has paid are forgotten, what they earned is not', () => {
    pay(one, 0)
    pay(two, 1)
    journal.noteSettled(lane, { settledJobs: 1, settledAmount: 70n, now })
    expect(journal.prune({ acceptedBefore: now, limit: 10 })).toBe(0)
    expect(journal.prune({ acceptedBefore, limit: 10 })).toBe(1)
    expect([one, two].map(isWhole)).toEqual([false, true])
    expect(journal.findJob(one)).toMatchObject({ phase: 'acknowledged' })
    expect(journal.isNonceTaken(lane, 0, three)).toBe(true)
    expect(journal.listEntries(lane, { from: 0, limit: 9 }).map(({ record }) => record.orderHash)).toEqual([one, two])
    expect([...journal.readAcknowledged()]).toHaveLength(2)
    expect(journal.prune({ acceptedBefore, limit: 10 })).toBe(0)
  })

  test('jobs that failed, expired or were turned down are forgotten; open ones and those that can be claimed stay', () => {
    accept(one, 0)
    journal.finish(one, delivery(one, 0n, 1), sha256('receipt'))
    journal.markDelivered(one, { isPayable: false })
    journal.decline(two, { code: 'JOB_DECLINED', reason: 'busy' }, now)
    accept(three, 2)
    const [claimable, claimed] = [sha256('claimable'), sha256('claimed')]
    for (const [nonce, orderHash] of [claimable, claimed].entries()) {
      accept(orderHash, nonce + 3)
      journal.finish(orderHash, delivery(orderHash, 70n), sha256('receipt'))
      journal.markDelivered(orderHash, { isPayable: true })
    }
    expect(journal.claims.start(claimed, now)).toBe(true)
    expect(journal.prune({ acceptedBefore, limit: 1 })).toBe(1)
    expect(journal.prune({ acceptedBefore, limit: 1 })).toBe(1)
    expect(journal.prune({ acceptedBefore, limit: 1 })).toBe(0)
    expect([one, two].map((job) => journal.findJob(job))).toEqual([undefined, undefined])
    expect([three, claimable, claimed].map(isWhole)).toEqual([true, true, true])
  })
})

test('steps of jobs are on the disk after a flush, those of many jobs together', async () => {
  const before = journal.flush()
  accept(one, 0)
  accept(two, 1)
  const [first, second] = [journal.flush(), journal.flush()]
  expect(second).toBe(first)
  await Promise.all([before, first])
  expect(journal.listJobs('accepted')).toEqual([one, two])
  accept(three, 2)
  const last = journal.flush()
  journal.close()
  await last
  journal = Journal.open(folder)
  expect(journal.listJobs('accepted')).toEqual([one, two, three])
})

test('one state directory serves one provider', () => {
  expect(() => Journal.open(folder)).toThrow(StateInUseError)
})
