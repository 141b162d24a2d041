import {
  type Address,
  type Bytes32,
  createAuthorization,
  type Delivery,
  findRefusedLanes,
  laneId,
  packSettlementLanes,
  receiptType,
  type SettlementLanes,
  settlementApprovalType,
  settlementHash,
  sha256,
  type SignedVoucher,
  voucherType,
  zeroAddress,
  zeroBytes32,
} from '@lilypad-agents/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { approvalSeconds } from '../src/approval/approve-settlement.ts'
import {
  actors,
  contracts,
  createAsk,
  createDelivery,
  createOrder,
  domain,
  type OrderParts,
  seconds,
} from './fixtures.ts'
import {
  codeOf,
  connectProvider,
  createLane,
  deliver,
  type Harness,
  startHarness,
  type TestProvider,
  until,
} from './harness.ts'

const { payer, provider: node, solver, stranger } = actors
const token = contracts.lilyToken
const account = { balance: 1_000_000n, guardian: solver.address }
let harness: Harness
let provider: TestProvider
let lanes = 100

beforeAll(async () => {
  harness = await startHarness()
  provider = await connectProvider(harness.url)
  harness.chain.setBalance(payer.address, token, account)
})
afterAll(async () => {
  await provider?.close()
  await harness?.close()
})

type Job = { readonly parts: OrderParts; readonly delivery: Delivery }

async function placeJob(change: Parameters<typeof createOrder>[0] = {}, status = 0): Promise<Job> {
  const parts = createOrder(change)
  await harness.client.postOrder(parts.request)
  return { parts, delivery: await deliver(harness.url, provider, parts, createDelivery(parts, { status })) }
}

/** What a provider sends for the jobs of one lane, given the last voucher. */
function settlementOf(jobs: readonly Job[], voucher: SignedVoucher, change: { price?: bigint } = {}): SettlementLanes {
  const [first] = jobs
  if (!first) throw new TypeError('no job')
  const { payer: owner, key, lane } = first.parts.order
  const records = jobs.map(({ parts, delivery }) => ({
    orderHash: parts.orderHash,
    receiptHash: receiptType.hash(domain, delivery.receipt),
    moduleVersion: parts.order.moduleVersion,
    price: change.price ?? delivery.receipt.price,
    nonce: parts.order.nonce,
  }))
  return packSettlementLanes({ provider: node.address, solver: solver.address, token }, [
    {
      payer: owner,
      key,
      lane,
      previousRecordsHash: zeroBytes32,
      signature: voucher.signature,
      records,
      nextNonce: 0,
    },
  ])
}

async function placeLane(count = 1, status = 0) {
  const lane = lanes++
  const jobs: Job[] = []
  for (let index = 0; index < count; index++) jobs.push(await placeJob({ change: { lane } }, status))
  const signing = createLane()
  const vouchers = jobs.map(({ parts, delivery }) => signing.next(parts.order, delivery))
  const voucher = vouchers.at(-1)
  const [first] = jobs
  if (!voucher || !first) throw new TypeError('no job')
  return { jobs, voucher, id: laneId(first.parts.order), orderHash: first.parts.orderHash }
}

const approve = (settlement: SettlementLanes) => harness.client.approveSettlement(settlement, node)
const refusalOf = async (settlement: SettlementLanes) =>
  findRefusedLanes(
    await approve(settlement).then(
      () => undefined,
      (error: unknown) => error,
    ),
  )

describe('an approval', () => {
  test('is the solver’s signature, for ten minutes, over a settlement of jobs it reserved', async () => {
    const { jobs, voucher } = await placeLane(2)
    const settlement = settlementOf(jobs, voucher)
    const { approval, approvedUntil, settlementHash: hash } = await approve(settlement)
    expect(hash).toBe(settlementHash(settlement))
    expect(Math.abs(approvedUntil - seconds() - approvalSeconds)).toBeLessThan(5)
    const signed = { settlementHash: hash, validUntil: approvedUntil }
    expect(settlementApprovalType.findSigner(domain, signed, approval)).toBe(solver.address)
  })

  test('is given to the provider of the settlement alone, by its solver alone', async () => {
    const { jobs, voucher } = await placeLane()
    const settlement = settlementOf(jobs, voucher)
    expect(await codeOf(harness.client.approveSettlement(settlement, stranger))).toBe('UNAUTHORIZED')
    const bare = await fetch(`${harness.url}/settlements/approvals`, {
      method: 'POST',
      body: JSON.stringify(settlement),
      headers: { 'content-type': 'application/json' },
    })
    expect(bare.status).toBe(401)
    expect(await codeOf(approve({ ...settlement, solver: stranger.address }))).toBe('INVALID_REQUEST')
    expect(await codeOf(approve({ ...settlement, token: stranger.address }))).toBe('INVALID_REQUEST')
    expect(await codeOf(approve({ ...settlement, lanes: '0x' }))).toBe('INVALID_REQUEST')
    expect(await codeOf(approve({ ...settlement, lanes: '0x00' }))).toBe('INVALID_REQUEST')
    const old = createAuthorization(domain, settlementHash(settlement), node, new Date(Date.now() - 3_600_000))
    const late = await fetch(`${harness.url}/settlements/approvals`, {
      method: 'POST',
      body: JSON.stringify(settlement),
      headers: { 'content-type': 'application/json', authorization: old },
    })
    expect(late.status).toBe(401)
  })

  test('is refused for a payer that pays itself at a second provider: nobody reserved that', async () => {
    const own = createOrder({ change: { lane: lanes++, provider: stranger.address } })
    const delivery = createDelivery(own, { provider: stranger })
    const voucher = createLane().next(own.order, delivery)
    const settlement = { ...settlementOf([{ parts: own, delivery }], voucher), provider: stranger.address }
    const refused = harness.client.approveSettlement(settlement, stranger)
    await expect(refused).rejects.toMatchObject({
      code: 'SETTLEMENT_REFUSED',
      details: [`${laneId(own.order)}: job ${own.orderHash} was not reserved here`],
    })
  })

  test('is refused whole and names each lane with its reason', async () => {
    const good = await placeLane()
    const failed = await placeLane(1, 1)
    const other = await placeLane()
    const parts = [good, failed, other].map(({ jobs, voucher }) => settlementOf(jobs, voucher))
    const lanesOf = parts.map((settlement) => settlement.lanes.slice(2)).join('')
    const [terms] = parts
    if (!terms) return expect.unreachable()
    const joined = { ...terms, lanes: `0x${lanesOf}` as const }
    expect(await refusalOf(joined)).toEqual([{ laneId: failed.id, reason: `job ${failed.orderHash} is failed` }])
    // Its price may not rise after the receipt, whatever the key signs.
    const [job] = other.jobs
    if (!job) return expect.unreachable()
    const dear = { ...other.voucher.voucher, cumulativeAmount: 5000n }
    const signature = voucherType.sign(domain, dear, payer)
    expect(await refusalOf(settlementOf([job], { voucher: dear, signature }, { price: 5000n }))).toEqual([
      { laneId: other.id, reason: `job ${other.orderHash} costs 1005, not 5000` },
    ])
    const again = settlementOf([{ ...job, delivery: createDelivery(job.parts) }], other.voucher)
    const renamed = { ...again, moduleVersions: [sha256('other')] }
    expect((await refusalOf(renamed))?.[0]?.reason).toMatch(/module version|receipt/)
  })

  test('fits one progress of the lane: the same job cannot be approved a second time for the next', async () => {
    const { jobs, voucher, id, orderHash } = await placeLane()
    const settlement = settlementOf(jobs, voucher)
    await approve(settlement)
    const [job] = jobs
    if (!job) return expect.unreachable()
    const nonce = job.parts.order.nonce
    // What the key would sign to be paid once more right after the first.
    const more = { ...voucher.voucher, jobs: 2, cumulativeAmount: voucher.voucher.cumulativeAmount * 2n }
    const second = settlementOf(jobs, { voucher: more, signature: voucherType.sign(domain, more, payer) })
    expect((await refusalOf(second))?.[0]).toMatchObject({
      laneId: id,
      reason: expect.stringContaining('the key did not sign'),
    })
    harness.chain.setLane(id, { settledJobs: 1, settledAmount: 1005n, nextNonce: nonce + 1 })
    expect((await refusalOf(settlement))?.[0]?.reason).toContain('the key did not sign')
    const implied = packSettlementLanes({ provider: node.address, solver: solver.address, token }, [
      {
        payer: payer.address,
        key: payer.address,
        lane: job.parts.order.lane,
        previousRecordsHash: zeroBytes32,
        signature: voucher.signature,
        records: [
          {
            orderHash,
            receiptHash: receiptType.hash(domain, job.delivery.receipt),
            moduleVersion: job.parts.order.moduleVersion,
            price: 1005n,
            nonce: nonce + 1,
          },
        ],
        nextNonce: nonce + 1,
      },
    ])
    expect((await refusalOf(implied))?.[0]?.reason).toContain(`has the nonce ${nonce}, not ${nonce + 1}`)
  })
})

describe('a job whose money was freed', () => {
  const day = 86_400
  /** A delivered job of a payer with this much, expired. */
  async function expireOne(balance: bigint) {
    const own = await startHarness()
    const at = await connectProvider(own.url)
    own.chain.setBalance(payer.address, token, { ...account, balance: 1100n })
    await until(async () => (await own.client.getModule('echo')).offers.length === 1)
    const parts = createOrder({ change: { lane: 1 } })
    await until(async () => (await codeOf(own.client.postOrder(parts.request))) === 'no error')
    const delivery = await deliver(own.url, at, parts)
    const voucher = createLane().next(parts.order, delivery)
    own.clock.offsetSeconds = day + 60
    await at.take('expired', parts.orderHash)
    own.chain.setBalance(payer.address, token, { ...account, balance })
    return {
      own,
      at,
      settlement: settlementOf([{ parts, delivery }], voucher),
      orderHash: parts.orderHash,
      async close() {
        await at.close()
        await own.close()
      },
    }
  }
  const authorizedAt = (settlement: SettlementLanes, harness: Harness) =>
    fetch(`${harness.url}/settlements/approvals`, {
      method: 'POST',
      body: JSON.stringify(settlement),
      headers: {
        'content-type': 'application/json',
        authorization: createAuthorization(
          domain,
          settlementHash(settlement),
          node,
          new Date(Date.now() + harness.clock.offsetSeconds * 1000),
        ),
      },
    })
  const orderLate = (harness: Harness): Promise<string> => {
    const now = seconds() + harness.clock.offsetSeconds
    const ask = createAsk(node, { validUntil: now + 3600 })
    const { request } = createOrder({ ask, change: { lane: 9, startBy: now + 60, deliverBy: now + 120 } })
    return codeOf(harness.client.postOrder(request))
  }

  test('is reserved again while the approval can be used, and freed after it', async () => {
    const { own, settlement, close } = await expireOne(2104n)
    expect((await authorizedAt(settlement, own)).status).toBe(200)
    expect(await orderLate(own)).toBe('INSUFFICIENT_BALANCE')
    expect((await authorizedAt(settlement, own)).status, 'asking twice counts once').toBe(200)
    own.clock.offsetSeconds += approvalSeconds + 310
    await until(async () => (await orderLate(own)) === 'no error')
    await close()
  })

  test('is not approved when the payer has too little left', async () => {
    const { own, settlement, orderHash, close } = await expireOne(1004n)
    const response = await authorizedAt(settlement, own)
    expect(response.status).toBe(409)
    expect(JSON.stringify(await response.json())).toContain('the payer has 1004 left for 1005')
    expect(orderHash).toMatch(/^0x/)
    await close()
  })
})

describe('an order of a guarded payer', () => {
  const order = () => codeOf(harness.client.postOrder(createOrder({ change: { lane: lanes++ } }).request))
  const set = (change: { balance?: bigint; guardian?: Address; nextGuardian?: Address; guardianChangesAt?: number }) =>
    harness.chain.setBalance(payer.address, token, { ...account, ...change })

  test('is taken by its guardian alone, and not when the payer is about to leave', async () => {
    expect(await order()).toBe('no error')
    set({ guardian: stranger.address })
    expect(await order()).toBe('GUARDIAN_MISMATCH')
    set({ nextGuardian: zeroAddress, guardianChangesAt: seconds() + 600 })
    expect(await order()).toBe('GUARDIAN_MISMATCH')
    set({ nextGuardian: zeroAddress, guardianChangesAt: seconds() + 86_400 })
    expect(await order()).toBe('no error')
    set({ guardian: zeroAddress })
    expect(await order()).toBe('no error')
    set({})
  })

  test('finds the money of announced settlements gone, until they can no longer be settled', async () => {
    const announce = (settlement: SettlementLanes | undefined, hash: Bytes32, expiresIn: number) =>
      harness.chain.announce({
        settlementHash: hash,
        payer: payer.address,
        token,
        amount: 900_000_000n,
        expiresAt: seconds() + expiresIn,
        settlement,
      })
    announce(undefined, sha256('over'), -3600)
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(await order()).toBe('no error')
    announce(undefined, sha256('unreadable'), 3600)
    await until(async () => (await order()) === 'INSUFFICIENT_BALANCE')
    harness.chain.rewind(1)
    harness.chain.mine(2)
    await until(async () => (await order()) === 'no error')

    const { jobs, voucher, id } = await placeLane()
    const settlement = settlementOf(jobs, voucher)
    announce(settlement, settlementHash(settlement), 3600)
    await until(async () => (await order()) === 'INSUFFICIENT_BALANCE')
    harness.chain.setLane(id, { settledJobs: 1, settledAmount: 1005n, nextNonce: 1 })
    await until(async () => (await order()) === 'no error')
  })
})
