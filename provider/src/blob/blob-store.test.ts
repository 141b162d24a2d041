import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bytes32 } from '@lilypad-agents/protocol'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { BlobMismatchError, BlobStore } from './blob-store.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lilypad-blobs-'))
})
afterEach(async () => rm(folder, { recursive: true, force: true }))

const digest = (text: string): Bytes32 => `0x${createHash('sha256').update(text).digest('hex')}`
async function* chunks(...texts: string[]) {
  for (const text of texts) yield Buffer.from(text)
}

test('keeps a blob under its digest', async () => {
  const store = await BlobStore.open(folder)
  const blob = { sha256: digest('pond'), bytes: 4 }
  expect(await store.find(blob.sha256)).toBeUndefined()
  const path = await store.write(blob, chunks('po', 'nd'))
  expect(await readFile(path, 'utf8')).toBe('pond')
  expect(await store.find(blob.sha256)).toBe(path)
  const file = join(folder, 'file')
  await writeFile(file, 'lily')
  expect(await readFile(await store.add({ sha256: digest('lily'), bytes: 4 }, file), 'utf8')).toBe('lily')
})

test.each([
  ['too long', digest('pond'), 4, 'ponds'],
  ['too short', digest('pond'), 4, 'pon'],
  ['other bytes', digest('pond'), 4, 'bond'],
])('refuses bytes that are %s and keeps nothing', async (_name, sha256, bytes, text) => {
  const store = await BlobStore.open(folder)
  await expect(store.write({ sha256, bytes }, chunks(text))).rejects.toThrow(BlobMismatchError)
  expect(await store.find(sha256)).toBeUndefined()
  expect(await readdir(join(folder, 'incoming'))).toEqual([])
})

test('a blob that is there is not taken for one of another size', async () => {
  const store = await BlobStore.open(folder)
  await store.write({ sha256: digest('pond'), bytes: 4 }, chunks('pond'))
  const small = { sha256: digest('pond'), bytes: 1 }
  await expect(store.findExact(small)).rejects.toThrow(BlobMismatchError)
  await expect(store.write(small, chunks('p'))).rejects.toThrow(BlobMismatchError)
})

test('prunes what is old and not kept', async () => {
  const store = await BlobStore.open(folder)
  const [old, kept, fresh] = [digest('old'), digest('kept'), digest('fresh')]
  await store.write({ sha256: old, bytes: 3 }, chunks('old'))
  await store.write({ sha256: kept, bytes: 4 }, chunks('kept'))
  await store.write({ sha256: fresh, bytes: 5 }, chunks('fresh'))
  await store.touch(old, new Date(1000))
  await store.touch(kept, new Date(1000))
  expect(await store.prune({ unusedSince: new Date(2000), keep: new Set([kept]) })).toBe(1)
  expect(await store.find(old)).toBeUndefined()
  expect(await store.find(kept)).toBeDefined()
  expect(await store.find(fresh)).toBeDefined()
})
