import { afterAll, beforeAll, expect, test } from 'vitest'
import { actors, contracts, createDelivery, createOrder } from './fixtures.ts'
import { access, codeOf, connectProvider, deliver, type Harness, startHarness, type TestProvider } from './harness.ts'

let harness: Harness
let provider: TestProvider
const requester = actors.payer

beforeAll(async () => {
  harness = await startHarness()
  provider = await connectProvider(harness.url)
})
afterAll(async () => {
  await provider?.close()
  await harness?.close()
})

test('a job that nobody took ends at once, its money is free, and the provider is told not to begin', async () => {
  const payer = actors.sessionKey
  harness.chain.setBalance(payer.address, contracts.lilyToken, { balance: 1005n })
  const order = () => createOrder({ payer, change: { maxPrice: 1005n, lane: 71 } })
  const parts = order()
  const { orderHash } = parts
  await harness.client.postOrder(parts.request)
  await provider.take('order', orderHash)
  const cancelled = await harness.client.cancelJob(orderHash, payer)
  expect(cancelled).toMatchObject({ state: 'expired', reason: { code: 'CANCELLED' } })
  await provider.take('expired', orderHash)
  provider.send({ type: 'accepted', orderHash })
  await provider.take('expired', orderHash)
  expect(await harness.client.cancelJob(orderHash, payer)).toMatchObject({ state: 'expired' })
  // The whole balance is there for the next order.
  expect((await harness.client.postOrder(order().request)).state).toBe('reserved')
})

test('of a job that runs the provider is asked to stop; its receipt decides', async () => {
  const parts = createOrder({ change: { lane: 73 } })
  const { orderHash } = parts
  await harness.client.postOrder(parts.request)
  await provider.take('order', orderHash)
  provider.send({ type: 'accepted', orderHash })
  provider.send({ type: 'started', orderHash })
  await expect
    .poll(async () => (await harness.client.getJob(orderHash, requester)).state, { timeout: 10_000 })
    .toBe('running')
  expect((await harness.client.cancelJob(orderHash, requester)).state).toBe('running')
  await provider.take('cancel', orderHash)
  provider.send({ type: 'delivered', orderHash, delivery: createDelivery(parts, { status: 1 }) })
  await provider.take('stored', orderHash)
  expect((await harness.client.getJob(orderHash, requester)).state).toBe('failed')
})

test('a delivered job is not cancelled', async () => {
  const parts = createOrder({ change: { lane: 74 } })
  await harness.client.postOrder(parts.request)
  await deliver(harness.url, provider, parts)
  expect(await codeOf(harness.client.cancelJob(parts.orderHash, requester))).toBe('STATE_CONFLICT')
})

test('a job whose provider is away cannot be stopped, and the answer says so', async () => {
  const parts = createOrder({ change: { lane: 75 } })
  const { orderHash } = parts
  await harness.client.postOrder(parts.request)
  await provider.take('order', orderHash)
  provider.send({ type: 'accepted', orderHash })
  provider.send({ type: 'started', orderHash })
  await expect
    .poll(async () => (await harness.client.getJob(orderHash, requester)).state, { timeout: 10_000 })
    .toBe('running')
  await provider.close()
  await expect
    .poll(() => codeOf(harness.client.cancelJob(orderHash, requester)), { timeout: 10_000 })
    .toBe('PROVIDER_GONE')
  provider = await connectProvider(harness.url)
})

test('strangers, the provider and a header for reading cancel nothing', async () => {
  const parts = createOrder({ change: { lane: 76 } })
  const { orderHash } = parts
  await harness.client.postOrder(parts.request)
  expect(await codeOf(harness.client.cancelJob(orderHash, actors.stranger))).toBe('JOB_UNKNOWN')
  expect(await codeOf(harness.client.cancelJob(orderHash, actors.provider))).toBe('JOB_UNKNOWN')
  const url = `${harness.url}/jobs/${orderHash}/cancellation`
  expect((await fetch(url, { method: 'POST' })).status).toBe(401)
  const reading = await fetch(url, { method: 'POST', headers: access(orderHash, requester) })
  expect(reading.status).toBe(404)
  expect((await harness.client.getJob(orderHash, requester)).state).toBe('reserved')
})
