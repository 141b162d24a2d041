import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  appendRecord,
  type Bytes32,
  createSigner,
  type Delivery,
  jobPredicateType,
  laneId,
  sha256,
  voucherType,
  zeroBytes32,
} from '@lilypad-agents/protocol'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { AcknowledgementDesk } from '../acknowledgement/acknowledgement-desk.ts'
import { MemoryChain } from '../chain/memory-chain.ts'
import { claimFaultPoints, type FaultPoint } from '../fault/fault-point.ts'
import { Journal } from '../journal/journal.ts'
import { SettlementDaemon } from '../settlement/settlement-daemon.ts'
import { collectStep } from '../step/collect-steps.ts'
import { ClaimDaemon, type ClaimOptions } from './claim-daemon.ts'

const domain = { chainId: 1, vault: `0x${'aa'.repeat(20)}` } as const
const payer = createSigner(`0x${'1'.repeat(64)}`)
const address = (digit: string) => `0x${digit.repeat(40)}` as const
const signature = `0x${'11'.repeat(65)}` as const
const start = 1_800_000_000
const deliverBy = start + 600
const grace = 21_600
/** When a job has to be claimed, and when its claim can be finalized. */
const claimAt = deliverBy + grace - 1800
const log = pino({ level: 'silent' })

let folder: string
let journal: Journal
let chain: MemoryChain
let crashAt: FaultPoint | undefined
let acknowledged: Bytes32[]
let market: ReturnType<typeof open>
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] })
  folder = mkdtempSync(join(tmpdir(), 'lilypad-claims-'))
  journal = Journal.open(folder)
  chain = new MemoryChain()
  crashAt = undefined
  acknowledged = []
  market = open()
  goTo(start)
})
afterEach(async () => {
  await market.claims.close()
  // What is confirmed after it must not reach the next test.
  await journal.flush()
  journal.close()
  rmSync(folder, { recursive: true, force: true })
  vi.useRealTimers()
})

class Crash extends Error {}
function reach(point: FaultPoint) {
  if (point === crashAt) throw new Crash(point)
}
function goTo(seconds: number) {
  chain.now = seconds
  vi.setSystemTime(seconds * 1000)
}

/** The parts of a provider that have to do with its pay. */
function open(options: ClaimOptions = {}) {
  const approve = async () => ({ approvedUntil: 2 ** 40, approval: signature })
  const settlement = new SettlementDaemon({ journal, chain, approve, reach, log })
  const send = (frame: { type: string; orderHash?: Bytes32 }) => {
    if (frame.type === 'acknowledged' && frame.orderHash) acknowledged.push(frame.orderHash)
    return true
  }
  const desk = new AcknowledgementDesk({
    domain,
    journal,
    send,
    onAcknowledged: () => {},
    onClaimedAcknowledged: () => {},
    reach,
    log,
  })
  const claims = new ClaimDaemon({
    journal,
    chain,
    onWithdrawn: (orderHash, acknowledgement) => desk.receive(orderHash, acknowledgement),
    collectStep: (orderHash) => collectStep({ domain, journal, log }, orderHash),
    reach,
    log,
    ...options,
  })
  return { settlement, desk, claims }
}

/** The process has died and starts again with the journal on its disk. */
function restart() {
  crashAt = undefined
  journal.close()
  journal = Journal.open(folder)
  market = open()
}

const orderOf = (nonce: number) => ({
  payer: payer.address,
  key: payer.address,
  provider: address('2'),
  solver: address('3'),
  token: address('4'),
  moduleVersion: sha256('module'),
  inputsDigest: zeroBytes32,
  askHash: zeroBytes32,
  maxPrice: 1000n,
  lane: 0,
  nonce,
  startBy: start,
  deliverBy,
  verification: 0,
  auditCommit: zeroBytes32,
})
const lane = laneId(orderOf(0))

/** One more job whose result the solver has. */
function deliver(nonce: number, price = 100n): Bytes32 {
  const order = orderOf(nonce)
  const orderHash = sha256(`order ${nonce}`)
  const { provider, solver, moduleVersion, token } = order
  const prices = { pricePerJob: 1n, pricePerSecond: 0n, pricePerInputUnit: 0n, pricePerOutputUnit: 0n }
  const ask = { provider, solver, moduleVersion, token, ...prices, slots: 1, validUntil: 0, salt: zeroBytes32 }
  const amounts = { amount: 1000n, outstanding: 1000n, reservedAt: start }
  const reservation = {
    orderHash,
    solver,
    payer: payer.address,
    token,
    sequence: nonce + 1,
    previous: zeroBytes32,
    ...amounts,
  }
  journal.accept({
    orderHash,
    request: { order, signature, grant: null, ask: { ask, signature }, inputs: {} },
    reservation: { reservation, signature },
    reservationHash: sha256(`reservation ${nonce}`),
    now: start,
  })
  journal.finish(orderHash, deliveryOf(orderHash, price), sha256(`receipt ${nonce}`))
  journal.markDelivered(orderHash, { isPayable: true })
  return orderHash
}

function deliveryOf(orderHash: Bytes32, price: bigint): Delivery {
  const nothing = { bytes: 0, sha256: sha256(''), truncated: false }
  const none = zeroBytes32
  const digests = { manifestDigest: none, outputsRoot: none, logsDigest: none }
  return {
    receipt: {
      orderHash,
      status: 0,
      ...digests,
      inputUnits: 0,
      outputUnits: 0,
      meteredSeconds: 1,
      price,
      startedAt: start,
      finishedAt: start + 1,
    },
    signature,
    manifest: {
      _type: 'https://in-toto.io/Statement/v1',
      subject: [],
      predicateType: jobPredicateType,
      predicate: {
        orderHash,
        provider: address('2'),
        module: { name: 'pond', version: '1.0.0', id: sha256('module'), manifestDigest: none },
        program: { sha256: none },
        executor: { name: 'noop', isolation: {} },
        inputsDigest: none,
        outputs: [],
        logs: { stdout: nothing, stderr: nothing },
        outcome: { kind: 'exited', code: 0 },
        usage: { runMilliseconds: 1, meteredSeconds: 1, inputUnits: 0, outputUnits: 0, outputBytes: 0 },
        machine: {},
      },
    },
    manifestSignature: signature,
  }
}

/** The payer's voucher for a job, `jobs` being its place in the lane. */
function voucherFor(nonce: number, options: { readonly jobs?: number; readonly after?: readonly number[] } = {}) {
  const { after = [], jobs = after.length + 1 } = options
  const record = (of: number) => ({
    orderHash: sha256(`order ${of}`),
    receiptHash: sha256(`receipt ${of}`),
    moduleVersion: sha256('module'),
    price: 100n,
    nonce: of,
  })
  const { key, provider, solver, token } = orderOf(nonce)
  const recordsHash = [...after, nonce].map(record).reduce(appendRecord, zeroBytes32)
  const terms = { payer: payer.address, key, provider, solver, token, lane: 0 }
  const voucher = { ...terms, cumulativeAmount: BigInt(jobs) * 100n, jobs, recordsHash }
  return { voucher, signature: voucherType.sign(domain, voucher, payer) }
}
/** Nothing of the payer's is paid without the solver of its orders. */
const guard = (change: { readonly guardianChangesAt?: number } = {}) =>
  chain.accounts.set(`${payer.address}:${address('4')}`, {
    balance: 10_000n,
    pendingWithdrawal: 0n,
    withdrawableAt: 0,
    guardian: address('3'),
    guardianChangesAt: 0,
    ...change,
  })
const statusOf = (orderHash: Bytes32) => chain.claims.states.get(orderHash)?.status
const kinds = () => chain.claims.calls.map(({ kind, jobs }) => `${kind} ${jobs}`)

test('a job whose payer stays silent is claimed in time and paid after the window', async () => {
  const job = deliver(0)
  goTo(claimAt - 1)
  await market.claims.advanceNow()
  expect(kinds()).toEqual([])
  goTo(claimAt)
  await market.claims.advanceNow()
  expect(journal.claims.find(job)).toMatchObject({ state: 'claimed', finalizableAt: claimAt + 1801 })
  goTo(claimAt + 1800)
  await market.claims.advanceNow()
  expect(kinds()).toEqual(['claim 1'])
  goTo(claimAt + 1801)
  await market.claims.advanceNow()
  expect(kinds()).toEqual(['claim 1', 'finalize 1'])
  expect(chain.claims.paid.get(job)).toBe(100n)
  expect([journal.claims.find(job)?.state, journal.findJob(job)?.phase]).toEqual(['paid', 'closed'])
  await market.claims.advanceNow()
  expect(kinds()).toEqual(['claim 1', 'finalize 1'])
})

test('jobs are claimed together, once there are enough or one has to be', async () => {
  const jobs = [deliver(0), deliver(1), deliver(2)]
  const own = open({ maxBatch: 3 }).claims
  goTo(start + 3600)
  await own.advanceNow()
  expect(kinds()).toEqual([])
  goTo(start + 3601)
  await own.advanceNow()
  expect(kinds()).toEqual(['claim 3'])
  expect(jobs.map(statusOf)).toEqual(['claimed', 'claimed', 'claimed'])
  goTo(start + 3601 + 1801)
  await own.advanceNow()
  expect(kinds()).toEqual(['claim 3', 'finalize 3'])
})

test('the reservation goes along, also after a restart', async () => {
  deliver(0)
  restart()
  const claimed: unknown[] = []
  const claim = chain.claims.claim.bind(chain.claims)
  chain.claims.claim = (items) => {
    claimed.push(...items.map(({ reservation }) => reservation?.reservation.sequence))
    return claim(items)
  }
  goTo(claimAt)
  await market.claims.advanceNow()
  expect(claimed).toEqual([1])
})

test('a job that the solver has given up is claimed all the same', async () => {
  const job = deliver(0)
  journal.expireJob(job)
  goTo(claimAt)
  await market.claims.advanceNow()
  expect(statusOf(job)).toBe('claimed')
})

test('an acknowledged job is not claimed', async () => {
  const job = deliver(0)
  market.desk.receive(job, voucherFor(0))
  goTo(claimAt)
  await market.claims.advanceNow()
  expect(kinds()).toEqual([])
})

test('a job that costs more to claim than it brings is left, and closed when its time is over', async () => {
  const [cheap, dear] = [deliver(0, 250n), deliver(1, 251n)]
  // 250,000 gas at 1 gwei, at a million base units for an ether: 250.
  const own = open({ tokenPerEther: 1_000_000n }).claims
  goTo(claimAt)
  await own.advanceNow()
  expect([statusOf(cheap), statusOf(dear)]).toEqual([undefined, 'claimed'])
  goTo(deliverBy + grace + 1)
  await own.advanceNow()
  expect([journal.claims.find(cheap)?.state, journal.findJob(cheap)?.phase]).toEqual(['missed', 'closed'])
})

test('when the stake does not cover all, the dearest are claimed and the rest is asked for', async () => {
  const [cheap, dear] = [deliver(0, 100n), deliver(1, 900n)]
  chain.claims.active = 2250n
  goTo(claimAt)
  await market.claims.advanceNow()
  expect([statusOf(cheap), statusOf(dear)]).toEqual([undefined, 'claimed'])
  // 2.5 times both prices, and once the dearest for a newcomer, less what there is.
  expect(market.claims.stakeShortfall).toBe(2500n + 900n - 2250n)
  chain.claims.active = 10_000n
  goTo(claimAt + 60)
  await market.claims.advanceNow()
  expect(statusOf(cheap)).toBe('claimed')
})

test('stake that is too low is raised out of what was earned, no further than allowed', async () => {
  const [cheap, dear] = [deliver(0, 100n), deliver(1, 900n)]
  Object.assign(chain.claims, { active: 100n, ownTokens: 10_000n })
  goTo(claimAt)
  await open({ restakeUpTo: 2300n }).claims.advanceNow()
  expect([chain.claims.active, statusOf(cheap), statusOf(dear)]).toEqual([2300n, undefined, 'claimed'])
  goTo(claimAt + 60)
  const own = open({ restakeUpTo: 10_000n }).claims
  await own.advanceNow()
  expect([statusOf(cheap), own.stakeShortfall]).toEqual(['claimed', 0n])
  // What is free was 50, 2.5 times the price and once for a newcomer is 350.
  expect(chain.claims.ownTokens).toBe(10_000n - 2200n - 300n)
})

test('a job that the contract refuses does not hold up the others, and is tried again', async () => {
  const [bad, good] = [deliver(0), deliver(1)]
  chain.claims.problems.set(bad, 'GrantUnknown')
  goTo(claimAt)
  await market.claims.advanceNow()
  expect([statusOf(bad), statusOf(good)]).toEqual([undefined, 'claimed'])
  chain.claims.problems.clear()
  goTo(claimAt + 60)
  await market.claims.advanceNow()
  expect(statusOf(bad)).toBe('claimed')
})

test('a dispute is waited for, and a claim that is denied pays nothing', async () => {
  const [won, lost] = [deliver(0), deliver(1)]
  goTo(claimAt)
  await market.claims.advanceNow()
  for (const job of [won, lost]) Object.assign(chain.claims.states.get(job) ?? {}, { status: 'disputed' })
  goTo(claimAt + 7200)
  await market.claims.advanceNow()
  expect(journal.claims.find(won)?.state).toBe('disputed')
  // A voucher cannot take a disputed claim back.
  market.desk.receive(won, voucherFor(0))
  expect(journal.claims.find(won)?.state).toBe('disputed')
  Object.assign(chain.claims.states.get(won) ?? {}, { status: 'upheld' })
  Object.assign(chain.claims.states.get(lost) ?? {}, { status: 'denied' })
  await market.claims.advanceNow()
  expect([journal.claims.find(won)?.state, journal.claims.find(lost)?.state]).toEqual(['paid', 'refunded'])
  expect([...chain.claims.paid.keys()]).toEqual([won])
})

describe('a late acknowledgement', () => {
  beforeEach(() => {
    guard()
  })

  test('takes the claim back, and the job is settled by its voucher, once', async () => {
    const job = deliver(0)
    goTo(claimAt)
    await market.claims.advanceNow()
    market.desk.receive(job, voucherFor(0))
    // It is on disk, and confirmed only when it can pay.
    expect([journal.claims.find(job)?.state, acknowledged]).toEqual(['withdrawing', []])
    expect(await market.settlement.settleNow()).toBe(0)
    await market.claims.advanceNow()
    await journal.flush()
    expect([statusOf(job), acknowledged]).toEqual(['withdrawn', [job]])
    expect(await market.settlement.settleNow()).toBe(1)
    expect(chain.lanes.get(lane)).toMatchObject({ settledJobs: 1, settledAmount: 100n })
    goTo(claimAt + 7200)
    await market.claims.advanceNow()
    expect(chain.claims.paid.size).toBe(0)
  })

  test.each<[string, () => void]>([
    ['has no guardian', () => chain.accounts.clear()],
    ['is about to leave it', () => guard({ guardianChangesAt: chain.now + 60 })],
  ])('of a payer that %s does not take the claim back, which holds the money', async (_name, change) => {
    const job = deliver(0)
    goTo(claimAt)
    await market.claims.advanceNow()
    change()
    market.desk.receive(job, voucherFor(0))
    await market.claims.advanceNow()
    expect([statusOf(job), journal.claims.isLaneBroken(lane)]).toEqual(['claimed', false])
    goTo(claimAt + 3600)
    await market.claims.advanceNow()
    expect([chain.claims.paid.get(job), journal.isAcknowledged(job)]).toEqual([100n, false])
    // What builds on that voucher cannot be settled, so the lane takes no more orders.
    expect(journal.claims.isLaneBroken(lane)).toBe(true)
  })

  test('of a claim that has paid is not taken, so that the job is not paid twice', async () => {
    const job = deliver(0)
    goTo(claimAt)
    await market.claims.advanceNow()
    goTo(claimAt + 3600)
    await market.claims.advanceNow()
    market.desk.receive(job, voucherFor(0))
    expect([journal.isAcknowledged(job), journal.findLane(lane)]).toEqual([false, undefined])
  })

  test('that somebody else made worthless by finalizing the claim is dropped', async () => {
    const job = deliver(0)
    goTo(claimAt)
    await market.claims.advanceNow()
    market.desk.receive(job, voucherFor(0))
    Object.assign(chain.claims.states.get(job) ?? {}, { status: 'paid' })
    await market.claims.advanceNow()
    expect([journal.claims.find(job)?.state, journal.isAcknowledged(job)]).toEqual(['paid', false])
  })

  test('keeps its place in the lane: no other voucher can take it while the claim is withdrawn', async () => {
    const first = deliver(0)
    goTo(claimAt)
    await market.claims.advanceNow()
    const [second, third] = [deliver(1), deliver(2)]
    market.desk.receive(first, voucherFor(0))
    market.desk.receive(second, voucherFor(1))
    market.desk.receive(third, voucherFor(2, { after: [0] }))
    expect(journal.findLane(lane)).toBeUndefined()
    await market.claims.advanceNow()
    expect(journal.listEntries(lane, { from: 0, limit: 9 }).map(({ record }) => record.orderHash)).toEqual([
      first,
      third,
    ])
    await journal.flush()
    expect(acknowledged).toEqual([first, third])
  })
})

describe('killed', () => {
  test.each(claimFaultPoints)('at %s: after a restart the job is paid, once', async (fault) => {
    const isLate = fault === 'claim-acknowledged' || fault === 'claim-withdrawn'
    guard()
    const job = deliver(0)
    crashAt = fault
    const crashes = await live(async () => {
      goTo(Math.max(chain.now, claimAt))
      await market.claims.advanceNow()
      if (isLate) market.desk.receive(job, voucherFor(0))
      goTo(chain.now + (isLate ? 60 : 3600))
      await market.claims.advanceNow()
    })
    expect(crashes).toBe(true)
    restart()
    for (let round = 0; round < 6; round++) {
      goTo(chain.now + 601)
      await market.claims.advanceNow()
      await market.settlement.settleNow()
    }
    const settled = chain.lanes.get(lane)?.settledAmount ?? 0n
    expect(settled + (chain.claims.paid.get(job) ?? 0n)).toBe(100n)
    expect(journal.claims.listOpen()).toEqual([])
    expect(kinds().filter((kind) => kind === 'claim 1')).toHaveLength(1)
  })

  async function live(act: () => Promise<void>): Promise<boolean> {
    try {
      await act()
      return false
    } catch (error) {
      if (error instanceof Crash) return true
      throw error
    }
  }
})

test('a claim that is sent and in no block is not sent again at once, and is when it is lost', async () => {
  const job = deliver(0)
  goTo(claimAt)
  chain.isStalled = true
  await expect(market.claims.advanceNow()).rejects.toMatchObject({ code: 'RPC_UNREACHABLE' })
  restart()
  await market.claims.advanceNow()
  expect(kinds()).toEqual(['claim 1'])
  // Nobody has it any more.
  chain.isStalled = false
  goTo(claimAt + 601)
  await market.claims.advanceNow()
  await market.claims.advanceNow()
  expect([kinds(), statusOf(job)]).toEqual([['claim 1', 'claim 1'], 'claimed'])
  // The first one appears after all: the contract refuses it.
  chain.include()
  goTo(claimAt + 7200)
  await market.claims.advanceNow()
  expect([...chain.claims.paid]).toEqual([[job, 100n]])
})
