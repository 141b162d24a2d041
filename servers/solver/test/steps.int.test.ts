import {
  appendRecord,
  createAuthorization,
  findRefusedLanes,
  firstStepLane,
  laneId,
  packSettlementLanes,
  settlementHash,
  type Signer,
  type Step,
  type StepAcknowledgement,
  stepRecord,
  stepType,
  StreamChain,
  voucherType,
  zeroBytes32,
} from '@lilypad-agents/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  actors,
  contracts,
  createAsk,
  createDelivery,
  createOrder,
  domain,
  type OrderParts,
  outputBytes,
  outputFile,
} from './fixtures.ts'
import { codeOf, connectProvider, type Harness, startHarness, type TestProvider, until } from './harness.ts'

const { payer, provider: node, solver, stranger } = actors
const token = contracts.lilyToken
let harness: Harness
let provider: TestProvider
let lane = firstStepLane

beforeAll(async () => {
  harness = await startHarness()
  provider = await connectProvider(harness.url)
  harness.chain.setBalance(payer.address, token, { balance: 1_000_000n, guardian: solver.address })
})
afterAll(async () => {
  await provider?.close()
  await harness?.close()
})

async function startJob(change: Parameters<typeof createOrder>[0] = { change: { lane: lane++, nonce: 0 } }) {
  const parts = createOrder(change)
  const { orderHash } = parts
  await harness.client.postOrder(parts.request)
  await provider.take('order', orderHash)
  provider.send({ type: 'started', orderHash })
  await until(async () => (await harness.client.getJob(orderHash, payer)).state === 'running')
  return parts
}

/** The job ends, with its one output or, with another status than 0, without. */
async function handIn(parts: OrderParts, status: number): Promise<void> {
  const { orderHash } = parts
  const files = status === 0 ? [{ sha256: outputFile.sha256, data: Buffer.from(outputBytes).toString('base64') }] : []
  provider.send({ type: 'delivered', orderHash, delivery: createDelivery(parts, { status }), files })
  expect((await provider.take('stored', orderHash)).missing).toEqual([])
}

function stepOf({ orderHash }: OrderParts, price: bigint, signer: Signer = node) {
  const { head } = StreamChain.start(orderHash, 1).position
  const units = { inputUnits: 0, outputUnits: 0, meteredSeconds: 0 }
  const step: Step = { orderHash, attempt: 1, chunks: 1, head, ...units, price }
  return { step, signature: stepType.sign(domain, step, signer) }
}

/** What a requester hands in for the first job of a lane. */
function acknowledge(parts: OrderParts, price: bigint, by: { signer?: Signer; maker?: Signer; sum?: bigint } = {}) {
  const { signer = payer, maker = node, sum = price } = by
  const { order } = parts
  const step = stepOf(parts, price, maker)
  const recordsHash = appendRecord(zeroBytes32, stepRecord(domain, order, step.step))
  const { payer: owner, key, provider: seller, solver: via, lane: number } = order
  const voucher = {
    payer: owner,
    key,
    provider: seller,
    solver: via,
    token,
    lane: number,
    cumulativeAmount: sum,
    jobs: 1,
    recordsHash,
  }
  return { step, acknowledgement: { voucher, signature: voucherType.sign(domain, voucher, signer) } }
}

function settlementOf({ order }: OrderParts, { step, acknowledgement }: StepAcknowledgement, price = step.step.price) {
  const records = [{ ...stepRecord(domain, order, step.step), price }]
  const { lane: number } = order
  return packSettlementLanes({ provider: node.address, solver: solver.address, token }, [
    {
      payer: order.payer,
      key: order.key,
      lane: number,
      previousRecordsHash: zeroBytes32,
      signature: acknowledgement.signature,
      records,
      nextNonce: 0,
    },
  ])
}

test('steps go to readers that ask for them, and the provider is told of those', async () => {
  const parts = await startJob()
  const { orderHash } = parts
  const stop = new AbortController()
  const seen: bigint[] = []
  const read = async (hasSteps: boolean) => {
    const watch = { stream: { attempt: 1, chunks: 0 }, hasSteps, signal: stop.signal }
    for await (const event of harness.client.watchJob(orderHash, payer, watch))
      if (event.type === 'step') seen.push(event.step.step.price)
  }
  const reading = [read(false), read(true)].map((reader) => reader.catch(() => undefined))
  await provider.take('steps', orderHash)
  provider.send({ type: 'step', orderHash, step: stepOf(parts, 1n) })
  await until(() => seen.length === 1)
  // What was told over a line that broke is told again.
  await provider.close()
  provider = await connectProvider(harness.url)
  await provider.take('steps', orderHash)
  provider.send({ type: 'step', orderHash, step: stepOf(parts, 2n) })
  await until(() => seen.length === 2)
  stop.abort()
  await Promise.all(reading)
  expect(seen).toEqual([1n, 2n])
})

test('a voucher for a step goes to the provider, again after a reconnection, and of two the dearer', async () => {
  const parts = await startJob()
  const { orderHash } = parts
  const dear = acknowledge(parts, 200n)
  await harness.client.acknowledgeStep(orderHash, dear)
  expect((await provider.take('step-acknowledgement', orderHash)).acknowledged).toEqual(dear)
  await harness.client.acknowledgeStep(orderHash, acknowledge(parts, 100n))
  expect((await provider.take('step-acknowledgement', orderHash)).acknowledged).toEqual(dear)
  await provider.close()
  provider = await connectProvider(harness.url)
  expect((await provider.take('step-acknowledgement', orderHash)).acknowledged).toEqual(dear)
})

test('a voucher that the job cannot be paid by is refused', async () => {
  const parts = await startJob()
  const shared = await startJob({ change: { lane: 77, nonce: 0 } })
  const refusal = (of: OrderParts, acknowledged: StepAcknowledgement) =>
    codeOf(harness.client.acknowledgeStep(of.orderHash, acknowledged))
  expect(await refusal(parts, acknowledge(parts, 1n, { signer: stranger }))).toBe('JOB_UNKNOWN')
  expect(await refusal(parts, acknowledge(parts, 1n, { maker: stranger }))).toBe('VERIFICATION_FAILED')
  expect(await refusal(parts, acknowledge(parts, 1n, { sum: 2n }))).toBe('VERIFICATION_FAILED')
  expect(await refusal(parts, acknowledge(parts, parts.order.maxPrice + 1n))).toBe('VERIFICATION_FAILED')
  expect(await refusal(parts, { ...acknowledge(parts, 1n), step: stepOf(shared, 1n) })).toBe('VERIFICATION_FAILED')
  expect(await refusal(shared, acknowledge(shared, 1n))).toBe('VERIFICATION_FAILED')
  await handIn(parts, 0)
  expect(await refusal(parts, acknowledge(parts, 1n))).toBe('STATE_CONFLICT')
})

test('what was acknowledged of a job that failed stays reserved, is consented to and known when it is paid', async () => {
  const parts = await startJob()
  const { orderHash, order } = parts
  const acknowledged = acknowledge(parts, 300n)
  await harness.client.acknowledgeStep(orderHash, acknowledged)
  await handIn(parts, 1)
  expect(await harness.client.getJob(orderHash, payer)).toMatchObject({ state: 'failed', settlement: null })
  const approve = (price?: bigint) => harness.client.approveSettlement(settlementOf(parts, acknowledged, price), node)
  expect(findRefusedLanes(await approve(301n).catch((error: unknown) => error))).toMatchObject([
    { laneId: laneId(order), reason: expect.stringContaining('is failed') },
  ])
  await approve()
  const { receiptHash, price } = stepRecord(domain, order, acknowledged.step.step)
  harness.chain.settle({ orderHash, receiptHash, price, payer: payer.address, provider: node.address })
  await until(async () => (await harness.client.getJob(orderHash, payer)).settlement !== null)
  expect(await harness.client.getJob(orderHash, payer)).toMatchObject({ state: 'failed', settlement: { price: 300n } })
})

test('a job that costs less than its step does not hold again what was freed: other orders may have it', async () => {
  const own = await startHarness()
  const at = await connectProvider(own.url)
  own.chain.setBalance(payer.address, token, { balance: 1100n + 1005n, guardian: solver.address })
  const run = async (parts: OrderParts) => {
    await until(async () => (await codeOf(own.client.postOrder(parts.request))) === 'no error')
    await at.take('order', parts.orderHash)
    at.send({ type: 'started', orderHash: parts.orderHash })
  }
  const parts = createOrder({ change: { lane: lane++, nonce: 0 } })
  const { orderHash } = parts
  await run(parts)
  const acknowledged = acknowledge(parts, parts.order.maxPrice)
  await own.client.acknowledgeStep(orderHash, acknowledged)
  const files = [{ sha256: outputFile.sha256, data: Buffer.from(outputBytes).toString('base64') }]
  at.send({ type: 'delivered', orderHash, delivery: createDelivery(parts), files })
  await at.take('stored', orderHash)
  expect(parts.order.maxPrice).toBe(1100n)
  expect(await own.client.getJob(orderHash, payer)).toMatchObject({
    state: 'delivered',
    delivery: { receipt: { price: 1005n } },
  })
  // Another order has what was freed, and lasts longer than the first waits for its acknowledgement.
  own.clock.offsetSeconds = 86_400 - 60
  const now = Math.floor(Date.now() / 1000) + own.clock.offsetSeconds
  const ask = createAsk(node, { validUntil: now + 3600 })
  await run(createOrder({ ask, change: { lane: lane++, nonce: 0, startBy: now + 300, deliverBy: now + 3600 } }))
  own.clock.offsetSeconds = 86_400 + 60
  await at.take('expired', orderHash)
  const settlement = settlementOf(parts, acknowledged)
  const response = await fetch(`${own.url}/settlements/approvals`, {
    method: 'POST',
    body: JSON.stringify(settlement),
    headers: {
      'content-type': 'application/json',
      authorization: createAuthorization(
        domain,
        settlementHash(settlement),
        node,
        new Date(Date.now() + own.clock.offsetSeconds * 1000),
      ),
    },
  })
  expect(await response.text()).toContain('the money of a job was freed')
  expect(response.status).toBe(409)
  await at.close()
  await own.close()
})
