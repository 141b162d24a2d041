import { createHash } from 'node:crypto'
import { link, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bytes32 } from '@lilypad-agents/protocol'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { BlobMismatchError, StorageFullError, TransferCutError } from './blob-errors.ts'
import { type BlobSource, ContentStore } from './content-store.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lilypad-store-'))
})
afterEach(async () => rm(folder, { recursive: true, force: true }))

const openStore = (quotaBytes = 1000, idleMilliseconds = 1000) =>
  ContentStore.open(folder, { quotaBytes, idleMilliseconds })
const digest = (text: string): Bytes32 => `0x${createHash('sha256').update(text).digest('hex')}`
const blobOf = (text: string) => ({ sha256: digest(text), bytes: text.length })
async function* chunks(...texts: readonly string[]) {
  for (const text of texts) yield Buffer.from(text)
}
const from =
  (...texts: readonly string[]): BlobSource =>
  (offset) => ({ offset, chunks: chunks(texts.join('').slice(offset)) })
const put = (store: ContentStore, text: string) => store.write(blobOf(text), from(text))

/** Sends the first bytes, then breaks off. */
const cutAfter =
  (text: string, bytes: number, seen: number[] = []): BlobSource =>
  (offset) => {
    seen.push(offset)
    async function* broken() {
      yield Buffer.from(text.slice(offset, bytes))
      throw Object.assign(new Error('reset'), { code: 'ECONNRESET' })
    }
    return { offset, chunks: broken() }
  }

test('keeps a blob under its digest, read-only, so that a job can be given a link to it', async () => {
  const store = await openStore()
  expect(await store.find(digest('pond'))).toBeUndefined()
  const path = await store.write(blobOf('pond'), () => ({ offset: 0, chunks: chunks('po', 'nd') }))
  expect(await readFile(path, 'utf8')).toBe('pond')
  expect((await stat(path)).mode & 0o777).toBe(0o444)
  expect(await store.find(digest('pond'))).toBe(path)
  const file = join(folder, 'file')
  await writeFile(file, 'lily')
  expect(await readFile(await store.add(blobOf('lily'), file), 'utf8')).toBe('lily')
  expect(store.usage()).toEqual({ blobs: 2, usedBytes: 8, pinnedBytes: 0, quotaBytes: 1000 })
  expect(() => store.pathOf('0x../../etc/passwd')).toThrow()
})

test('a linked file outlives the eviction of its blob', async () => {
  const store = await openStore(10)
  const target = join(folder, 'input')
  await link(await put(store, 'pond'), target)
  await put(store, '0123456789')
  expect(await store.find(digest('pond'))).toBeUndefined()
  expect(await readFile(target, 'utf8')).toBe('pond')
})

test.each([
  ['too long', 'ponds'],
  ['too short', 'pon'],
  ['other bytes', 'bond'],
])('refuses bytes that are %s', async (_name, text) => {
  const store = await openStore()
  const error = text.length < 4 ? TransferCutError : BlobMismatchError
  await expect(store.write(blobOf('pond'), () => ({ offset: 0, chunks: chunks(text) }))).rejects.toThrow(error)
  expect(await store.find(digest('pond'))).toBeUndefined()
  if (text.length >= 4) {
    expect(await readdir(join(folder, 'incoming'))).toEqual([])
    expect(store.usage().usedBytes).toBe(0)
  }
})

test('a blob that is there is not taken for one of another size', async () => {
  const store = await openStore()
  await put(store, 'pond')
  const small = { sha256: digest('pond'), bytes: 1 }
  await expect(store.findExact(small)).rejects.toThrow(BlobMismatchError)
  await expect(store.write(small, from('p'))).rejects.toThrow(BlobMismatchError)
})

test('a blob that was removed or cut behind the store is fetched again', async () => {
  const store = await openStore()
  await rm(await put(store, 'pond'))
  expect(await store.find(digest('pond'))).toBeUndefined()
  expect(store.usage().usedBytes).toBe(0)
  expect(await readFile(await put(store, 'pond'), 'utf8')).toBe('pond')
})

describe('a transfer that was cut', () => {
  const text = 'a long time in the pond'

  test.each(['in this process', 'by a restart'])('goes on where it stopped: %s', async (how) => {
    const first = await openStore()
    await expect(first.write(blobOf(text), cutAfter(text, 10))).rejects.toThrow(TransferCutError)
    expect(first.usage().usedBytes).toBe(10)
    const store = how === 'by a restart' ? await openStore() : first
    expect(store.usage().usedBytes).toBe(10)
    const seen: number[] = []
    await expect(store.write(blobOf(text), cutAfter(text, 15, seen))).rejects.toThrow(TransferCutError)
    const rest: BlobSource = (offset) => {
      seen.push(offset)
      return { offset, chunks: chunks(text.slice(offset)) }
    }
    expect(await readFile(await store.write(blobOf(text), rest), 'utf8')).toBe(text)
    expect(seen).toEqual([10, 15])
    expect(store.usage().usedBytes).toBe(text.length)
  })

  test('begins again when the sender cannot resume', async () => {
    const store = await openStore()
    await expect(store.write(blobOf(text), cutAfter(text, 10))).rejects.toThrow(TransferCutError)
    const whole: BlobSource = () => ({ offset: 0, chunks: chunks(text) })
    expect(await readFile(await store.write(blobOf(text), whole), 'utf8')).toBe(text)
  })

  test('begins again when the half that is there is wrong', async () => {
    const store = await openStore()
    await expect(store.write(blobOf(text), cutAfter(text, 10))).rejects.toThrow(TransferCutError)
    await writeFile(join(folder, 'incoming', digest(text).slice(2)), '\0'.repeat(10))
    expect(await readFile(await put(store, text), 'utf8')).toBe(text)
    expect(store.usage().usedBytes).toBe(text.length)
  })

  test('is given up after a day', async () => {
    const store = await openStore()
    await expect(store.write(blobOf(text), cutAfter(text, 10))).rejects.toThrow(TransferCutError)
    const old = new Date(Date.now() - 100_000_000)
    await utimes(join(folder, 'incoming', digest(text).slice(2)), old, old)
    expect((await openStore()).usage().usedBytes).toBe(0)
    expect(await readdir(join(folder, 'incoming'))).toEqual([])
  })

  test('ends when the sender is silent', async () => {
    const store = await openStore(1000, 30)
    async function* silent() {
      yield Buffer.from('a')
      await new Promise(() => {})
    }
    await expect(store.write(blobOf(text), () => ({ offset: 0, chunks: silent() }))).rejects.toThrow(TransferCutError)
    await expect(store.receive(digest(text), silent(), { maxBytes: 100 })).rejects.toThrow(TransferCutError)
    expect(store.usage().usedBytes).toBe(1)
  })
})

test('two writers of one blob are one, and a bad source does not spoil a good one', async () => {
  const store = await openStore()
  let opened = 0
  const slow = (text: string): BlobSource => {
    return () => {
      opened += 1
      async function* late() {
        await new Promise((resolve) => setTimeout(resolve, 20))
        yield Buffer.from(text)
      }
      return { offset: 0, chunks: late() }
    }
  }
  const blob = blobOf('pond')
  await Promise.all([store.write(blob, slow('pond')), store.write(blob, slow('pond'))])
  expect(opened).toBe(1)
  const other = blobOf('lily')
  const [bad, good] = await Promise.allSettled([store.write(other, slow('LILY')), store.write(other, slow('lily'))])
  expect([bad?.status, good?.status]).toEqual(['rejected', 'fulfilled'])
  expect(store.usage().usedBytes).toBe(8)
})

describe('a sender of whom nothing is known', () => {
  test('has to show every byte, also of what is there already', async () => {
    const store = await openStore(20)
    expect(await store.receive(digest('123456'), chunks('123', '456'), { maxBytes: 8 })).toBe(6)
    await expect(store.receive(digest('123456'), chunks('12345'), { maxBytes: 8 })).rejects.toThrow(BlobMismatchError)
    expect(await store.receive(digest('123456'), chunks('123456'), { maxBytes: 8 })).toBe(6)
    await expect(store.receive(digest('123456789'), chunks('12345', '6789'), { maxBytes: 8 })).rejects.toMatchObject({
      code: 'PAYLOAD_TOO_LARGE',
    })
    await expect(store.receive(digest('1234'), chunks('1234'), { maxBytes: 8, bytes: 5 })).rejects.toThrow(
      BlobMismatchError,
    )
    expect(await readdir(join(folder, 'incoming'))).toEqual([])
    expect(store.usage()).toMatchObject({ blobs: 1, usedBytes: 6 })
  })

  test('two senders at the same time count once', async () => {
    const store = await openStore(20)
    const send = () => store.receive(digest('123456'), chunks('123', '456'), { maxBytes: 8 })
    await Promise.all([send(), send()])
    expect(store.usage()).toMatchObject({ blobs: 1, usedBytes: 6 })
  })
})

describe('the quota', () => {
  test('is kept by letting go what was not used for longest', async () => {
    const store = await openStore(12)
    for (const text of ['aaaa', 'bbbb', 'cccc']) await put(store, text)
    await store.find(digest('aaaa'))
    await put(store, 'dddd')
    const left = await Promise.all(['aaaa', 'bbbb', 'cccc', 'dddd'].map((text) => store.find(digest(text))))
    expect(left.map((path) => path !== undefined)).toEqual([true, false, true, true])
  })

  test('never takes what is pinned, by anybody, and a reader learns it before the transfer', async () => {
    const store = await openStore(8)
    await put(store, 'aaaa')
    await put(store, 'bbbb')
    store.pin('job 1', [digest('aaaa'), digest('bbbb')])
    store.pin('job 2', [digest('aaaa')])
    store.pin('job 2', [digest('aaaa')])
    await expect(store.write(blobOf('cccc'), () => expect.unreachable())).rejects.toThrow(StorageFullError)
    store.release('job 1')
    await put(store, 'cccc')
    await expect(put(store, 'eeeeeeee')).rejects.toThrow(StorageFullError)
    // What could not be fitted in has cost nobody its place.
    expect(store.usage()).toEqual({ blobs: 2, usedBytes: 8, pinnedBytes: 4, quotaBytes: 8 })
    expect(store.listOwners()).toEqual(['job 2'])
    store.release('job 2')
    await put(store, 'eeeeeeee')
    expect(store.usage().blobs).toBe(1)
  })

  test('counts half-written files, and they go first', async () => {
    const store = await openStore(12)
    await put(store, 'aaaa')
    await expect(store.write(blobOf('bbbbbbbb'), cutAfter('bbbbbbbb', 4))).rejects.toThrow(TransferCutError)
    expect(store.usage().usedBytes).toBe(8)
    await put(store, 'cccccccc')
    expect(await store.find(digest('aaaa'))).toBeDefined()
    expect(store.usage()).toMatchObject({ blobs: 2, usedBytes: 12 })
    expect(await readdir(join(folder, 'incoming'))).toEqual([])
  })

  test('is counted again after a restart, oldest use first', async () => {
    const store = await openStore(12)
    for (const [index, text] of ['aaaa', 'bbbb', 'cccc'].entries()) {
      const at = index === 1 ? 1000 : 2000
      await utimes(await put(store, text), at, at)
    }
    const again = await openStore(12)
    await put(again, 'dddd')
    expect(await again.find(digest('bbbb'))).toBeUndefined()
    expect(await again.find(digest('cccc'))).toBeDefined()
  })
})

test('prunes what is old and not pinned', async () => {
  for (const text of ['old', 'kept', 'fresh']) {
    const path = await put(await openStore(), text)
    if (text !== 'fresh') await utimes(path, 1, 1)
  }
  const store = await openStore()
  store.pin('job', [digest('kept')])
  expect(store.prune({ unusedSince: new Date(2000) })).toBe(1)
  expect(await store.find(digest('old'))).toBeUndefined()
  expect(await store.find(digest('kept'))).toBeDefined()
  expect(await store.find(digest('fresh'))).toBeDefined()
})
