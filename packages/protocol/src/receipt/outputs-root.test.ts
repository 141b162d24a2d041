import { createHash } from 'node:crypto'
import { posix, win32 } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bytes32, foreignJson } from '../../test/arbitraries.ts'
import type { Hex } from '../primitives/hex.ts'
import { isSafePath, OutputFile, OutputPath, outputsRoot } from './outputs-root.ts'

describe('isSafePath', () => {
  test.each([
    'a',
    'speech.wav',
    'pages/1/text.json',
    '.hidden',
    '...a',
    'a..b',
    'a b',
    '-rf',
    '~',
    '$(id)',
    'ünïcödé/日本語.txt',
    '😀',
    'console.txt',
    'nul-value',
    'com10',
    'a'.repeat(255),
    '%2e%2e/a',
  ])('takes %j', (path) => expect(isSafePath(path)).toBe(true))

  test.each<[string, string]>([
    ['nothing', ''],
    ['the root', '/'],
    ['an absolute path', '/etc/passwd'],
    ['the parent', '..'],
    ['a way up', '../a'],
    ['a way up and down', 'a/../b'],
    ['a way up at the end', 'a/..'],
    ['the folder itself', '.'],
    ['the folder itself inside', 'a/./b'],
    ['an empty part', 'a//b'],
    ['a folder', 'a/'],
    ['a backslash', 'a\\b'],
    ['a way up for Windows', '..\\a'],
    ['a drive', 'C:/a'],
    ['a stream of a file', 'a.txt:hidden'],
    ['NUL', 'a\u0000b'],
    ['a line break', 'a\nb'],
    ['an escape sequence', '\u001b[2Ja'],
    ['a C1 control', 'a\u009bb'],
    ['text that turns around', 'gpj\u202eexe.a'],
    ['text that hides', 'speech\u200b.wav'],
    ['an isolate', 'a\u2066b'],
    ['a lone surrogate', 'a\ud800'],
    ['a part of 256', 'a'.repeat(256)],
    ['a space at the end, which Windows drops', '.. /a'],
    ['three dots, which Windows drops', 'a/.../b'],
    ['a dot at the end, which makes two names one file', 'a.'],
    ['a space alone', ' '],
    ['a device', 'nul'],
    ['a device with an ending', 'a/COM1.txt'],
    ['a device and a space', 'aux .txt'],
    ['the console', 'CONIN$'],
  ])('refuses %s', (_, path) => expect(isSafePath(path)).toBe(false))

  test('what it takes stays inside its folder on either kind of system', () => {
    const part = fc.oneof(
      fc.constantFrom('.', '..', '', ' ', '.. ', 'a', 'C:', '\\', '/', '..\\', '\u0000', '~'),
      fc.string({ unit: 'binary', maxLength: 4 }),
    )
    fc.assert(
      fc.property(fc.array(part, { maxLength: 5 }), (parts) => {
        const path = parts.join('/')
        fc.pre(isSafePath(path))
        expect(posix.resolve('/out', path).startsWith('/out/')).toBe(true)
        expect(win32.resolve('C:\\out', path).startsWith('C:\\out\\')).toBe(true)
        expect(posix.normalize(path)).toBe(path)
      }),
      { numRuns: 2000 },
    )
  })

  test('the schema says the same, and limits the whole to 512', () => {
    const long = Array.from({ length: 257 }, () => 'a').join('/')
    expect(isSafePath(long)).toBe(true)
    expect(OutputPath.safeParse(long).success).toBe(false)
    fc.assert(fc.property(foreignJson, (value) => void OutputPath.safeParse(value)))
  })
})

const file = fc.record({ path: fc.string({ minLength: 1, unit: 'grapheme' }), bytes: fc.nat(), sha256: bytes32 })
const files = fc.uniqueArray(file, { selector: ({ path }) => path, maxLength: 12 })

describe('outputsRoot', () => {
  test('no files give the hash of nothing', () => {
    expect(outputsRoot([])).toBe('0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  })

  test('one root of one file, for ever', () => {
    const digest: Hex = `0x${'ab'.repeat(32)}`
    const leaf = `\u0000{"bytes":5,"path":"speech.wav","sha256":"${digest}"}`
    expect(outputsRoot([{ path: 'speech.wav', bytes: 5, sha256: digest }])).toBe(
      `0x${createHash('sha256').update(leaf).digest('hex')}`,
    )
  })

  test('has the shape of RFC 6962', () => {
    const hash = (...parts: readonly (Uint8Array | string)[]) =>
      parts.reduce((digest, part) => digest.update(part), createHash('sha256')).digest()
    // MTH as the RFC writes it: k is the largest power of two smaller than n.
    const root = (leaves: readonly string[]): Buffer => {
      if (leaves.length === 1) return hash('\u0000', leaves[0] ?? '')
      let k = 1
      while (k * 2 < leaves.length) k *= 2
      return hash('\u0001', root(leaves.slice(0, k)), root(leaves.slice(k)))
    }
    for (let count = 1; count <= 33; count++) {
      const list = Array.from({ length: count }, (_, index) => ({
        path: `f${String(index).padStart(3, '0')}`,
        bytes: index,
        sha256: `0x${'00'.repeat(31)}${index.toString(16).padStart(2, '0')}` as Hex,
      }))
      const leaves = list.map(({ path, bytes, sha256 }) => `{"bytes":${bytes},"path":"${path}","sha256":"${sha256}"}`)
      expect(outputsRoot(list)).toBe(`0x${root(leaves).toString('hex')}`)
    }
  })

  test('does not depend on the order of the files, nor changes it', () => {
    fc.assert(
      fc.property(
        files.chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }))),
        ([list, shuffled]) => {
          const before = JSON.stringify(shuffled)
          expect(outputsRoot(shuffled)).toBe(outputsRoot(list))
          expect(JSON.stringify(shuffled)).toBe(before)
        },
      ),
    )
  })

  test('any change of any file changes it', () => {
    fc.assert(
      fc.property(files, file, fc.nat(), (list, other, at) => {
        fc.pre(list.length > 0 && !list.some(({ path }) => path === other.path))
        const index = at % list.length
        const changed = list[index] ?? other
        const root = outputsRoot(list)
        const flipped: Hex = `${changed.sha256.slice(0, -1)}${changed.sha256.endsWith('0') ? '1' : '0'}` as Hex
        const roots = [
          list.with(index, { ...changed, bytes: changed.bytes + 1 }),
          list.with(index, { ...changed, path: other.path }),
          list.with(index, { ...changed, sha256: flipped }),
          list.toSpliced(index, 1),
          [...list, other],
        ].map(outputsRoot)
        expect(new Set([root, ...roots]).size).toBe(roots.length + 1)
      }),
    )
  })

  test('an inner node cannot be passed off as a file', () => {
    expect(OutputFile.safeParse({ path: 'a', bytes: 0, sha256: `0x${'00'.repeat(32)}`, more: 1 }).success).toBe(false)
  })
})
