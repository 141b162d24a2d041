import { expect, test } from 'vitest'
import { encodeSlotFrame, slotRecordReader } from '../../src/executors/docker/slot-frame.ts'

const fits = { args: ['/bin/true'], env: [], hasStdin: false }

test('a frame is its length, three counts and strings', () => {
  const frame = encodeSlotFrame({ args: ['a', ''], env: ['B=ü'], hasStdin: true })
  expect(frame?.toString('latin1')).toBe('LPS1\x14\0\0\0\x02\0\0\0\x01\0\0\0\x01\0\0\0a\0\0B=\xc3\xbc\0')
})

test.each([
  ['fits', fits, true],
  ['names no program', { ...fits, args: [] }, false],
  ['holds a zero', { ...fits, args: ['a\0b'] }, false],
  ['has a string of 128 KiB', { ...fits, env: [`A=${'x'.repeat(128 * 1024 - 2)}`] }, false],
  ['has one byte less', { ...fits, env: [`A=${'x'.repeat(128 * 1024 - 3)}`] }, true],
  ['has too many strings', { ...fits, env: Array.from({ length: 16_385 }, () => 'A=') }, false],
  ['is longer than a megabyte', { ...fits, args: Array.from({ length: 9 }, () => 'x'.repeat(120_000)) }, false],
])('a program that %s', (_what, program, isEncoded) => {
  expect(encodeSlotFrame(program) !== undefined).toBe(isEncoded)
})

test('records come out however the bytes were cut', () => {
  const bytes = Buffer.from('R\0\0\0\x01\0\0\0S\0\0\0\0\0\0\0?\0\0\0\0\0\0\0E\0\0\0\x89\0\0\0', 'latin1')
  const expected = [
    { kind: 'ready', value: 1 },
    { kind: 'started', value: 0 },
    { kind: 'ended', value: 137 },
  ]
  for (let size = 1; size <= bytes.length; size++) {
    const read = slotRecordReader()
    const found = []
    for (let at = 0; at < bytes.length; at += size) found.push(...read(bytes.subarray(at, at + size)))
    expect(found).toEqual(expected)
  }
})
