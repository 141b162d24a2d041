import { readdir, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { moduleManifestDigest, moduleVersionId, sha256 } from '@lilypad-agents/protocol'
import { afterEach, describe, expect, test } from 'vitest'
import {
  actors,
  contracts,
  createAsk,
  createOrder,
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

async function start(change: Parameters<typeof startHarness>[0]): Promise<void> {
  harness = await startHarness(change)
  provider = await connectProvider(harness.url)
}
afterEach(async () => {
  await provider?.close()
  await harness?.close()
})

const bytesOf = (text: string) => new TextEncoder().encode(text)
const fileOf = (text: string) => ({
  sha256: sha256(bytesOf(text)),
  bytes: bytesOf(text).length,
  mediaType: 'text/plain',
  name: 'a.txt',
})
const orderWith = (text: string, options: Parameters<typeof createOrder>[0] = {}) =>
  createOrder({ inputs: { text: 'x', file: { $file: fileOf(text) } }, ...options })
/** An order that costs nothing, and so nothing to place. */
const freeOrderWith = (text: string, payer = requester) =>
  orderWith(text, {
    payer,
    ask: createAsk(actors.provider, { pricePerJob: 0n, pricePerInputUnit: 0n }),
    change: { maxPrice: 0n },
  })
const blobsOf = async (folder: string) =>
  (await readdir(join(harness.stateDir, 'solver', folder), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => ({ name: entry.name, path: join(entry.parentPath, entry.name) }))

describe('a party', () => {
  test('keeps no more inputs at the relay than its quota while its jobs are open', async () => {
    await start({ requesterQuotaBytes: 10, deliveryGraceSeconds: 0 })
    const first = orderWith('123456')
    await harness.client.postOrder(first.request)
    const again = orderWith('123456')
    await harness.client.postOrder(again.request)
    expect(await codeOf(harness.client.postOrder(orderWith('abcdef').request))).toBe('STORAGE_FULL')
    harness.chain.setBalance(actors.stranger.address, contracts.lilyToken, { balance: 10_000n })
    await harness.client.postOrder(orderWith('abcdef', { payer: actors.stranger }).request)
    harness.clock.offsetSeconds = 200
    for (const { orderHash } of [first, again])
      await until(async () => (await harness.client.getJob(orderHash, requester)).state === 'expired')
    harness.clock.offsetSeconds = 0
    await harness.client.postOrder(orderWith('abcdef').request)
  })

  test('keeps no more outputs than its quota as a provider', async () => {
    await start({ providerQuotaBytes: 12 })
    const lane = createLane()
    const parts = [createOrder({ change: { lane: 4 } }), createOrder({ change: { lane: 4 } })] as const
    for (const { request } of parts) await harness.client.postOrder(request)
    const [one, two] = parts
    const put = (text: string, orderHash = two.orderHash) =>
      putOutput(harness.url, orderHash, bytesOf(text), sha256(bytesOf(text)))
    const delivery = await deliver(harness.url, provider, one)
    await provider.take('order', two.orderHash)
    provider.send({ type: 'accepted', orderHash: two.orderHash })
    provider.send({ type: 'started', orderHash: two.orderHash })
    const refused = await put('12345678')
    expect([refused.status, ((await refused.json()) as { error: { code: string } }).error.code]).toEqual([
      507,
      'STORAGE_FULL',
    ])
    const statuses = await Promise.all([put('12345'), put('abcde')]).then((all) => all.map(({ status }) => status))
    expect(statuses.sort()).toEqual([204, 507])
    await harness.client.acknowledge(one.orderHash, lane.next(one.order, delivery))
    expect((await put('1234567')).status).toBe(204)
  })

  test('cannot fill the disk with jobs that cost nothing, whatever keys it uses', async () => {
    await start({ unpaidQuotaBytes: 10 })
    await harness.client.postOrder(freeOrderWith('123456').request)
    const other = freeOrderWith('abcdef', actors.stranger)
    expect(await codeOf(harness.client.postOrder(other.request))).toBe('STORAGE_FULL')
    const small = freeOrderWith('abc', actors.stranger)
    await harness.client.postOrder(small.request)
    await harness.client.putInput(small.orderHash, fileOf('abc').sha256, bytesOf('abc'), actors.stranger)
    provider.send({ type: 'accepted', orderHash: small.orderHash })
    provider.send({ type: 'started', orderHash: small.orderHash })
    const output = await putOutput(harness.url, small.orderHash, outputBytes, outputFile.sha256)
    expect(output.status).toBe(507)
    await harness.client.postOrder(orderWith('paid for').request)
  })
})

test('files of open jobs stay however full and old the disk is; those of jobs that are over make room', async () => {
  await start({ blobQuotaBytes: 12, requesterQuotaBytes: 100, providerQuotaBytes: 100, unpaidQuotaBytes: 100 })
  const lane = createLane()
  const one = createOrder({ change: { lane: 5 } })
  await harness.client.postOrder(one.request)
  const delivery = await deliver(harness.url, provider, one)
  await harness.restart()
  await provider.close()
  provider = await connectProvider(harness.url)
  const two = orderWith('12345678', { change: { lane: 6 } })
  await harness.client.postOrder(two.request)
  const put = () => harness.client.putInput(two.orderHash, fileOf('12345678').sha256, bytesOf('12345678'), requester)
  expect(await codeOf(put())).toBe('STORAGE_FULL')
  expect(await harness.client.getOutput(one.orderHash, outputFile.sha256, requester)).toEqual(outputBytes)
  await harness.client.acknowledge(one.orderHash, lane.next(one.order, delivery))
  await harness.restart()
  await provider.close()
  provider = await connectProvider(harness.url)
  await put()
  expect(await codeOf(harness.client.getOutput(one.orderHash, outputFile.sha256, requester))).toBe('OUTPUT_UNAVAILABLE')
})

describe('programs', () => {
  const secondProgram = bytesOf('a second program, with more in it')
  const second = {
    ...moduleManifest,
    name: 'second',
    runtime: {
      ...moduleManifest.runtime,
      kind: 'wasm' as const,
      program: {
        sha256: sha256(secondProgram),
        bytes: secondProgram.length,
        mediaType: 'application/wasm' as const,
      },
    },
  }
  const publish = async () => {
    const manifestDigest = moduleManifestDigest(second)
    harness.chain.publish(moduleVersionId(second.name, manifestDigest), {
      manifestDigest,
      author: actors.stranger.address,
      feeBips: 500,
    })
    await harness.client.publishModule(second)
  }

  test('of one author stay within a quota; a withdrawn version no longer counts', async () => {
    await start({ authorQuotaBytes: 40 })
    await publish()
    await harness.client.uploadArtifact(sha256(program), program)
    expect(await codeOf(harness.client.uploadArtifact(sha256(secondProgram), secondProgram))).toBe('STORAGE_FULL')
    harness.chain.deprecate(moduleVersion)
    await until(async () => (await harness.client.getModule(moduleVersion)).deprecated)
    await harness.client.uploadArtifact(sha256(secondProgram), secondProgram)
    expect(await harness.client.downloadArtifact(sha256(program))).toEqual(program)
  })

  test('of withdrawn versions are removed some time after their last use, others never', async () => {
    await start({ programTtlSeconds: 60 })
    await publish()
    await harness.client.uploadArtifact(sha256(program), program)
    await harness.client.uploadArtifact(sha256(secondProgram), secondProgram)
    const age = async () => {
      for (const { path } of await blobsOf('artifacts')) await utimes(path, 1000, 1000)
      await harness.restart()
    }
    await age()
    await until(async () => (await blobsOf('artifacts')).length === 2)
    harness.chain.deprecate(moduleVersion)
    await until(async () => (await harness.client.getModule(moduleVersion)).deprecated)
    await age()
    await until(async () => (await blobsOf('artifacts')).length === 1)
    expect(await harness.client.downloadArtifact(sha256(secondProgram))).toEqual(secondProgram)
    expect(
      await fetch(`${harness.url}/artifacts/${sha256(program)}`, { headers: access(moduleVersion, requester) }),
    ).toMatchObject({ status: 404 })
  })
})
