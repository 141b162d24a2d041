import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  encodeFrameHeader,
  FrameError,
  frameReader,
  frameTypes,
  maxFrameBytes,
} from '../../src/executors/wasm/frames.ts'
import { EarlyFiles } from '../../src/executors/wasm/early-files.ts'
import { outputLineReader } from '../../src/executors/wasm/output-lines.ts'
import { OutputReceiver } from '../../src/executors/wasm/output-receiver.ts'
import { progressReader } from '../../src/executors/progress-reader.ts'

const frame = fc.record({ type: fc.constantFrom(...frameTypes), payload: fc.uint8Array({ maxLength: 300 }) })

test('frames come out as they went in, however the stream is cut', () => {
  fc.assert(
    fc.property(fc.array(frame), fc.array(fc.integer({ min: 1, max: 50 })), (frames, cuts) => {
      const stream = Buffer.concat(
        frames.flatMap(({ type, payload }) => [encodeFrameHeader(type, payload.length), payload]),
      )
      const read = frameReader()
      const found: { type: string; payload: Buffer }[] = []
      for (let offset = 0, turn = 0; offset < stream.length; turn++) {
        const length = cuts[turn % (cuts.length || 1)] ?? stream.length
        for (const { type, payload } of read(stream.subarray(offset, offset + length)))
          found.push({ type, payload: Buffer.from(payload) })
        offset += length
      }
      expect(found).toEqual(frames.map(({ type, payload }) => ({ type, payload: Buffer.from(payload) })))
    }),
  )
})

test('noise is refused by the reader or read as frames, and never held without bound', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), (noise) => {
      try {
        for (const { type, payload } of frameReader()(noise)) {
          expect(frameTypes).toContain(type)
          expect(payload.length).toBeLessThanOrEqual(maxFrameBytes)
        }
      } catch (error) {
        expect(error).toBeInstanceOf(FrameError)
      }
    }),
  )
})

test('a runner that was taken over can place nothing outside the folder', async () => {
  const root = await mkdtemp(join(tmpdir(), 'lilypad-receiver-'))
  const path = fc.oneof(
    fc.constantFrom('../x', '/etc/x', 'a/../../x', 'a', 'a/b', '.', '', 'a\u0000b', 'a//b', 'C:\\x'),
    fc.string({ maxLength: 20 }),
  )
  const header = fc.oneof(
    fc
      .record({ path, bytes: fc.oneof(fc.integer({ min: -1, max: 20 }), fc.constant(1e300)) })
      .map((value) => Buffer.from(JSON.stringify(value))),
    fc.uint8Array({ maxLength: 40 }),
  )
  const step = fc.oneof(
    header.map((payload) => ({ isHeader: true, payload })),
    fc.uint8Array({ maxLength: 20 }).map((payload) => ({ isHeader: false, payload })),
  )
  let run = 0
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
        const folder = join(root, `${++run}`, 'out')
        await mkdir(folder, { recursive: true })
        const receiver = new OutputReceiver(folder, { outputBytes: 100, outputFiles: 3 })
        for (const { isHeader, payload } of steps) {
          const problem = isHeader ? await receiver.begin(payload) : await receiver.append(payload)
          if (problem !== undefined) break
        }
        await receiver.close()
        expect(await readdir(join(root, `${run}`))).toEqual(['out'])
        expect((receiver.outputs ?? []).reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(100)
      }),
      { numRuns: 200 },
    )
  } finally {
    await rm(root, { recursive: true, force: true })
  }
})

test('a runner that was taken over can announce early files only within the limits, and leaves none behind', async () => {
  const root = await mkdtemp(join(tmpdir(), 'lilypad-early-'))
  const path = fc.oneof(fc.constantFrom('../x', 'a', 'a/b', '.', '', 'a//b'), fc.string({ maxLength: 20 }))
  const header = fc
    .record({ path, bytes: fc.integer({ min: 0, max: 40 }) })
    .map((value) => Buffer.from(JSON.stringify(value)))
  const step = fc.oneof(
    header.map((payload) => ({ isHeader: true, payload })),
    fc.uint8Array({ maxLength: 40 }).map((payload) => ({ isHeader: false, payload })),
  )
  let run = 0
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const folder = join(root, `${++run}`)
        await mkdir(folder)
        const taken: { path: string; bytes: number; content: string }[] = []
        const early = new EarlyFiles(join(folder, 'early'), { outputBytes: 100, outputFiles: 3 }, async (file) => {
          taken.push({ ...file, content: await readFile(file.source, 'latin1') })
        })
        for (const { isHeader, payload } of steps) {
          const problem = isHeader ? await early.begin(payload) : await early.append(payload)
          if (problem !== undefined) break
        }
        await early.close()
        expect(await readdir(folder)).toEqual([])
        expect(taken.every(({ bytes, content }) => content.length === bytes)).toBe(true)
        expect(taken.length).toBeLessThanOrEqual(3)
        expect(taken.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(100)
      }),
      { numRuns: 200 },
    )
  } finally {
    await rm(root, { recursive: true, force: true })
  }
})

test('lines that announce a file are found however they are cut; others and over-long ones are passed over', () => {
  const text = `lilypad-output a/b.txt\nlilypad-outputs x\n lilypad-output y\nlilypad-output ${'x'.repeat(2000)}\nlilypad-output grüße\r\nlilypad-output`
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }), (cuts) => {
      const read = outputLineReader()
      const bytes = Buffer.from(text)
      const found: string[] = []
      for (let offset = 0, turn = 0; offset < bytes.length; turn++) {
        const length = cuts[turn % cuts.length] ?? 1
        found.push(...read(bytes.subarray(offset, offset + length)))
        offset += length
      }
      expect(found).toEqual(['a/b.txt', 'grüße'])
    }),
  )
})

test('progress text is cut and cleaned, and over-long lines are passed over', () => {
  const read = progressReader()
  expect(
    read(
      Buffer.from(
        `lilypad-progress 0.25 a\u001b[2Jb\u202e\nlilypad-progress 1 ${'x'.repeat(600)}\nlilypad-progress 2 no\nlilypad-prog`,
      ),
    ),
  ).toEqual([{ fraction: 0.25, text: 'a [2Jb ' }])
  expect(read(Buffer.from('ress 1.0\n'))).toEqual([{ fraction: 1, text: '' }])
})
