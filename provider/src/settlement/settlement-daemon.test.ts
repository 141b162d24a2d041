import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  appendRecord,
  type Bytes32,
  laneId,
  LilypadError,
  type OrderRequest,
  parseSettlementLanes,
  type SessionGrant,
  settlementHash,
  type SettlementLanes,
  SettlementRefusedError,
  sha256,
  zeroAddress,
  zeroBytes32,
} from '@lilypad-agents/protocol'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { MemoryChain } from '../chain/memory-chain.ts'
import { Journal } from '../journal/journal.ts'
import { SettlementDaemon, type SettlementOptions } from './settlement-daemon.ts'

let folder: string
let journal: Journal
let chain: MemoryChain
let daemon: SettlementDaemon
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lilypad-settlement-'))
  journal = Journal.open(folder)
  chain = new MemoryChain()
  Object.assign(solver, { isSilent: false, refused: new Map(), asked: [] })
  daemon = createDaemon()
})
afterEach(async () => {
  await daemon.close({ flushMilliseconds: 100 })
  journal.close()
  rmSync(folder, { recursive: true, force: true })
})

const createDaemon = (options: SettlementOptions = {}) =>
  new SettlementDaemon({ journal, chain, approve, reach: () => {}, log: pino({ level: 'silent' }), ...options })
/** The solver: consents to everything, but for the lanes refused, or keeps silent. */
const solver = { isSilent: false, refused: new Map<Bytes32, string>(), asked: [] as SettlementLanes[] }
async function approve(settlement: SettlementLanes) {
  if (solver.isSilent) throw new LilypadError('SOLVER_UNREACHABLE', 'The solver does not answer.')
  solver.asked.push(settlement)
  const ids = parseSettlementLanes(settlement).map((lane) => laneId({ ...settlement, ...lane }))
  const refused = ids.flatMap((id) => {
    const reason = solver.refused.get(id)
    return reason === undefined ? [] : [{ laneId: id, reason }]
  })
  if (refused.length > 0) throw new SettlementRefusedError(refused)
  return { settlementHash: settlementHash(settlement), approvedUntil: 2 ** 40, approval: signature }
}
const address = (digit: string) => `0x${digit.repeat(40)}` as const
const signature = `0x${'11'.repeat(65)}` as const
let nonces = 0

/** One more acknowledged job of a payer, as the other parts leave it in the journal. */
function addJob(
  payer: `0x${string}`,
  options: { readonly price?: bigint; readonly grant?: SessionGrant } = {},
): Bytes32 {
  const { price = 10n, grant } = options
  const nonce = nonces++
  const orderHash = sha256(`order ${nonce}`)
  const key = grant?.key ?? payer
  const terms = { provider: address('2'), solver: address('3'), moduleVersion: sha256('module'), token: address('4') }
  const order = {
    payer,
    key,
    inputsDigest: zeroBytes32,
    askHash: zeroBytes32,
    maxPrice: 100n,
    lane: 0,
    nonce,
    startBy: 0,
    deliverBy: 0,
    verification: 0,
    auditCommit: zeroBytes32,
    ...terms,
  }
  const request: OrderRequest = {
    order,
    signature,
    grant: grant ? { grant, signature } : null,
    ask: {
      ask: {
        ...terms,
        pricePerJob: 1n,
        pricePerSecond: 0n,
        pricePerInputUnit: 0n,
        pricePerOutputUnit: 0n,
        slots: 1,
        validUntil: 0,
        salt: zeroBytes32,
      },
      signature,
    },
    inputs: {},
  }
  const reservation = {
    reservation: {
      orderHash,
      solver: address('3'),
      payer,
      token: address('4'),
      sequence: nonce,
      previous: zeroBytes32,
      amount: 1n,
      outstanding: 1n,
      reservedAt: 0,
    },
    signature,
  }
  journal.accept({ orderHash, request, reservation, reservationHash: orderHash, now: 0 })
  const tip = journal.findLane(laneId(order)) ?? { jobs: 0, cumulativeAmount: 0n, recordsHash: zeroBytes32 }
  const record = {
    orderHash,
    receiptHash: sha256(`receipt ${nonce}`),
    moduleVersion: order.moduleVersion,
    price,
    nonce,
  }
  const voucher = {
    payer,
    key,
    provider: order.provider,
    solver: order.solver,
    token: order.token,
    lane: 0,
    cumulativeAmount: tip.cumulativeAmount + price,
    jobs: tip.jobs + 1,
    recordsHash: appendRecord(tip.recordsHash, record),
  }
  journal.acknowledge({ acknowledgement: { voucher, signature }, record, now: Math.floor(Date.now() / 1000) })
  return laneId(order)
}
const [ann, bob, cleo] = [address('a'), address('b'), address('c')]

test('settles many lanes in one transaction, and sends nothing more when all is settled', async () => {
  const lanes = [addJob(ann), addJob(bob), addJob(bob)]
  expect(await daemon.settleNow()).toBe(3)
  expect(chain.transactions.map(({ lanes }) => lanes.length)).toEqual([2])
  expect(chain.lanes.get(lanes[1] ?? zeroBytes32)).toMatchObject({ settledJobs: 2, settledAmount: 20n })
  expect(await daemon.settleNow()).toBe(0)
  expect(chain.transactions).toHaveLength(1)
  addJob(bob)
  expect(await daemon.settleNow()).toBe(1)
})

test('a lane that the vault refuses does not hold up the others', async () => {
  const bad = addJob(ann)
  addJob(bob)
  chain.problems.set(bad, 'BalanceTooLow')
  expect(await daemon.settleNow()).toBe(1)
  expect(chain.transactions.map(({ lanes }) => lanes)).toEqual([[expect.not.stringContaining(bad)]])
  chain.problems.clear()
  expect(await daemon.settleNow()).toBe(1)
})

test('a transaction that was sent and forgotten in a crash is never paid again', async () => {
  const lane = addJob(ann)
  chain.isStalled = true
  await expect(daemon.settleNow()).rejects.toMatchObject({ code: 'RPC_UNREACHABLE' })
  const restarted = createDaemon()
  chain.include()
  expect(await restarted.settleNow()).toBe(0)
  expect(chain.transactions).toHaveLength(1)
  expect(journal.findLane(lane)).toMatchObject({ settledJobs: 1, settledAmount: 10n })
  await restarted.close()
})

test('two transactions for one voucher pay once: the vault skips the second', async () => {
  const lane = addJob(ann)
  chain.isStalled = true
  await expect(daemon.settleNow()).rejects.toMatchObject({ code: 'RPC_UNREACHABLE' })
  await expect(daemon.settleNow()).rejects.toMatchObject({ code: 'RPC_UNREACHABLE' })
  expect(chain.transactions).toHaveLength(2)
  chain.include()
  expect(await daemon.settleNow()).toBe(0)
  expect(chain.lanes.get(lane)).toMatchObject({ settledJobs: 1, settledAmount: 10n })
})

test('what a reorganisation takes back is settled again', async () => {
  const lane = addJob(ann)
  await daemon.settleNow()
  chain.lanes.delete(lane)
  await daemon.refreshLanes({ payer: ann, token: address('4') })
  journal.noteSettled(lane, { settledJobs: 0, settledAmount: 0n, now: 0 })
  expect(await daemon.settleNow()).toBe(1)
  expect(chain.lanes.get(lane)).toMatchObject({ settledJobs: 1, settledAmount: 10n })
})

test('registers the grant of a key before its first settlement, once', async () => {
  const grant: SessionGrant = {
    payer: cleo,
    key: address('d'),
    token: address('4'),
    perJob: 1n,
    perDay: 1n,
    total: 1n,
    validUntil: 1,
    providersRoot: zeroBytes32,
    modulesRoot: zeroBytes32,
    nonce: 1n,
  }
  addJob(cleo, { grant })
  expect(await daemon.settleNow()).toBe(1)
  expect([...chain.grants.values()]).toMatchObject([{ isKnown: true, nonce: 1n }])
  addJob(cleo, { grant })
  expect(await daemon.settleNow()).toBe(1)
})

test('works by itself, waits out a chain that is down, and settles when there are enough jobs', async () => {
  const own = createDaemon({ maxJobs: 2, maxAgeSeconds: 3600 })
  own.start()
  chain.isDown = true
  addJob(ann)
  own.notify()
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(chain.transactions).toHaveLength(0)
  chain.isDown = false
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(chain.transactions).toHaveLength(0)
  addJob(ann)
  own.notify()
  await expect.poll(() => chain.transactions.length, { timeout: 5000 }).toBe(1)
  await own.close()
})

test('waits until a batch is worth its gas, also when it closes', async () => {
  const tokenPerEther = 10n ** 18n
  chain.gasPrice = 1n
  const own = createDaemon({ maxAgeSeconds: 0, tokenPerEther })
  own.start()
  addJob(ann, { price: 600_000n })
  own.notify()
  await new Promise((resolve) => setTimeout(resolve, 300))
  await own.close()
  expect(chain.transactions).toHaveLength(0)
  const next = createDaemon({ maxAgeSeconds: 0, tokenPerEther })
  next.start()
  addJob(ann, { price: 70_000n })
  next.notify()
  await expect.poll(() => chain.transactions.length, { timeout: 5000 }).toBe(1)
  // Dust is settled when it is asked for, or too old.
  addJob(bob, { price: 1n })
  await next.close()
  expect(chain.transactions).toHaveLength(1)
  const patient = createDaemon({ maxAgeSeconds: 0, tokenPerEther, maxWaitSeconds: 0 })
  patient.start()
  await expect.poll(() => chain.transactions.length, { timeout: 5000 }).toBe(2)
  await patient.close()
})

test('sends what is open when it closes', async () => {
  const own = createDaemon({ maxAgeSeconds: 3600 })
  own.start()
  addJob(ann)
  await own.close()
  expect(chain.transactions).toHaveLength(1)
})

describe('lanes of guarded payers', () => {
  const guard = (payer: `0x${string}`, guardian: `0x${string}` = address('3')) =>
    chain.accounts.set(`${payer}:${address('4')}`, {
      balance: 1000n,
      pendingWithdrawal: 0n,
      withdrawableAt: 0,
      guardian,
      guardianChangesAt: 0,
    })
  const lanesOf = (transaction: number) => chain.transactions[transaction]?.lanes

  test('are settled with one consent for all, and the others along with them', async () => {
    guard(ann)
    guard(bob)
    const lanes = [addJob(ann), addJob(bob), addJob(cleo)]
    expect(await daemon.settleNow()).toBe(3)
    expect(solver.asked).toHaveLength(1)
    expect(chain.transactions.map((transaction) => transaction.lanes)).toEqual([lanes])
  })

  test('need nobody to be asked where no payer is guarded', async () => {
    solver.isSilent = true
    addJob(ann)
    guard(bob, zeroAddress)
    addJob(bob)
    expect(await daemon.settleNow()).toBe(2)
  })

  test('that the solver refuses are left out, and keep nobody else from being paid', async () => {
    guard(ann)
    guard(bob)
    const [refused, good, plain] = [addJob(ann), addJob(bob), addJob(cleo)]
    solver.refused.set(refused, 'a job of it was not reserved')
    // What needs no consent may be refused for reasons that do not matter.
    solver.refused.set(plain, 'no money left')
    expect(await daemon.settleNow()).toBe(2)
    expect(solver.asked).toHaveLength(2)
    expect([lanesOf(0), lanesOf(1)]).toEqual([[good], [plain]])
    solver.refused.clear()
    expect(await daemon.settleNow()).toBe(1)
    expect(lanesOf(2)).toEqual([refused])
  })

  test('wait for a silent solver, and are settled when it is back', async () => {
    guard(ann)
    const [guarded, plain] = [addJob(ann), addJob(cleo)]
    solver.isSilent = true
    expect(await daemon.settleNow()).toBe(1)
    expect(lanesOf(0)).toEqual([plain])
    expect(chain.announced).toEqual([])
    solver.isSilent = false
    addJob(ann)
    expect(await daemon.settleNow()).toBe(2)
    expect(lanesOf(1)).toEqual([guarded])
  })

  test('of a guardian that is not the solver of the lane are not asked for', async () => {
    guard(ann, address('9'))
    addJob(ann)
    expect(await daemon.settleNow()).toBe(0)
    expect(solver.asked).toEqual([])
    expect(chain.transactions).toEqual([])
  })

  test('are announced after a long silence, and settled by that, also by the next life of the provider', async () => {
    guard(ann)
    const lane = addJob(ann)
    solver.isSilent = true
    const first = createDaemon({ announceAfterSeconds: 0 })
    expect(await first.settleNow()).toBe(0)
    const [announced] = chain.announced
    expect(announced?.kind).toBe('announce')
    // It waits, and what comes meanwhile changes nothing about what was announced.
    addJob(ann)
    expect(await first.settleNow()).toBe(0)
    await first.close()
    expect(chain.announced).toHaveLength(1)
    chain.now += 86_400
    const second = createDaemon({ announceAfterSeconds: 3600 })
    expect(await second.settleNow()).toBe(1)
    expect(chain.announced).toEqual([announced, { ...announced, kind: 'settle' }])
    expect(chain.lanes.get(lane)).toMatchObject({ settledJobs: 1, settledAmount: 10n })
    // The job that came later has a silence of its own.
    expect(await second.settleNow()).toBe(0)
    expect(chain.announced).toHaveLength(2)
    await second.close()
  })

  test('are announced again when the time to settle them has passed', async () => {
    guard(ann)
    addJob(ann)
    solver.isSilent = true
    const own = createDaemon({ announceAfterSeconds: 0 })
    await own.settleNow()
    chain.now += 2 * 86_400 + 1
    expect(await own.settleNow()).toBe(0)
    expect(chain.announced.map(({ kind }) => kind)).toEqual(['announce', 'announce'])
    chain.now += 86_400
    expect(await own.settleNow()).toBe(1)
    await own.close()
  })

  test('that were announced are still settled with consent when the solver is back', async () => {
    guard(ann)
    const lane = addJob(ann)
    solver.isSilent = true
    const own = createDaemon({ announceAfterSeconds: 0 })
    await own.settleNow()
    solver.isSilent = false
    expect(await own.settleNow()).toBe(1)
    expect(lanesOf(0)).toEqual([lane])
    expect(journal.findAnnouncement(lane)).toBeUndefined()
    await own.close()
  })
})
