import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ContentStore, httpSource, PublicFetcher } from '@lilypad-agents/blobs'
import { createLinkAccess, sha256 } from '@lilypad-agents/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { actors, createDelivery, createOrder, domain, seconds } from './fixtures.ts'
import { access, connectProvider, type Harness, putOutput, startHarness, type TestProvider } from './harness.ts'

const bytes = Buffer.alloc(90_000, 'all about the pond, ')
const file = { path: 'echo.txt', bytes: bytes.length, sha256: sha256(bytes) }
const parts = createOrder({ change: { lane: 3 } })
const { orderHash } = parts
let harness: Harness
let provider: TestProvider

beforeAll(async () => {
  harness = await startHarness()
  provider = await connectProvider(harness.url)
  await harness.client.postOrder(parts.request)
  await provider.take('order', orderHash)
  provider.send({ type: 'accepted', orderHash })
  provider.send({ type: 'started', orderHash })
  await putOutput(harness.url, orderHash, bytes, file.sha256)
  provider.send({ type: 'delivered', orderHash, delivery: createDelivery(parts, { outputs: [file] }) })
  await provider.take('stored', orderHash)
})
afterAll(async () => {
  await provider?.close()
  await harness?.close()
})

const linkOf = (signer = actors.payer, validUntil = seconds() + 60) =>
  `${harness.url}/jobs/${orderHash}/outputs/${file.sha256}?access=${createLinkAccess(domain, { orderHash, sha256: file.sha256 }, signer, validUntil)}`
const etag = `"${file.sha256.slice(2)}"`

describe('an output', () => {
  test('is read by anybody who has its link', async () => {
    const response = await fetch(linkOf())
    expect(response.status).toBe(200)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      etag,
      'accept-ranges': 'bytes',
      'content-length': '90000',
      'content-type': 'application/octet-stream',
      'content-disposition': 'attachment',
      'x-content-type-options': 'nosniff',
    })
    expect(Buffer.from(await response.arrayBuffer()).equals(bytes)).toBe(true)
  })

  test.each<[string, () => string]>([
    ['of a stranger', () => linkOf(actors.stranger)],
    ['of the provider', () => linkOf(actors.provider)],
    ['that is over', () => linkOf(actors.payer, seconds() - 1)],
    ['for longer than links last', () => linkOf(actors.payer, seconds() + 40 * 86_400)],
    ['that was changed', () => linkOf().replace(/.$/, (last) => (last === 'b' ? 'c' : 'b'))],
    ['to another file', () => linkOf().replace(file.sha256, sha256('other'))],
    ['without a signature', () => linkOf().replace(/access=.*/, 'access=')],
    ['given twice', () => `${linkOf()}&access=1`],
  ])('is not shown by a link %s', async (_name, url) => {
    const response = await fetch(url())
    expect(response.status).toBe(401)
    expect(await response.text()).not.toContain('pond')
  })

  test('and nothing else is opened by its link', async () => {
    const query = new URL(linkOf()).search
    for (const path of [`/jobs/${orderHash}`, `/jobs/${orderHash}/events`, `/jobs/${orderHash}/inputs/${file.sha256}`])
      expect((await fetch(`${harness.url}${path}${query}`)).status).toBe(401)
    const put = await fetch(linkOf(), { method: 'PUT', body: bytes })
    expect(put.status).toBe(401)
  })
})

describe.each<[string, () => { url: string; headers: Record<string, string> }]>([
  ['by its link', () => ({ url: linkOf(), headers: {} })],
  [
    'by its requester',
    () => ({
      url: `${harness.url}/jobs/${orderHash}/outputs/${file.sha256}`,
      headers: access(orderHash, actors.payer),
    }),
  ],
])('an output that is read %s', (_name, target) => {
  test.each<[string, string, Record<string, string>, number, string | null, number]>([
    ['from a byte', 'GET', { range: 'bytes=89990-' }, 206, 'bytes 89990-89999/90000', 10],
    ['a part', 'GET', { range: 'bytes=0-4' }, 206, 'bytes 0-4/90000', 5],
    ['the end', 'GET', { range: 'bytes=-4' }, 206, 'bytes 89996-89999/90000', 4],
    ['behind its end', 'GET', { range: 'bytes=90000-' }, 416, 'bytes */90000', -1],
    ['the rest of the same', 'GET', { range: 'bytes=89990-', 'if-range': etag }, 206, 'bytes 89990-89999/90000', 10],
    ['the rest of another', 'GET', { range: 'bytes=89990-', 'if-range': '"other"' }, 200, null, 90_000],
    ['its size', 'HEAD', {}, 200, null, 0],
  ])('%s', async (_case, method, headers, status, range, length) => {
    const { url, headers: own } = target()
    const response = await fetch(url, { method, headers: { ...own, ...headers } })
    expect([response.status, response.headers.get('content-range')]).toEqual([status, range])
    const body = Buffer.from(await response.arrayBuffer())
    if (length >= 0) expect(body.length).toBe(length)
    if (status === 206) expect(bytes.includes(body)).toBe(true)
    if (method === 'HEAD') expect(response.headers.get('content-length')).toBe('90000')
  })
})

test('a transfer that is cut again and again arrives, each byte once', async () => {
  const target = new URL(harness.url)
  let sent = 0
  // A line to the relay that breaks after 30 kB.
  const line = createServer((socket) => {
    const relay = connect(Number(target.port), target.hostname)
    let passed = 0
    relay.on('data', (chunk) => {
      passed += chunk.length
      sent += chunk.length
      socket.write(chunk)
      if (passed > 30_000) {
        relay.destroy()
        // What was written goes out first; then the line is dead.
        socket.end(() => socket.destroy())
      }
    })
    socket.on('data', (chunk) => relay.write(chunk))
    socket.on('error', () => relay.destroy())
    socket.on('close', () => relay.destroy())
    relay.on('error', () => socket.destroy())
    relay.on('close', () => socket.end())
  }).listen(0, '127.0.0.1')
  await once(line, 'listening')
  const folder = await mkdtemp(join(tmpdir(), 'lilypad-resume-'))
  const fetcher = new PublicFetcher({ allowPrivate: true, idleSeconds: 5 })
  try {
    const store = await ContentStore.open(folder, { quotaBytes: 1_000_000 })
    const url = linkOf().replace(target.port, String((line.address() as AddressInfo).port))
    let attempts = 0
    for (; attempts < 20; attempts += 1) {
      const done = await store
        .write(file, httpSource(fetcher, url, file))
        .catch((error: { code: string }) => error.code)
      if (done === store.pathOf(file.sha256)) break
      expect(['OUTPUT_UNAVAILABLE', 'TIMED_OUT']).toContain(done)
    }
    expect(attempts).toBeGreaterThan(0)
    expect(attempts).toBeLessThan(20)
    expect((await readFile(store.pathOf(file.sha256))).equals(bytes)).toBe(true)
    expect(sent).toBeLessThan(bytes.length * 2)
  } finally {
    await fetcher.close()
    line.close()
    await rm(folder, { recursive: true, force: true })
  }
})
