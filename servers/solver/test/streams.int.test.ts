import { readdir, readFile, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Bytes32, StreamChain, type StreamChunk, type StreamPiece } from '@lilypad-agents/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStreamStore } from '../src/stream/stream-store.ts'
import { actors, contracts, createAsk, createDelivery, createOrder } from './fixtures.ts'
import {
  access,
  connectProvider,
  createStateDir,
  type Harness,
  startHarness,
  type TestProvider,
  until,
} from './harness.ts'

let harness: Harness
let provider: TestProvider
beforeAll(async () => {
  harness = await startHarness()
  provider = await connectProvider(harness.url)
})
afterAll(async () => {
  await provider?.close()
  await harness?.close()
})

const requester = actors.payer
const limits = { bytes: 102_000, chunks: 131_072 }
const out = (text: string): StreamPiece => ({ channel: 'stdout', bytes: Buffer.from(text) })

async function startJob(parts = createOrder({ change: { lane: 90 } })) {
  const { orderHash } = parts
  await harness.client.postOrder(parts.request)
  await provider.take('order', orderHash)
  provider.send({ type: 'accepted', orderHash })
  provider.send({ type: 'started', orderHash })
  return parts
}

/** Sends a chunk and gives the answer. */
async function send(orderHash: Bytes32, chunk: StreamChunk, by = provider) {
  by.send({ type: 'chunk', orderHash, chunk })
  const { stored, attempt, refused } = await by.take('chunks', orderHash)
  return { stored, attempt, ...(refused === undefined ? {} : { refused }) }
}

/** What a reader gets: chunks as `attempt.index`, states by name. Ends by itself when the job ends, or after `count`. */
async function read(orderHash: Bytes32, from = { attempt: 1, chunks: 0 }, count = Number.POSITIVE_INFINITY) {
  const seen: string[] = []
  for await (const event of harness.client.watchJob(orderHash, requester, { stream: from })) {
    if (event.type === 'chunk') seen.push(`${event.chunk.attempt}.${event.chunk.index}`)
    if (event.type === 'state') seen.push(event.state)
    if (seen.length >= count) break
  }
  return seen
}

describe('a chunk', () => {
  test('is stored once, in order, and only as what follows from the ones before it', async () => {
    const { orderHash } = await startJob()
    const chain = StreamChain.start(orderHash, 1)
    const [a, b, c] = [chain.append(out('a')), chain.append(out('b')), chain.append(out('c'))]
    expect(await send(orderHash, a)).toEqual({ attempt: 1, stored: 1 })
    expect(await send(orderHash, c)).toEqual({ attempt: 1, stored: 1, refused: 'STREAM_BROKEN' })
    expect(await send(orderHash, { ...b, head: c.head })).toEqual({ attempt: 1, stored: 1, refused: 'STREAM_BROKEN' })
    expect(await send(orderHash, b)).toEqual({ attempt: 1, stored: 2 })
    expect(await send(orderHash, a)).toEqual({ attempt: 1, stored: 2 })
    expect(await send(orderHash, c)).toEqual({ attempt: 1, stored: 3 })
    expect(await read(orderHash, undefined, 6)).toEqual(['1.0', '1.1', '1.2', 'ordered', 'reserved', 'running'])
    expect(await read(orderHash, { attempt: 1, chunks: 2 }, 4)).toEqual(['1.2', 'ordered', 'reserved', 'running'])
  })

  test('of a new run takes the place of the old ones, and a late one of the old run is refused', async () => {
    const { orderHash } = await startJob()
    const [first, second] = [StreamChain.start(orderHash, 1), StreamChain.start(orderHash, 2)]
    const old = [first.append(out('a')), first.append(out('b'))] as const
    await send(orderHash, old[0])
    const reading = read(orderHash, { attempt: 1, chunks: 1 }, 5)
    expect(await send(orderHash, second.append(out('A')))).toEqual({ attempt: 2, stored: 1 })
    expect(await send(orderHash, old[1])).toEqual({ attempt: 1, stored: 0, refused: 'STREAM_BROKEN' })
    expect(await send(orderHash, second.append(out('B')))).toEqual({ attempt: 2, stored: 2 })
    expect((await reading).filter((seen) => seen.includes('.'))).toEqual(['2.0', '2.1'])
    const third = StreamChain.start(orderHash, 3)
    third.append(out('lost'))
    expect(await send(orderHash, third.append(out('x')))).toMatchObject({ stored: 0, refused: 'STREAM_BROKEN' })
    expect(await send(orderHash, second.append(out('C')))).toEqual({ attempt: 2, stored: 3 })
  })

  test('is refused beyond what the module allows, of a job that was declined, and of the job of another', async () => {
    const parts = await startJob()
    const { orderHash } = parts
    const chain = StreamChain.start(orderHash, 1)
    const large = () => chain.append({ channel: 'response', bytes: Buffer.alloc(40_000) })
    expect(await send(orderHash, large())).toMatchObject({ stored: 1 })
    expect(await send(orderHash, large())).toMatchObject({ stored: 2 })
    expect(await send(orderHash, large())).toEqual({ attempt: 1, stored: 2, refused: 'PAYLOAD_TOO_LARGE' })

    const stranger = await connectProvider(harness.url, { signer: actors.stranger, asks: [createAsk(actors.stranger)] })
    const chunk = StreamChain.start(orderHash, 1).append(out('mine'))
    expect(await send(orderHash, chunk, stranger)).toEqual({ attempt: 1, stored: 0, refused: 'JOB_UNKNOWN' })
    await stranger.close()

    const waiting = createOrder({ change: { lane: 91 } })
    await harness.client.postOrder(waiting.request)
    provider.send({ type: 'declined', orderHash: waiting.orderHash, code: 'JOB_DECLINED', reason: 'no' })
    await until(async () => (await harness.client.getJob(waiting.orderHash, actors.payer)).state === 'declined')
    const late = StreamChain.start(waiting.orderHash, 1).append(out('late'))
    expect(await send(waiting.orderHash, late)).toEqual({ attempt: 1, stored: 0, refused: 'STATE_CONFLICT' })
  })

  test('comes to its reader before the end of the job does, and survives a restart of the relay', async () => {
    const parts = await startJob()
    const { orderHash } = parts
    const chain = StreamChain.start(orderHash, 1)
    await send(orderHash, chain.append(out('before')))
    await harness.restart()
    provider = await connectProvider(harness.url)
    expect(await send(orderHash, chain.append(out('after')))).toEqual({ attempt: 1, stored: 2 })
    const reading = read(orderHash, undefined, 7)
    for (let index = 0; index < 20; index++)
      provider.send({ type: 'chunk', orderHash, chunk: chain.append(out(String(index))) })
    for (let index = 0; index < 20; index++) await provider.take('chunks', orderHash)
    provider.send({ type: 'delivered', orderHash, delivery: createDelivery(parts, { status: 1 }) })
    await reading
    const seen = await read(orderHash)
    const chunks = Array.from({ length: 22 }, (_, index) => `1.${index}`)
    expect(seen.filter((one) => one.includes('.'))).toEqual(chunks)
    expect(seen.at(-1)).toBe('failed')
    expect(await send(orderHash, chain.append(out('late')))).toMatchObject({ refused: 'STATE_CONFLICT' })
  })

  test('is not sent to a reader who did not ask', async () => {
    const parts = await startJob()
    const { orderHash } = parts
    await send(orderHash, StreamChain.start(orderHash, 1).append(out('data: {"type":"state"}\n\n')))
    provider.send({ type: 'delivered', orderHash, delivery: createDelivery(parts, { status: 1 }) })
    const seen: string[] = []
    for await (const event of harness.client.watchJob(orderHash, requester)) seen.push(event.type)
    expect(seen).toEqual(['state', 'state', 'state', 'state'])
  })

  test('of twenty jobs at once stays with its job', async () => {
    const jobs = await Promise.all(Array.from({ length: 20 }, () => startJob()))
    const chains = jobs.map(({ orderHash }) => StreamChain.start(orderHash, 1))
    for (let round = 0; round < 20; round++)
      for (const [index, chain] of chains.entries()) {
        const { orderHash } = jobs[index] ?? {}
        if (orderHash) provider.send({ type: 'chunk', orderHash, chunk: chain.append(out(`${index} ${round}`)) })
      }
    for (const { orderHash } of jobs) {
      const seen = await read(orderHash, undefined, 20 + 3)
      expect(seen.filter((one) => one.includes('.'))).toHaveLength(20)
    }
  })
})

describe('the files of streams', () => {
  const orderHash = `0x${'ab'.repeat(32)}` as const
  const file = (directory: string) => join(directory, orderHash.slice(2), '1')

  test('that a crash left half written, or damaged, are taken up at the last whole chunk', async () => {
    const directory = await createStateDir()
    const chain = StreamChain.start(orderHash, 1)
    const chunks = Array.from({ length: 3 }, (_, index) => chain.append(out(`number ${index}`)))
    const first = await openStreamStore({ directory, quotaBytes: 10_000 })
    for (const chunk of chunks) await first.append(orderHash, chunk, limits)
    await first.close()
    const whole = await readFile(file(directory))
    await truncate(file(directory), whole.length - 5)
    const second = await openStreamStore({ directory, quotaBytes: 10_000 })
    expect(await second.find(orderHash)).toMatchObject({ attempt: 1, chunks: 2 })
    for (const chunk of chunks) await second.append(orderHash, chunk, limits)
    const reader = second.openReader(orderHash, { attempt: 1, chunks: 1 })
    expect((await reader.next()).map((line) => JSON.parse(line).index)).toEqual([1, 2])
    expect(await reader.next()).toEqual([])
    await second.close()
    expect(await readFile(file(directory))).toEqual(whole)

    const damaged = Buffer.from(whole)
    damaged[whole.indexOf('\n') + 20] = 0
    await writeFile(file(directory), damaged)
    const third = await openStreamStore({ directory, quotaBytes: 10_000 })
    expect(await third.find(orderHash)).toMatchObject({ attempt: 1, chunks: 1 })
    for (const chunk of chunks) await third.append(orderHash, chunk, limits)
    await third.close()
    expect(await readFile(file(directory))).toEqual(whole)
    expect(await third.find(orderHash)).toBeUndefined()
  })

  test('have a quota, and go when they are old', async () => {
    const directory = await createStateDir()
    const store = await openStreamStore({ directory, quotaBytes: 500 })
    const chain = StreamChain.start(orderHash, 1)
    await store.append(orderHash, chain.append(out('a')), limits)
    await store.append(orderHash, chain.append(out('b')), limits)
    await expect(store.append(orderHash, chain.append(out('c'.repeat(200))), limits)).rejects.toMatchObject({
      code: 'STORAGE_FULL',
    })
    await store.close()
    const later = await openStreamStore({ directory, quotaBytes: 500 })
    const day = 86_400_000
    await utimes(file(directory), new Date(Date.now() - day), new Date(Date.now() - day))
    expect(await later.sweep(new Date(Date.now() - 2 * day))).toBe(0)
    expect(await later.sweep(new Date())).toBe(1)
    expect(await readdir(directory)).toEqual([])
    const again = StreamChain.start(orderHash, 1)
    await later.append(orderHash, again.append(out('d'.repeat(150))), limits)
    await later.close()
    await expect(later.append(orderHash, again.append(out('e')), limits)).rejects.toMatchObject({
      code: 'SOLVER_UNREACHABLE',
    })
  })
})

test('one requester does not take the places of all readers', async () => {
  const own = (await startJob()).orderHash
  const payer = actors.sessionKey
  harness.chain.setBalance(payer.address, contracts.lilyToken, { balance: 10_000n })
  const other = (await startJob(createOrder({ payer, change: { lane: 91 } }))).orderHash
  const hangUp = new AbortController()
  const listen = async (orderHash: Bytes32, signer: typeof payer) => {
    const headers = access(orderHash, signer)
    const { signal } = hangUp
    return (await fetch(`${harness.url}/jobs/${orderHash}/events`, { headers, signal })).status
  }
  const answers = await Promise.all(Array.from({ length: 205 }, () => listen(own, requester)))
  expect(answers.filter((status) => status === 200)).toHaveLength(200)
  expect(answers.filter((status) => status === 429)).toHaveLength(5)
  expect(await listen(other, payer)).toBe(200)
  hangUp.abort()
  const again = () => fetch(`${harness.url}/jobs/${own}/events`, { headers: access(own, requester) })
  await expect
    .poll(async () => {
      const response = await again()
      await response.body?.cancel()
      return response.status
    })
    .toBe(200)
})
