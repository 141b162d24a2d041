import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bytes32 } from '@lilypad-agents/protocol'
import S3rver from 's3rver'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { folderCid } from '../src/cid/folder-cid.ts'
import { httpSource } from '../src/fetch/http-source.ts'
import { PublicFetcher } from '../src/fetch/fetch-public.ts'
import { openOutputShelf } from '../src/shelf/open-output-shelf.ts'
import type { OutputShelf, ShelfFile } from '../src/shelf/output-shelf.ts'
import { ContentStore } from '../src/store/content-store.ts'

let folder: string
const closing: (() => unknown)[] = []
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lilypad-shelf-'))
})
afterAll(async () => {
  for (const close of closing.reverse()) await close()
  await rm(folder, { recursive: true, force: true })
})

function fileOf(path: string, bytes: Uint8Array<ArrayBuffer>): ShelfFile {
  const sha256: Bytes32 = `0x${createHash('sha256').update(bytes).digest('hex')}`
  return { path, bytes: bytes.length, sha256, content: new Blob([bytes]) }
}
const large = new Uint8Array(40_000_000).map((_, index) => (index * 7) >> 8)
const files = [
  fileOf('result.txt', new TextEncoder().encode('ribbit')),
  fileOf('folder with spaces/größe+&?.txt', new TextEncoder().encode('croak')),
  fileOf('empty', new Uint8Array()),
  fileOf('large.bin', large),
]

/** Reads every file back through a store, which checks it; the large one in two goes. */
async function readBack(shelf: OutputShelf, published: string): Promise<void> {
  const store = await ContentStore.open(await mkdtemp(join(folder, 'store-')), { quotaBytes: 100_000_000 })
  for (const file of files) {
    const source = shelf.source(published, file.path)
    if (file.bytes > 1_000_000) {
      const cut = store.write(file, async (start) => {
        const { offset, chunks } = await source(start)
        async function* some() {
          let bytes = 0
          for await (const chunk of chunks) {
            bytes += chunk.length
            if (bytes > 5_000_000) return
            yield chunk
          }
        }
        return { offset, chunks: some() }
      })
      await expect(cut).rejects.toMatchObject({ code: 'TIMED_OUT' })
      expect(store.usage().usedBytes).toBeGreaterThan(1_000_000)
    }
    await store.write(file, source)
  }
}

describe('a bucket', () => {
  let shelf: OutputShelf
  let port: number
  const environment = { AWS_ACCESS_KEY_ID: 'S3RVER', AWS_SECRET_ACCESS_KEY: 'S3RVER' }
  const urlOf = (bucket = 'pond') => `s3://${bucket}/jobs?endpoint=http://127.0.0.1:${port}`

  beforeAll(async () => {
    const server = new S3rver({
      port: 0,
      address: '127.0.0.1',
      silent: true,
      directory: join(folder, 's3'),
      configureBuckets: [{ name: 'pond', configs: [] }],
    })
    ;({ port } = await server.run())
    closing.push(() => server.close())
    shelf = openOutputShelf(urlOf(), environment)
  })

  test('takes outputs, large ones in parts, and gives them back', async () => {
    const published = await shelf.publish('0xabc', files)
    expect(published).toBe('s3://pond/jobs/0xabc')
    await readBack(shelf, published)
    expect(await shelf.publish('0xabc', files)).toBe(published)
  }, 60_000)

  test('gives links that need no account, for a while', async () => {
    const published = await shelf.publish('linked', files.slice(0, 2))
    const fetcher = new PublicFetcher({ allowPrivate: true })
    closing.push(() => fetcher.close())
    const store = await ContentStore.open(await mkdtemp(join(folder, 'store-')), { quotaBytes: 1000 })
    for (const file of files.slice(0, 2)) {
      const url = (await shelf.link(published, file.path, 60)) ?? ''
      expect(url).not.toContain('SECRET')
      const path = await store.write(file, httpSource(fetcher, url, file))
      expect((await readFile(path)).length).toBe(file.bytes)
    }
  })

  test('says what it refused, and never its credentials', async () => {
    const other = openOutputShelf(urlOf(), { ...environment, AWS_ACCESS_KEY_ID: 'nobody-here' })
    const failure = await other.publish('0xdef', files.slice(0, 1)).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'INVALID_REQUEST', retryable: false })
    expect(`${String(failure)}${JSON.stringify(failure)}`).not.toMatch(/nobody-here|S3RVER/)
    await expect(openOutputShelf(urlOf(), environment).source('s3://pond/none', 'a')(0)).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
    })
    const gone = openOutputShelf('s3://pond?endpoint=http://127.0.0.1:1', environment)
    await expect(gone.publish('a', files)).rejects.toMatchObject({ code: 'OUTPUT_UNAVAILABLE', retryable: true })
    await expect(shelf.source('s3://other/jobs', 'a')(0)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  })
})

test.each([
  ['pond', {}],
  ['https://bucket', {}],
  ['s3://key:secret@bucket', { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' }],
  ['s3://bucket', {}],
  ['s3://bucket?endpoint=https://host/path', { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' }],
  ['s3://bucket?endpoint=https://a:b@host', { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' }],
])('%s is no service', (url, environment) => {
  const refuse = () => openOutputShelf(url, environment)
  expect(refuse).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  expect(refuse).not.toThrow('secret')
})

const ipfs = process.env.LILYPAD_TEST_IPFS ?? 'ipfs'
const hasIpfs = (() => {
  try {
    execFileSync(ipfs, ['version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()

describe('an IPFS node', () => {
  test.skipIf(!hasIpfs)(
    'takes outputs under the name that is computed here, and gives them back',
    async () => {
      const environment = { ...process.env, IPFS_PATH: join(folder, 'ipfs') }
      const ipfsOf = (...args: readonly string[]) => execFileSync(ipfs, args, { env: environment, stdio: 'ignore' })
      ipfsOf('init', '--empty-repo')
      ipfsOf('config', 'Addresses.API', '/ip4/127.0.0.1/tcp/0')
      ipfsOf('config', '--json', 'Addresses.Swarm', '[]')
      ipfsOf('config', '--json', 'Addresses.Gateway', '[]')
      ipfsOf('bootstrap', 'rm', '--all')
      const node = spawn(ipfs, ['daemon', '--offline'], { env: environment, stdio: ['ignore', 'pipe', 'inherit'] })
      closing.push(async () => {
        node.kill()
        await once(node, 'exit')
      })
      let said = ''
      for await (const chunk of node.stdout) {
        said += String(chunk)
        if (said.includes('Daemon is ready')) break
      }
      const port = /RPC API server listening on \/ip4\/127\.0\.0\.1\/tcp\/(\d+)/.exec(said)?.[1]
      const shelf = openOutputShelf(`kubo+http://127.0.0.1:${port}`, {})
      const published = await shelf.publish('any', files)
      expect(published).toMatch(/^ipfs:\/\/bafybei/)
      await readBack(shelf, published)
      expect(await shelf.link(published, 'result.txt', 60)).toBeUndefined()
      await expect(shelf.source(published, 'none')(0)).rejects.toMatchObject({ code: 'OUTPUT_UNAVAILABLE' })
    },
    60_000,
  )

  test('that names something else is not believed, and is asked with its authorization', async () => {
    const asked: (string | undefined)[] = []
    const server = createServer((request, response) => {
      asked.push(request.headers.authorization)
      request.resume()
      request.on('end', () =>
        response.end(`{"Name":"","Hash":"bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"}\n`),
      )
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    closing.push(() => server.close())
    const shelf = openOutputShelf(`kubo+http://127.0.0.1:${(server.address() as AddressInfo).port}`, {
      KUBO_AUTHORIZATION: 'Bearer frog',
    })
    const failure = await shelf.publish('any', files.slice(0, 2)).catch((error: unknown) => error)
    const expected = await folderCid(
      files.slice(0, 2).map(({ path, content }) => ({ path, content: content.stream() })),
    )
    expect(failure).toMatchObject({ code: 'OUTPUT_UNAVAILABLE' })
    expect(String(failure)).toContain(expected)
    expect(String(failure)).not.toContain('frog')
    expect(asked).toEqual(['Bearer frog'])
  })
})
