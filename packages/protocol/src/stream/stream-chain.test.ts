import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bytes32 } from '../../test/arbitraries.ts'
import { fromBase64, toBase64 } from '../primitives/base64.ts'
import { sha256 } from '../crypto/hash.ts'
import { findStreamFault, StreamBrokenError, StreamChain, streamStart } from './stream-chain.ts'
import { maxStreamChunkBytes, StreamChunk, type StreamPiece } from './stream-chunk.ts'

const orderHash = `0x${'11'.repeat(32)}` as const
const text = (value: string) => new TextEncoder().encode(value)
const file = { path: 'a/b.txt', bytes: 3, sha256: sha256('abc'), mediaType: 'text/plain' }

const piece: fc.Arbitrary<StreamPiece> = fc.oneof(
  fc.record({
    channel: fc.constantFrom('stdout', 'stderr', 'response'),
    bytes: fc.uint8Array({ maxLength: 40 }),
  }),
  fc.record({
    channel: fc.constant('file' as const),
    file: fc.record({ path: fc.constantFrom('a', 'b', 'c/d'), bytes: fc.nat(), sha256: bytes32 }),
  }),
)

function write(pieces: readonly StreamPiece[], attempt = 1): { chunks: StreamChunk[]; chain: StreamChain } {
  const chain = StreamChain.start(orderHash, attempt)
  return { chunks: pieces.map((one) => chain.append(one)), chain }
}

/** What a requester makes of chunks, compared with what the run committed to. Undefined when it believes them. */
function read(chunks: readonly StreamChunk[], committed: StreamChain): string | undefined {
  const chain = StreamChain.start(orderHash, 1)
  try {
    for (const chunk of chunks) chain.take(chunk)
  } catch (error) {
    if (!(error instanceof StreamBrokenError)) throw error
    return error.message
  }
  return findStreamFault(
    { position: chain.position, files: new Map() },
    { stream: { ...committed.position, truncated: false }, outputs: [] },
  )
}

describe('the chain', () => {
  test('has the same heads everywhere', () => {
    const { chunks, chain } = write([
      { channel: 'stdout', bytes: text('hello\n') },
      { channel: 'file', file },
    ])
    expect(streamStart(orderHash, 1)).toMatchInlineSnapshot(
      `"0x15c1457f60d6e9a9f219d7914b108a963c3de28dfc197c487f00353fd94cf9a9"`,
    )
    expect(chunks).toMatchInlineSnapshot(`
      [
        {
          "attempt": 1,
          "channel": "stdout",
          "data": "aGVsbG8K",
          "head": "0xb427817125dd1d8a2463b82736fb4781ce070bc51de3116932cf78bcdadbb820",
          "index": 0,
        },
        {
          "attempt": 1,
          "channel": "file",
          "file": {
            "bytes": 3,
            "mediaType": "text/plain",
            "path": "a/b.txt",
            "sha256": "0xba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
          },
          "head": "0xf5c4729e0cc2f4df52907a141241dc26d90059ecd71fb2c3e7d8e5964725b988",
          "index": 1,
        },
      ]
    `)
    expect(chain.position).toMatchInlineSnapshot(`
      {
        "attempt": 1,
        "bytes": 6,
        "chunks": 2,
        "head": "0xf5c4729e0cc2f4df52907a141241dc26d90059ecd71fb2c3e7d8e5964725b988",
      }
    `)
  })

  test('of another run or another job is another chain', () => {
    const [chunk] = write([{ channel: 'stdout', bytes: text('x') }]).chunks
    if (!chunk) throw new Error('one chunk')
    expect(() => StreamChain.start(orderHash, 2).take(chunk)).toThrow(StreamBrokenError)
    expect(() => StreamChain.start(orderHash, 2).take({ ...chunk, attempt: 2 })).toThrow('altered')
    expect(() => StreamChain.start(`0x${'22'.repeat(32)}`, 1).take(chunk)).toThrow('altered')
  })

  test('stays where it was when a chunk is refused', () => {
    const { chunks } = write([
      { channel: 'stdout', bytes: text('a') },
      { channel: 'stdout', bytes: text('b') },
    ])
    const chain = StreamChain.start(orderHash, 1)
    const [first, second] = chunks
    if (!first || !second) throw new Error('two chunks')
    expect(() => chain.take(second)).toThrow('missing')
    expect(() => chain.take({ ...first, head: second.head })).toThrow('altered')
    chain.take(first)
    expect(chain.take(second)).toEqual({ channel: 'stdout', bytes: text('b') })
  })

  test('goes on from where another one stands', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), fc.nat(8), (pieces, at) => {
        const whole = write(pieces)
        const half = write(pieces.slice(0, at)).chain
        const rest = StreamChain.from(half.position)
        for (const one of pieces.slice(at)) rest.append(one)
        expect(rest.position).toEqual(whole.chain.position)
      }),
    )
  })
})

describe('any stream', () => {
  test('that arrives as it was written is believed, also over the wire, and gives the bytes back', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const { chunks, chain } = write(pieces)
        const wired = chunks.map((chunk) => StreamChunk.parse(JSON.parse(JSON.stringify(chunk))))
        expect(read(wired, chain)).toBeUndefined()
        const reader = StreamChain.start(orderHash, 1)
        expect(wired.map((chunk) => reader.take(chunk))).toEqual(pieces)
      }),
    )
  })

  test('holds the same bytes however they are cut', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.array(fc.nat(200), { maxLength: 6 }), (bytes, cuts) => {
        const edges = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length]
        const pieces = edges.slice(1).map((end, index) => ({
          channel: 'stdout' as const,
          bytes: bytes.slice(edges[index], end),
        }))
        const { chunks, chain } = write(pieces)
        expect(read(chunks, chain)).toBeUndefined()
        const joined = chunks.flatMap((chunk) => (chunk.channel === 'file' ? [] : [...fromBase64(chunk.data)]))
        expect(joined).toEqual([...bytes])
        expect(chain.position.bytes).toBe(bytes.length)
      }),
    )
  })

  const streams = fc.array(piece, { minLength: 1, maxLength: 10 })

  test('is not believed when a chunk is left out, also when the ones after it are numbered and chained anew', () => {
    fc.assert(
      fc.property(streams, fc.nat(), (pieces, at) => {
        const { chunks, chain } = write(pieces)
        const index = at % pieces.length
        expect(read(chunks.toSpliced(index, 1), chain)).toBeDefined()
        expect(read(write(pieces.toSpliced(index, 1)).chunks, chain)).toBeDefined()
      }),
    )
  })

  test('is not believed when a chunk comes twice', () => {
    fc.assert(
      fc.property(streams, fc.nat(), (pieces, at) => {
        const { chunks, chain } = write(pieces)
        const index = at % pieces.length
        const [twice, again] = [chunks[index], pieces[index]]
        if (!twice || !again) throw new Error('the index is inside')
        expect(read(chunks.toSpliced(index, 0, twice), chain)).toBeDefined()
        expect(read(write(pieces.toSpliced(index, 0, again)).chunks, chain)).toBeDefined()
      }),
    )
  })

  test('is not believed when two chunks change places', () => {
    fc.assert(
      fc.property(streams, fc.nat(), fc.nat(), (pieces, at, with_) => {
        const { chunks, chain } = write(pieces)
        const [i, j] = [at % pieces.length, with_ % pieces.length]
        const swap = <T>(list: readonly T[]) =>
          list.map((item, index) => list[index === i ? j : index === j ? i : index] ?? item)
        fc.pre(JSON.stringify(pieces[i]) !== JSON.stringify(pieces[j]))
        expect(read(swap(chunks), chain)).toBeDefined()
        expect(read(write(swap(pieces)).chunks, chain)).toBeDefined()
      }),
    )
  })

  test('is not believed when a chunk is altered', () => {
    fc.assert(
      fc.property(streams, fc.nat(), piece, (pieces, at, other) => {
        const { chunks, chain } = write(pieces)
        const index = at % pieces.length
        fc.pre(JSON.stringify(pieces[index]) !== JSON.stringify(other))
        const forged = write(pieces.toSpliced(index, 1, other)).chunks
        // With the heads of the honest chain, and with heads that fit the forgery.
        expect(
          read(
            forged.map((chunk, i) => ({ ...chunk, head: chunks[i]?.head ?? chunk.head })),
            chain,
          ),
        ).toBeDefined()
        expect(read(forged, chain)).toBeDefined()
      }),
    )
  })
})

describe('what a manifest commits to', () => {
  const { chain } = write([{ channel: 'file', file }])
  const stream = { ...chain.position, truncated: false }
  const seen = { position: chain.position, files: new Map([[file.path, file]]) }
  const output = { path: file.path, bytes: file.bytes, sha256: file.sha256 }

  test.each([
    [
      'nothing seen, nothing said',
      { position: StreamChain.start(orderHash, 1).position, files: new Map() },
      undefined,
      [],
      undefined,
    ],
    ['all of it', seen, stream, [output], undefined],
    ['chunks without a word of the manifest', seen, undefined, [output], '1 chunks came, the manifest commits to none'],
    [
      'an end before the end',
      { ...seen, position: StreamChain.start(orderHash, 1).position },
      stream,
      [output],
      '0 chunks came, the manifest commits to 1',
    ],
    [
      'another run',
      seen,
      { ...stream, attempt: 2 },
      [output],
      'the manifest commits to the stream of run 2, what came is of run 1',
    ],
    [
      'another file in the end',
      seen,
      stream,
      [{ ...output, sha256: sha256('abd') }],
      `the file "a/b.txt" was announced with ${sha256('abc')}, delivered with ${sha256('abd')}`,
    ],
    [
      'no file in the end',
      seen,
      stream,
      [],
      `the file "a/b.txt" was announced with ${sha256('abc')}, and not delivered`,
    ],
  ] as const)('%s', (_name, what, committed, outputs, fault) => {
    expect(findStreamFault(what, { stream: committed, outputs })).toBe(fault)
  })
})

test('a chunk has a bounded size and a safe path', () => {
  const [chunk] = write([{ channel: 'stdout', bytes: new Uint8Array(maxStreamChunkBytes) }]).chunks
  expect(StreamChunk.safeParse(chunk).success).toBe(true)
  const [large] = write([{ channel: 'stdout', bytes: new Uint8Array(maxStreamChunkBytes + 1) }]).chunks
  expect(StreamChunk.safeParse(large).success).toBe(false)
  const [outside] = write([{ channel: 'file', file: { ...file, path: '../b' } }]).chunks
  expect(StreamChunk.safeParse(outside).success).toBe(false)
})

test('Base64 is that of everybody else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 20_000 }), (bytes) => {
      expect(toBase64(bytes)).toBe(Buffer.from(bytes).toString('base64'))
      expect(fromBase64(toBase64(bytes))).toEqual(bytes)
    }),
  )
})
