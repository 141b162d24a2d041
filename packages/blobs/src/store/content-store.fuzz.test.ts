import { createHash } from 'node:crypto'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bytes32 } from '@lilypad-agents/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ContentStore } from './content-store.ts'

const quotaBytes = 100
const blobs = Array.from({ length: 12 }, (_, index) => {
  const bytes = Buffer.alloc(1 + ((index * 7) % 40), index)
  const sha256: Bytes32 = `0x${createHash('sha256').update(bytes).digest('hex')}`
  return { sha256, bytes: bytes.length, content: bytes }
})
const owners = ['a', 'b', 'c']
const blob = fc.integer({ min: 0, max: blobs.length - 1 })
const step = fc.oneof(
  fc.record({ kind: fc.constantFrom('write', 'receive', 'find', 'cut', 'lie'), blob }),
  fc.record({ kind: fc.constant('pin'), owner: fc.constantFrom(...owners), blob }),
  fc.record({ kind: fc.constant('release'), owner: fc.constantFrom(...owners) }),
  fc.record({ kind: fc.constant('restart') }),
)
type Step = { readonly kind: string; readonly blob?: number; readonly owner?: string }

/** What a store is: a list in order of use, half-written files beside it, and who needs what. */
class Model {
  list: number[] = []
  partials = new Map<number, number>()
  pins = new Map<string, Set<number>>()
  /** Bytes of a half-written file that is being written. */
  writing = 0

  sizeOf = (index: number) => blobs[index]?.bytes ?? 0
  isPinned = (index: number) => [...this.pins.values()].some((owned) => owned.has(index))
  used = () =>
    this.writing +
    this.list.reduce((sum, index) => sum + this.sizeOf(index), 0) +
    [...this.partials.values()].reduce((sum, bytes) => sum + bytes, 0)

  use(index: number): boolean {
    if (!this.list.includes(index)) return false
    this.list = [...this.list.filter((other) => other !== index), index]
    return true
  }

  /** Makes room; false when it cannot, and then nothing is let go. */
  makeRoom(bytes: number): boolean {
    let excess = this.used() + bytes - quotaBytes
    if (excess <= 0) return true
    const free = this.list.filter((index) => !this.isPinned(index))
    const most =
      free.reduce((sum, index) => sum + this.sizeOf(index), 0) + [...this.partials.values()].reduce((a, b) => a + b, 0)
    if (most < excess) return false
    for (const bytes of this.partials.values()) excess -= bytes
    this.partials.clear()
    for (const index of free) {
      if (excess <= 0) break
      this.list = this.list.filter((other) => other !== index)
      excess -= this.sizeOf(index)
    }
    return true
  }
}

async function* inChunks(bytes: Uint8Array) {
  for (let start = 0; start < bytes.length; start += 5) yield bytes.subarray(start, start + 5)
}

async function apply(store: ContentStore, model: Model, { kind, blob: index = 0, owner = '' }: Step): Promise<void> {
  const subject = blobs[index]
  if (!subject) throw new RangeError('no such blob')
  const { sha256, content } = subject
  const run = (promise: Promise<unknown>) =>
    promise.then(
      () => 'done',
      (error: { code: string }) => error.code,
    )
  switch (kind) {
    case 'write': {
      const result = await run(
        store.write(subject, (offset) => ({ offset, chunks: inChunks(content.subarray(offset)) })),
      )
      if (model.use(index)) return expect(result).toBe('done')
      const before = model.partials.get(index) ?? 0
      model.partials.delete(index)
      model.writing = before
      const fits = model.makeRoom(content.length - before)
      model.writing = 0
      expect(result).toBe(fits ? 'done' : 'STORAGE_FULL')
      if (fits) model.list.push(index)
      else if (before > 0) model.partials.set(index, before)
      return
    }
    case 'receive': {
      const result = await run(store.receive(sha256, inChunks(content), { maxBytes: 1000 }))
      if (model.use(index)) return expect(result).toBe('done')
      // Room is made bit by bit, so what was let go before the store was full is gone.
      let taken = 0
      for (let start = 0; start < content.length; start += 5) {
        const bytes = Math.min(5, content.length - start)
        const isFull = !model.makeRoom(taken + bytes)
        if (isFull) return expect(result).toBe('STORAGE_FULL')
        taken += bytes
      }
      expect(result).toBe('done')
      model.list.push(index)
      return
    }
    case 'cut': {
      const cut = Math.floor(content.length / 2)
      const result = await run(
        store.write(subject, (offset) => ({ offset, chunks: inChunks(content.subarray(offset, cut)) })),
      )
      if (model.use(index)) return expect(result).toBe('done')
      if (result === 'STORAGE_FULL') return
      expect(result).toBe('TIMED_OUT')
      const before = model.partials.get(index) ?? 0
      model.partials.delete(index)
      model.writing = before
      expect(model.makeRoom(content.length - before)).toBe(true)
      model.writing = 0
      if (Math.max(cut, before) > 0) model.partials.set(index, Math.max(cut, before))
      return
    }
    case 'lie': {
      const result = await run(store.receive(sha256, inChunks(Buffer.alloc(1, 99)), { maxBytes: 1000 }))
      model.use(index)
      if (result !== 'STORAGE_FULL') model.makeRoom(model.list.includes(index) ? 0 : 1)
      return expect(['DIGEST_MISMATCH', 'STORAGE_FULL']).toContain(result)
    }
    case 'find':
      return expect((await store.find(sha256)) !== undefined).toBe(model.use(index))
    case 'pin':
      store.pin(owner, [sha256])
      model.pins.set(owner, (model.pins.get(owner) ?? new Set()).add(index))
      return
    case 'release':
      store.release(owner)
      model.pins.delete(owner)
      return
    default:
      throw new RangeError(kind)
  }
}

async function bytesOnDisk(folder: string): Promise<number> {
  let total = 0
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile() && !entry.parentPath.endsWith('trash'))
      total += (await stat(join(entry.parentPath, entry.name))).size
  return total
}

test('quota, pins and order of use are those of a simple list', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps: readonly Step[]) => {
      const folder = await mkdtemp(join(tmpdir(), 'lilypad-model-'))
      try {
        let store = await ContentStore.open(folder, { quotaBytes })
        const model = new Model()
        for (const each of steps) {
          if (each.kind === 'restart') {
            store = await ContentStore.open(folder, { quotaBytes })
            for (const [owner, owned] of model.pins)
              store.pin(
                owner,
                [...owned].flatMap((index) => blobs[index]?.sha256 ?? []),
              )
            // Times of use within a minute are not kept over a restart; what is there is.
            for (const index of model.list) await store.find(blobs[index]?.sha256 ?? '0x')
          } else await apply(store, model, each)
          const { usedBytes, pinnedBytes, blobs: count } = store.usage()
          expect(usedBytes).toBe(model.used())
          expect(usedBytes).toBeLessThanOrEqual(quotaBytes)
          expect(count).toBe(model.list.length)
          expect(pinnedBytes).toBe(
            model.list.filter(model.isPinned).reduce((sum, index) => sum + (blobs[index]?.bytes ?? 0), 0),
          )
          expect(await bytesOnDisk(folder)).toBe(usedBytes)
        }
      } finally {
        await rm(folder, { recursive: true, force: true })
      }
    }),
    { numRuns: 60 },
  )
})
