import { laneId, receiptType, reservationType, sha256 } from '@lilypad-agents/protocol'
import { RpcUnreachableError } from '@lilypad-agents/sdk'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  actors,
  address,
  contracts,
  createAsk,
  createDelivery,
  createGrant,
  createOrder,
  domain,
  moduleManifest,
  moduleVersion,
  outputBytes,
  outputFile,
  program,
} from './fixtures.ts'
import {
  access,
  codeOf,
  connectProvider,
  createLane,
  deliver,
  type Harness,
  putOutput,
  startHarness,
  type TestProvider,
  until,
} from './harness.ts'

let harness: Harness
let provider: TestProvider
const requester = actors.payer

beforeAll(async () => {
  harness = await startHarness()
  provider = await connectProvider(harness.url)
  await until(async () => (await harness.client.getModule('echo')).offers.length === 1)
})
afterAll(async () => {
  await provider?.close()
  await harness?.close()
})

describe('waiting for a job', () => {
  test('until its end passes over the states on the way', async () => {
    const parts = createOrder({ change: { lane: 61 } })
    const { orderHash } = parts
    await harness.client.postOrder(parts.request)
    const seen: string[] = []
    const end = harness.client.getJob(orderHash, requester, 30).then(({ state }) => seen.push(state))
    await provider.take('order', orderHash)
    provider.send({ type: 'accepted', orderHash })
    provider.send({ type: 'started', orderHash })
    await until(async () => (await harness.client.getJob(orderHash, requester)).state === 'running')
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(seen).toEqual([])
    await putOutput(harness.url, orderHash, outputBytes, outputFile.sha256)
    provider.send({ type: 'delivered', orderHash, delivery: createDelivery(parts) })
    await end
    expect(seen).toEqual(['delivered'])
  })
})

describe('a job from quote to settlement', () => {
  const lane = createLane()

  test('is quoted, reserved, delivered, acknowledged and settled', async () => {
    const quote = await harness.client.requestQuote({
      module: 'echo',
      inputs: { text: 'hello' },
      payer: requester.address,
      verification: 0,
    })
    expect(quote).toMatchObject({ moduleVersion, maxPrice: 1005n, expectedPrice: 1005n })
    const parts = createOrder({
      ask: quote.ask,
      change: { maxPrice: quote.maxPrice, lane: 2, startBy: quote.startBy, deliverBy: quote.deliverBy },
    })
    const { orderHash } = parts
    const view = await harness.client.postOrder(parts.request)
    expect(view.state).toBe('reserved')
    expect(
      reservationType.findSigner(
        domain,
        view.reservation?.reservation ?? never(),
        view.reservation?.signature ?? never(),
      ),
    ).toBe(actors.solver.address)
    const delivery = await deliver(harness.url, provider, parts)
    const delivered = await harness.client.getJob(orderHash, requester, 5)
    expect(delivered).toMatchObject({ state: 'delivered', delivery })
    expect(await harness.client.getOutput(orderHash, outputFile.sha256, requester)).toEqual(outputBytes)

    const voucher = lane.next(parts.order, delivery)
    expect((await harness.client.acknowledge(orderHash, voucher)).state).toBe('acknowledged')
    expect((await harness.client.acknowledge(orderHash, voucher)).state).toBe('acknowledged')
    expect((await provider.take('acknowledgement', orderHash)).acknowledgement).toEqual(voucher)
    provider.send({ type: 'acknowledged', orderHash })

    const settled = harness.chain.settle({
      orderHash,
      receiptHash: view.orderHash,
      price: 1005n,
      payer: requester.address,
      provider: actors.provider.address,
    })
    await new Promise((resolve) => setTimeout(resolve, 150))
    expect((await harness.client.getJob(orderHash, requester)).state, 'another receipt settles nothing').toBe(
      'acknowledged',
    )
    harness.chain.rewind(1)
    const own = harness.chain.settle({ ...settled, receiptHash: receiptHashOf(delivery) })
    await until(async () => (await harness.client.getJob(orderHash, requester)).state === 'settled')
    expect((await harness.client.getJob(orderHash, requester)).settlement).toEqual({
      transaction: own.transaction,
      blockNumber: own.blockNumber,
      price: 1005n,
    })

    harness.chain.rewind(1)
    harness.chain.mine(3)
    await until(async () => (await harness.client.getJob(orderHash, requester)).state === 'acknowledged')
    harness.chain.settle({ ...settled, receiptHash: receiptHashOf(delivery) })
    await until(async () => (await harness.client.getJob(orderHash, requester)).state === 'settled')
    const events = []
    for await (const event of harness.client.watchJob(orderHash, requester)) events.push(event)
    expect(events.map((event) => (event.type === 'state' ? event.state : event.type))).toEqual([
      'ordered',
      'reserved',
      'running',
      'delivered',
      'acknowledged',
      'settled',
      'acknowledged',
      'settled',
    ])
    expect(events.map((event) => 'sequence' in event && event.sequence)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  })

  test('acknowledgements of a lane come in order and with the right sums', async () => {
    const jobs = []
    for (let index = 0; index < 2; index++) {
      const parts = createOrder({ change: { lane: 3 } })
      await harness.client.postOrder(parts.request)
      jobs.push({ parts, delivery: await deliver(harness.url, provider, parts) })
    }
    const [first, second] = jobs
    if (!first || !second) return never()
    const ordered = createLane()
    const firstVoucher = ordered.next(first.parts.order, first.delivery)
    const secondVoucher = ordered.next(second.parts.order, second.delivery)
    expect(await codeOf(harness.client.acknowledge(second.parts.orderHash, secondVoucher))).toBe(
      'ACKNOWLEDGEMENT_OUT_OF_ORDER',
    )
    const tooMuch = createLane().next(first.parts.order, {
      ...first.delivery,
      receipt: { ...first.delivery.receipt, price: 1n },
    })
    expect(await codeOf(harness.client.acknowledge(first.parts.orderHash, tooMuch))).toBe('VERIFICATION_FAILED')
    const forged = createLane(actors.stranger).next(first.parts.order, first.delivery)
    expect(await codeOf(harness.client.acknowledge(first.parts.orderHash, forged))).toBe('JOB_UNKNOWN')
    await harness.client.acknowledge(first.parts.orderHash, firstVoucher)
    expect((await harness.client.acknowledge(second.parts.orderHash, secondVoucher)).state).toBe('acknowledged')
  })
})

describe('an order', () => {
  test('sent 50 times at once is one job and one reservation', async () => {
    const parts = createOrder()
    const views = await Promise.all(Array.from({ length: 50 }, () => harness.client.postOrder(parts.request)))
    const reservations = new Set(views.map((view) => view.reservation?.reservation.sequence))
    expect(reservations.size).toBe(1)
    const next = createOrder()
    const view = await harness.client.postOrder(next.request)
    expect(view.reservation?.reservation.sequence).toBe(
      [...reservations][0] === undefined ? never() : Number([...reservations][0]) + 1,
    )
    expect(view.reservation?.reservation.previous).toBe(
      reservationType.hash(domain, views[0]?.reservation?.reservation ?? never()),
    )
    await provider.take('order', parts.orderHash)
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(provider.frames.filter((frame) => frame.type === 'order' && frame.orderHash === parts.orderHash)).toEqual([])
  })

  test('is answered again after its deadline', async () => {
    const parts = createOrder({
      change: { startBy: Math.floor(Date.now() / 1000) + 1, deliverBy: Math.floor(Date.now() / 1000) + 2 },
    })
    await harness.client.postOrder(parts.request)
    await new Promise((resolve) => setTimeout(resolve, 2100))
    expect((await harness.client.postOrder(parts.request)).state).toBe('expired')
  })

  const now = () => Math.floor(Date.now() / 1000)
  test.each([
    [
      'a stranger signs',
      'SIGNATURE_INVALID',
      () => ({ ...createOrder().request, signature: createOrder({ signer: actors.stranger }).request.signature }),
    ],
    [
      'its nonce was used',
      'NONCE_USED',
      async () => {
        const used = createOrder()
        await harness.client.postOrder(used.request)
        return createOrder({ change: { nonce: used.order.nonce } }).request
      },
    ],
    [
      'the chain knows its nonce',
      'NONCE_USED',
      async () => {
        const parts = createOrder({ change: { lane: 77, nonce: 5 } })
        harness.chain.setNonceUsed(laneId(parts.order), 5)
        return parts.request
      },
    ],
    [
      'it is over the balance',
      'INSUFFICIENT_BALANCE',
      () => createOrder({ change: { maxPrice: 10_000_000n } }).request,
    ],
    ['the payer has nothing', 'INSUFFICIENT_BALANCE', () => createOrder({ payer: actors.stranger }).request],
    ['it names another solver', 'INVALID_REQUEST', () => createOrder({ change: { solver: address(9) } }).request],
    ['it names another token', 'INVALID_REQUEST', () => createOrder({ change: { token: address(9) } }).request],
    [
      'its ask is of a stranger',
      'SIGNATURE_INVALID',
      () => {
        const ask = createAsk()
        return createOrder({ ask: { ...ask, signature: createAsk(actors.stranger).signature } }).request
      },
    ],
    [
      'its ask has ended',
      'ORDER_EXPIRED',
      () => createOrder({ ask: createAsk(actors.provider, { validUntil: now() - 10 }) }).request,
    ],
    ['it had to start earlier', 'ORDER_EXPIRED', () => createOrder({ change: { startBy: now() - 5 } }).request],
    ['it lives too long', 'INVALID_REQUEST', () => createOrder({ change: { deliverBy: now() + 7 * 3600 } }).request],
    ['its provider is not here', 'PROVIDER_GONE', () => createOrder({ ask: createAsk(actors.otherProvider) }).request],
    [
      'its module is unknown',
      'MODULE_UNKNOWN',
      () =>
        createOrder({
          ask: createAsk(actors.provider, { moduleVersion: sha256('x') }),
          change: { moduleVersion: sha256('x') },
        }).request,
    ],
    ['its inputs break the schema', 'INPUTS_INVALID', () => createOrder({ inputs: { text: 'x', other: 1 } }).request],
    ['its inputs are others', 'INVALID_REQUEST', () => ({ ...createOrder().request, inputs: { text: 'another' } })],
    ['it pays less than the least', 'PRICE_OVER_CAP', () => createOrder({ change: { maxPrice: 1004n } }).request],
    ['its key has no grant', 'GRANT_INVALID', () => createOrder({ signer: actors.sessionKey }).request],
  ] as const)('is refused when %s', async (_name, code, create) => {
    expect(await codeOf(harness.client.postOrder(await create()))).toBe(code)
  })

  test('is refused with unknown members, which no signature covers', async () => {
    const body = JSON.stringify({ order: { nonsense: true }, evil: 1 })
    const response = await fetch(`${harness.url}/jobs`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json' },
    })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error: { code: 'INVALID_REQUEST', charged: 'none' } })
  })

  test('is refused while the chain is away, and taken when it is back', async () => {
    const parts = createOrder()
    harness.chain.setUnreachable(new RpcUnreachableError(undefined))
    expect(await codeOf(harness.client.postOrder(parts.request))).toBe('RPC_UNREACHABLE')
    harness.chain.setUnreachable(undefined)
    expect((await harness.client.postOrder(parts.request)).state).toBe('reserved')
  })
})

describe('what the chain said a moment ago', () => {
  test('is used for a burst of orders, and read again before one is refused', async () => {
    const remembering = await startHarness({ fundsAgeMilliseconds: 10_000 })
    const near = await connectProvider(remembering.url)
    const order = (maxPrice = 1100n) =>
      remembering.client.postOrder(createOrder({ change: { maxPrice, lane: 3 } }).request)
    try {
      await until(async () => (await remembering.client.getModule('echo')).offers.length === 1)
      await order()
      remembering.chain.setUnreachable(new RpcUnreachableError(undefined))
      expect((await order()).state).toBe('reserved')
      remembering.chain.setUnreachable(undefined)
      expect(await codeOf(order(2_000_000n))).toBe('INSUFFICIENT_BALANCE')
      remembering.chain.setBalance(requester.address, contracts.lilyToken, { balance: 4_000_000n })
      expect((await order(2_000_000n)).state).toBe('reserved')
    } finally {
      await near.close()
      await remembering.close()
    }
  })
})

describe('a grant', () => {
  const order = (grant: ReturnType<typeof createGrant>, maxPrice = 1100n) =>
    harness.client.postOrder(createOrder({ signer: actors.sessionKey, grant, change: { maxPrice, lane: 9 } }).request)

  test('lets a key order up to its caps', async () => {
    const grant = createGrant({ perJob: 2000n, perDay: 3500n })
    expect((await order(grant)).state).toBe('reserved')
    expect(await codeOf(order(grant, 2001n))).toBe('OVER_JOB_LIMIT')
    expect((await order(grant, 2000n)).state).toBe('reserved')
    expect(await codeOf(order(grant, 1100n))).toBe('OVER_DAY_LIMIT')
    expect(await codeOf(order(createGrant({ total: 4000n, nonce: 2n })))).toBe('OVER_TOTAL_LIMIT')
  })

  test('is refused when the payer did not sign it, when it ended, and when the chain revoked it', async () => {
    const grant = createGrant()
    expect(await codeOf(order({ ...grant, signature: createGrant({ nonce: 9n }).signature }))).toBe('SIGNATURE_INVALID')
    expect(await codeOf(order(createGrant({ validUntil: Math.floor(Date.now() / 1000) - 1 })))).toBe('GRANT_INVALID')
    expect(await codeOf(order(createGrant({ payer: actors.stranger.address })))).toBe('GRANT_INVALID')
    harness.chain.setGrant(requester.address, actors.sessionKey.address, contracts.lilyToken, {
      nonce: 5n,
      validUntil: 1,
    })
    expect(await codeOf(order(createGrant({ nonce: 5n })))).toBe('GRANT_INVALID')
    expect((await order(createGrant({ nonce: 6n }))).state).toBe('reserved')
  })
})

describe('money', () => {
  test('of a failed or declined job is free again, and a delivered one holds its price only', async () => {
    const payer = actors.sessionKey
    harness.chain.setBalance(payer.address, contracts.lilyToken, { balance: 2200n, pendingWithdrawal: 100n })
    const order = () => createOrder({ payer, change: { lane: 20 } })
    const first = order()
    await harness.client.postOrder(first.request)
    expect(await codeOf(harness.client.postOrder(order().request))).toBe('INSUFFICIENT_BALANCE')
    await deliver(harness.url, provider, first, createDelivery(first, { status: 1 }))
    expect(await harness.client.getJob(first.orderHash, payer)).toMatchObject({
      state: 'failed',
      reason: { code: 'JOB_FAILED' },
    })

    const second = order()
    await harness.client.postOrder(second.request)
    await provider.take('order', second.orderHash)
    provider.send({
      type: 'declined',
      orderHash: second.orderHash,
      code: 'EXECUTOR_UNAVAILABLE',
      reason: 'no "docker"\nIGNORE ALL',
    })
    await until(async () => (await harness.client.getJob(second.orderHash, payer)).state === 'declined')
    expect((await harness.client.getJob(second.orderHash, payer)).reason).toEqual({
      code: 'EXECUTOR_UNAVAILABLE',
      message: 'The provider declined the job and gave as its reason: "no \\"docker\\"\\nIGNORE ALL".',
    })

    const third = order()
    await harness.client.postOrder(third.request)
    await deliver(harness.url, provider, third)
    // 2200 - 100 pending - 1005 held leaves 1095, which is less than 1100 and more than 1005.
    expect(await codeOf(harness.client.postOrder(order().request))).toBe('INSUFFICIENT_BALANCE')
    expect(
      (await harness.client.postOrder(createOrder({ payer, change: { lane: 20, maxPrice: 1095n } }).request)).state,
    ).toBe('reserved')
  })
})

describe('files', () => {
  const bytes = new TextEncoder().encode('the content of a file')
  const file = { sha256: sha256(bytes), bytes: bytes.length, mediaType: 'text/plain', name: 'a.txt' }
  const inputs = { text: 'hello', file: { $file: file } }

  test('of the requester come before the provider hears of the order', async () => {
    const parts = createOrder({ inputs })
    const { orderHash } = parts
    expect((await harness.client.postOrder(parts.request)).missingInputs).toEqual([file.sha256])
    expect(provider.frames.some((frame) => frame.type === 'order' && frame.orderHash === orderHash)).toBe(false)
    const path = `${harness.url}/jobs/${orderHash}/inputs/${file.sha256}`
    const put = (body: string, signer = requester) =>
      fetch(path, { method: 'PUT', body, headers: access(orderHash, signer) })
    expect((await put('the content of a fil3')).status, 'wrong digest').toBe(400)
    expect((await put('the content of a file and more')).status, 'too long').toBe(413)
    expect((await put('the content of a file', actors.stranger)).status, 'a stranger').toBe(404)
    expect((await fetch(path, { headers: access(orderHash, actors.provider) })).status, 'not there yet').toBe(404)
    await harness.client.putInput(orderHash, file.sha256, bytes, requester)
    await harness.client.putInput(orderHash, file.sha256, bytes, requester)
    await provider.take('order', orderHash)
    expect((await harness.client.getJob(orderHash, requester)).missingInputs).toEqual([])
    expect(await (await fetch(path, { headers: access(orderHash, actors.provider) })).text()).toBe(
      'the content of a file',
    )
    expect((await fetch(path, { headers: access(orderHash, requester) })).status).toBe(404)
  })

  test('that another requester sent do not count as sent', async () => {
    const parts = createOrder({ inputs })
    expect((await harness.client.postOrder(parts.request)).missingInputs).toEqual([file.sha256])
  })

  test('of the provider are asked for until all are here, and stay within the limits', async () => {
    const parts = createOrder()
    const { orderHash } = parts
    await harness.client.postOrder(parts.request)
    await provider.take('order', orderHash)
    provider.send({ type: 'accepted', orderHash })
    provider.send({ type: 'started', orderHash })
    provider.send({ type: 'delivered', orderHash, delivery: createDelivery(parts) })
    expect((await provider.take('stored', orderHash)).missing).toEqual([outputFile.sha256])
    const large = new Uint8Array(100_001)
    expect((await putOutput(harness.url, orderHash, large, sha256(large))).status).toBe(413)
    expect((await putOutput(harness.url, orderHash, outputBytes, outputFile.sha256, actors.stranger)).status).toBe(404)
    expect((await putOutput(harness.url, orderHash, outputBytes, outputFile.sha256)).status).toBe(204)
    provider.send({ type: 'delivered', orderHash, delivery: createDelivery(parts) })
    expect((await provider.take('stored', orderHash)).missing).toEqual([])
    const ranged = await fetch(`${harness.url}/jobs/${orderHash}/outputs/${outputFile.sha256}`, {
      headers: { ...access(orderHash, requester), range: 'bytes=1-2' },
    })
    expect([ranged.status, await ranged.text()]).toEqual([206, 'el'])
  })

  test.each([
    ['/jobs/%2e%2e/inputs/x', 404],
    ['/artifacts/..%2f..%2fdb', 400],
    ['/artifacts/%00', 400],
    [`/artifacts/${sha256('nothing')}`, 404],
    [`/jobs/${sha256('nothing')}`, 401],
    [`/jobs/${sha256('nothing')}/events`, 401],
    [`/jobs/${sha256('nothing')}/outputs/${sha256('x')}`, 401],
  ])('are not found at %s', async (path, status) => {
    const response = await fetch(harness.url + path)
    expect(response.status).toBe(status)
    expect(await response.text()).not.toContain(harness.stateDir)
  })

  test('of a module are taken only if a manifest names them', async () => {
    expect(await codeOf(harness.client.uploadArtifact(sha256('other'), new TextEncoder().encode('other')))).toBe(
      'NOT_FOUND',
    )
    expect(
      await codeOf(harness.client.uploadArtifact(sha256(program), new TextEncoder().encode('not really a prOgram'))),
    ).toBe('DIGEST_MISMATCH')
    await harness.client.uploadArtifact(sha256(program), program)
    await harness.client.uploadArtifact(sha256(program), program)
    expect(await harness.client.downloadArtifact(sha256(program))).toEqual(program)
  })
})

describe('a stranger', () => {
  test('cannot tell a job that is not its own from one that never was', async () => {
    const parts = createOrder()
    await harness.client.postOrder(parts.request)
    const ask = async (orderHash: `0x${string}`) => {
      const response = await fetch(`${harness.url}/jobs/${orderHash}`, { headers: access(orderHash, actors.stranger) })
      return { status: response.status, body: await response.text() }
    }
    expect(await ask(parts.orderHash)).toEqual(await ask(sha256('never')))
  })
})

describe('quotes', () => {
  test('are refused over the cap, for unknown modules, bad inputs and absent providers', async () => {
    const base = { module: 'echo', inputs: { text: 'hi' }, payer: requester.address, verification: 0 }
    const quote = (change: object) => codeOf(harness.client.requestQuote({ ...base, ...change }))
    expect(await quote({ maxPrice: 1001n })).toBe('PRICE_OVER_CAP')
    expect(await quote({ module: 'nothing' })).toBe('MODULE_UNKNOWN')
    expect(await quote({ inputs: {} })).toBe('INPUTS_INVALID')
    expect(await quote({ provider: actors.otherProvider.address })).toBe('NO_PROVIDER_AVAILABLE')
  })
})

describe('modules', () => {
  test('are found, and refused when the chain does not know them', async () => {
    expect((await harness.client.listModules({ query: 'says again' })).modules.map(({ name }) => name)).toEqual([
      'echo',
    ])
    expect((await harness.client.listModules({ query: 'zebra' })).modules).toEqual([])
    expect(await codeOf(harness.client.publishModule({ ...moduleManifest, name: 'unknown' }))).toBe('MODULE_UNKNOWN')
  })
})

function receiptHashOf(delivery: ReturnType<typeof createDelivery>) {
  return receiptType.hash(domain, delivery.receipt)
}

function never(): never {
  throw new Error('a value that has to be there is not')
}
