import fc from 'fast-check'
import { expect, test } from 'vitest'
import { eventReader } from './event-reader.ts'

class StreamError extends Error {}
const reader = (maxLength?: number) =>
  eventReader({ ...(maxLength ? { maxLength } : {}), toError: (fault, cause) => new StreamError(fault, { cause }) })
const bytesOf = (text: string) => new TextEncoder().encode(text)

/** Cuts bytes at these places. */
function cut(bytes: Uint8Array, places: readonly number[]): readonly Uint8Array[] {
  const sorted = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end))
}

test('events are the same however the network cuts them', () => {
  const line = fc.string({ unit: 'binary', maxLength: 20 }).map((text) => text.replace(/[\r\n]/g, ' '))
  fc.assert(
    fc.property(
      fc.array(line, { minLength: 1 }),
      fc.array(fc.nat(10_000)),
      fc.constantFrom('\n', '\r\n'),
      (texts, places, end) => {
        const stream = texts.map((text) => `: note${end}data: ${text}${end}${end}`).join('')
        const read = reader()
        const events = cut(bytesOf(stream), places).flatMap((piece) => read(piece))
        expect(events).toEqual(texts.map((text) => Buffer.from(text).toString()))
      },
    ),
  )
})

test('bytes from anywhere end in events or in a fault', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 })), (pieces) => {
      const read = reader()
      try {
        for (const piece of pieces) read(piece)
      } catch (error) {
        expect(error).toBeInstanceOf(StreamError)
      }
    }),
  )
})

test('lines of one event are its data, and other fields are not', () => {
  const stream = 'retry: 1\nevent: x\nid: 1\ndata: a\ndata:b\n\n: note\n\ndata: half'
  expect(reader()(bytesOf(stream))).toEqual(['a\nb'])
})

test.each([
  ['a line without end', `data: ${'x'.repeat(100)}`, 'too-long'],
  ['lines without end', 'data: x\n'.repeat(50), 'too-long'],
  ['bytes that are no text', Uint8Array.of(0x64, 0xff, 0x0a), 'bytes'],
])('%s: a fault', (_, stream, fault) => {
  const read = reader(99)
  expect(() => read(typeof stream === 'string' ? bytesOf(stream) : stream)).toThrow(new StreamError(fault))
})

test('the longest event costs no more in pieces of one byte than its length', { timeout: 60_000 }, () => {
  const read = reader()
  const text = 'x'.repeat(1024 ** 2 - 20)
  const events = Array.from(bytesOf(`data: ${text}\n\n`)).flatMap((byte) => read(Uint8Array.of(byte)))
  expect(events).toEqual([text])
})
