import { once } from 'node:events'
import { readdir, rm } from 'node:fs/promises'
import { type IncomingMessage, request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { sha256 } from '@lilypad-agents/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { startSolver } from '../src/start-solver.ts'
import { createMemoryChain } from '../src/chain/memory-chain.ts'
import {
  actors,
  contracts,
  createAsk,
  createDelivery,
  createOrder,
  outputBytes,
  outputFile,
  seconds,
} from './fixtures.ts'
import {
  access,
  codeOf,
  connectProvider,
  createLane,
  deliver,
  type Harness,
  putOutput,
  createStateDir,
  startHarness,
  testConfig,
  until,
} from './harness.ts'

const requester = actors.payer
let harness: Harness

beforeAll(async () => {
  harness = await startHarness({ uploadIdleSeconds: 0.3, deliveryGraceSeconds: 0, acknowledgeWithinSeconds: 60 })
})
afterAll(() => harness?.close())

describe('a restart', () => {
  test('continues with orders, inputs, deliveries, acknowledgements and reservations', async () => {
    const bytes = new TextEncoder().encode('input')
    const file = { sha256: sha256(bytes), bytes: bytes.length, mediaType: 'text/plain', name: 'a.txt' }
    let provider = await connectProvider(harness.url)
    const withFile = createOrder({ inputs: { text: 'x', file: { $file: file } }, change: { lane: 40 } })
    const waiting = createOrder({ change: { lane: 40 } })
    const done = createOrder({ change: { lane: 40 } })
    await harness.client.postOrder(withFile.request)
    const before = await harness.client.postOrder(waiting.request)
    await harness.client.postOrder(done.request)
    const delivery = await deliver(harness.url, provider, done)
    await provider.close()

    await harness.restart()
    expect((await harness.client.postOrder(waiting.request)).reservation).toEqual(before.reservation)
    expect((await harness.client.getJob(done.orderHash, requester)).state).toBe('delivered')
    await harness.client.acknowledge(done.orderHash, createLane().next(done.order, delivery))
    await harness.client.putInput(withFile.orderHash, file.sha256, bytes, requester)

    await harness.restart()
    provider = await connectProvider(harness.url)
    await provider.take('order', waiting.orderHash)
    await provider.take('order', withFile.orderHash)
    await provider.take('acknowledgement', done.orderHash)
    const inputs = await fetch(`${harness.url}/jobs/${withFile.orderHash}/inputs/${file.sha256}`, {
      headers: access(withFile.orderHash, actors.provider),
    })
    expect(await inputs.text()).toBe('input')
    expect(await harness.client.getOutput(done.orderHash, outputFile.sha256, requester)).toEqual(outputBytes)
    const next = await harness.client.postOrder(createOrder({ change: { lane: 40 } }).request)
    expect(next.reservation?.reservation.sequence).toBe(4)
    await provider.close()
  })

  test('is refused a directory that another solver uses', async () => {
    expect(await codeOf(startSolver(testConfig(harness.stateDir), { chain: harness.chain }))).toBe('CONFIG_INVALID')
  })

  test('is refused on another chain', async () => {
    const stateDir = await createStateDir()
    expect(await codeOf(startSolver(testConfig(stateDir), { chain: createMemoryChain({ chainId: 1 }) }))).toBe(
      'WRONG_CHAIN',
    )
    await rm(stateDir, { recursive: true })
  })
})

describe('a provider', () => {
  test('that reconnects gets what it did not answer, once, and delivers what it ran meanwhile', async () => {
    const first = await connectProvider(harness.url)
    const unanswered = createOrder({ change: { lane: 50 } })
    const accepted = createOrder({ change: { lane: 50 } })
    await harness.client.postOrder(unanswered.request)
    await harness.client.postOrder(accepted.request)
    await first.take('order', accepted.orderHash)
    first.send({ type: 'accepted', orderHash: accepted.orderHash })
    await new Promise((resolve) => setTimeout(resolve, 100))
    await first.close()
    const second = await connectProvider(harness.url)
    await second.take('order', unanswered.orderHash)
    expect(second.frames.some((frame) => frame.type === 'order' && frame.orderHash === accepted.orderHash)).toBe(false)
    await putOutput(harness.url, accepted.orderHash, outputBytes, outputFile.sha256)
    second.send({ type: 'delivered', orderHash: accepted.orderHash, delivery: createDelivery(accepted) })
    await second.take('stored', accepted.orderHash)
    second.send({ type: 'delivered', orderHash: accepted.orderHash, delivery: createDelivery(accepted) })
    const [answer] = [await Promise.race([second.take('stored', accepted.orderHash), second.take('error')])]
    // The second receipt was signed a moment later, so it may be another receipt: one job has one.
    expect(['stored', 'error']).toContain(answer.type)
    expect((await harness.client.getJob(accepted.orderHash, requester)).state).toBe('delivered')
    await second.close()
  })

  test('takes the place of its older connection', async () => {
    const first = await connectProvider(harness.url)
    const closed = once(first.socket, 'close')
    const second = await connectProvider(harness.url)
    expect((await closed)[0]).toBe(4001)
    expect((await harness.client.getNetwork()).providersConnected).toBe(1)
    await second.close()
    await until(async () => (await harness.client.getNetwork()).providersConnected === 0)
  })

  test('that declines a job stands behind a dearer one for a while', async () => {
    const own = await startHarness()
    try {
      const provider = await connectProvider(own.url)
      const dearer = await connectProvider(own.url, {
        signer: actors.otherProvider,
        asks: [createAsk(actors.otherProvider, { pricePerJob: 2000n })],
      })
      const chosen = async () => {
        const asked = { module: 'echo', inputs: { text: 'hi' }, payer: requester.address, verification: 0 }
        return (await own.client.requestQuote(asked)).ask.ask.provider
      }
      await until(async () => (await own.client.getNetwork()).providersConnected === 2)
      expect(await chosen()).toBe(actors.provider.address)
      const { request, orderHash } = createOrder({ change: { lane: 56 } })
      await own.client.postOrder(request)
      await provider.take('order', orderHash)
      provider.send({ type: 'declined', orderHash, code: 'EXECUTOR_UNAVAILABLE', reason: 'no slot' })
      await until(async () => (await chosen()) === actors.otherProvider.address)
      await provider.close()
      await dearer.close()
    } finally {
      await own.close()
    }
  })

  test('is not pushed back by a requester that cancels before it could answer', async () => {
    const own = await startHarness()
    try {
      const provider = await connectProvider(own.url)
      const dearer = await connectProvider(own.url, {
        signer: actors.otherProvider,
        asks: [createAsk(actors.otherProvider, { pricePerJob: 2000n })],
      })
      await until(async () => (await own.client.getNetwork()).providersConnected === 2)
      const { request, orderHash } = createOrder({ change: { lane: 57 } })
      await own.client.postOrder(request)
      expect(await own.client.cancelJob(orderHash, requester)).toMatchObject({ state: 'expired' })
      const asked = { module: 'echo', inputs: { text: 'hi' }, payer: requester.address, verification: 0 }
      expect((await own.client.requestQuote(asked)).ask.ask.provider).toBe(actors.provider.address)
      await provider.close()
      await dearer.close()
    } finally {
      await own.close()
    }
  })

  test('can touch its own jobs only, and hears nothing about others', async () => {
    const provider = await connectProvider(harness.url)
    const other = await connectProvider(harness.url, { signer: actors.otherProvider })
    const parts = createOrder({ change: { lane: 51 } })
    const { orderHash } = parts
    await harness.client.postOrder(parts.request)
    const delivery = createDelivery(parts, { provider: actors.otherProvider })
    for (const frame of [
      { type: 'accepted', orderHash },
      { type: 'started', orderHash },
      { type: 'declined', orderHash, code: 'X', reason: '' },
      { type: 'delivered', orderHash, delivery },
      { type: 'acknowledged', orderHash },
    ] as const) {
      other.send(frame)
      expect((await other.take('error')).code).toBe('JOB_UNKNOWN')
    }
    expect((await harness.client.getJob(orderHash, requester)).state).toBe('reserved')
    await provider.close()
    await other.close()
  })

  test.each([
    [
      'a receipt of another key',
      (parts: ReturnType<typeof createOrder>) => createDelivery(parts, { provider: actors.stranger }),
      'SIGNATURE_INVALID',
    ],
    [
      'a receipt whose outputs are others',
      (parts: ReturnType<typeof createOrder>) => {
        const delivery = createDelivery(parts)
        const outputs = [{ ...outputFile, bytes: 6 }]
        return {
          ...delivery,
          manifest: { ...delivery.manifest, predicate: { ...delivery.manifest.predicate, outputs } },
        }
      },
      'SIGNATURE_INVALID',
    ],
    [
      'a receipt of another job',
      (_: ReturnType<typeof createOrder>) => createDelivery(createOrder()),
      'VERIFICATION_FAILED',
    ],
    [
      'output units that its module does not count',
      (parts: ReturnType<typeof createOrder>) => createDelivery(parts, { billed: { outputUnits: 1 } }),
      'VERIFICATION_FAILED',
    ],
    [
      'more seconds than have passed since the order',
      (parts: ReturnType<typeof createOrder>) => createDelivery(parts, { billed: { meteredSeconds: 9 }, ranFor: 20 }),
      'VERIFICATION_FAILED',
    ],
    [
      'more seconds than between its start and its end',
      (parts: ReturnType<typeof createOrder>) => createDelivery(parts, { billed: { meteredSeconds: 2 } }),
      'VERIFICATION_FAILED',
    ],
    [
      'a success without the declared output',
      (parts: ReturnType<typeof createOrder>) => createDelivery(parts, { outputs: [] }),
      'VERIFICATION_FAILED',
    ],
  ] as const)('cannot deliver %s', async (_name, create, code) => {
    const provider = await connectProvider(harness.url)
    const parts = createOrder({ change: { lane: 52 } })
    await harness.client.postOrder(parts.request)
    await provider.take('order', parts.orderHash)
    provider.send({ type: 'delivered', orderHash: parts.orderHash, delivery: create(parts) })
    expect((await provider.take('error')).code).toBe(code)
    expect((await harness.client.getJob(parts.orderHash, requester)).state).toBe('reserved')
    await provider.close()
  })

  test('is closed for frames that are too large, and told about those that are wrong', async () => {
    const provider = await connectProvider(harness.url)
    for (const text of [
      '',
      '{',
      '[]',
      '{"type":"nonsense"}',
      '{"type":"accepted","orderHash":"0x12"}',
      `{"type":"accepted","orderHash":"${sha256('x')}","more":1}`,
    ]) {
      provider.socket.send(text)
      expect((await provider.take('error')).code).toBe('INVALID_REQUEST')
    }
    provider.send({ type: 'asks', asks: [{ ...createAsk(), signature: createAsk().signature }] })
    expect((await provider.take('error')).code).toBe('SIGNATURE_INVALID')
    const closed = once(provider.socket, 'close')
    provider.socket.send('x'.repeat(9 * 1024 ** 2))
    expect((await closed)[0]).toBe(1009)
  })

  test('without a proper hello is not let in', async () => {
    const socket = new WebSocket(`${harness.url.replace('http', 'ws')}/provider`)
    await once(socket, 'message')
    const closed = once(socket, 'close')
    socket.send(
      JSON.stringify({
        type: 'hello',
        provider: actors.provider.address,
        validUntil: seconds() + 60,
        signature: `0x${'11'.repeat(65)}`,
      }),
    )
    expect((await closed)[0]).toBe(4003)
    const silent = new WebSocket(`${harness.url.replace('http', 'ws')}/provider`)
    await once(silent, 'message')
    const refused = once(silent, 'close')
    silent.send(JSON.stringify({ type: 'asks', asks: [] }))
    expect((await refused)[0]).toBe(4003)
  })

  test('sends progress to the requester as data', async () => {
    const provider = await connectProvider(harness.url)
    const parts = createOrder({ change: { lane: 53 } })
    const { orderHash } = parts
    await harness.client.postOrder(parts.request)
    await provider.take('order', orderHash)
    provider.send({ type: 'accepted', orderHash })
    provider.send({ type: 'started', orderHash })
    const seen: string[] = []
    const reading = (async () => {
      for await (const event of harness.client.watchJob(orderHash, requester))
        seen.push(event.type === 'state' ? event.state : event.type)
    })()
    provider.send({ type: 'progress', orderHash, fraction: 0.5, text: '\n\ndata: evil' })
    await until(async () => (await harness.client.getJob(orderHash, requester)).progress?.fraction === 0.5)
    provider.send({ type: 'delivered', orderHash, delivery: createDelivery(parts, { status: 1 }) })
    await reading
    expect(seen).toEqual(['ordered', 'reserved', 'running', 'progress', 'failed'])
    await provider.close()
  })
})

describe('time', () => {
  test('ends jobs that nobody took, delivered or acknowledged, and frees their money', async () => {
    const provider = await connectProvider(harness.url, {
      asks: [createAsk(actors.provider, { validUntil: seconds() + 100_000 })],
    })
    const payer = actors.stranger
    harness.chain.setBalance(payer.address, contracts.lilyToken, { balance: 3300n })
    const order = () => createOrder({ payer, change: { lane: 60 } })
    const [untaken, undelivered, unacknowledged] = [order(), order(), order()]
    for (const { request } of [untaken, undelivered, unacknowledged]) await harness.client.postOrder(request)
    provider.send({ type: 'accepted', orderHash: undelivered.orderHash })
    provider.send({ type: 'started', orderHash: undelivered.orderHash })
    await deliver(harness.url, provider, unacknowledged)
    const waiting = harness.client.getJob(untaken.orderHash, payer, 10)
    harness.clock.offsetSeconds = 200
    try {
      expect((await waiting).state).toBe('expired')
      const stateOf = async (orderHash: `0x${string}`) =>
        (
          await harness.client.postOrder({
            ...([untaken, undelivered, unacknowledged].find((parts) => parts.orderHash === orderHash)?.request ??
              untaken.request),
          })
        ).state
      await until(async () => (await stateOf(undelivered.orderHash)) === 'expired')
      await until(async () => (await stateOf(unacknowledged.orderHash)) === 'expired')
      await provider.take('expired', untaken.orderHash)
      provider.send({ type: 'accepted', orderHash: untaken.orderHash })
      await provider.take('expired', untaken.orderHash)
      const whole = createOrder({
        payer,
        change: { lane: 60, maxPrice: 3300n, startBy: seconds() + 300, deliverBy: seconds() + 400 },
      })
      expect((await harness.client.postOrder(whole.request)).state).toBe('reserved')
    } finally {
      harness.clock.offsetSeconds = 0
      await provider.close()
    }
  })
})

describe('uploads', () => {
  test('that stop half-way are given up and leave nothing behind', async () => {
    const provider = await connectProvider(harness.url)
    const bytes = Buffer.from('slow, very slow')
    const file = { sha256: sha256(bytes), bytes: bytes.length, mediaType: 'text/plain', name: 'a.txt' }
    const parts = createOrder({ inputs: { text: 'x', file: { $file: file } }, change: { lane: 70 } })
    await harness.client.postOrder(parts.request)
    const upload = httpRequest(`${harness.url}/jobs/${parts.orderHash}/inputs/${file.sha256}`, {
      method: 'PUT',
      headers: { ...access(parts.orderHash, requester), 'content-length': String(bytes.length) },
    })
    upload.on('error', () => {})
    upload.write(bytes.subarray(0, 4))
    const [response] = (await once(upload, 'response')) as [IncomingMessage]
    expect(response.statusCode).toBe(504)
    response.resume()
    const incoming = join(harness.stateDir, 'solver', 'blobs', 'incoming')
    await until(async () => (await readdir(incoming)).length === 0)
    expect((await harness.client.getJob(parts.orderHash, requester)).missingInputs).toEqual([file.sha256])
    await provider.close()
  })
})
