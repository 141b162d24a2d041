import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  fromBase64,
  type ProviderFrame,
  StreamBrokenError,
  StreamChain,
  type StreamChunk,
  streamWindowBytes,
} from '@lilypad-agents/protocol'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { StreamRecorder } from './stream-recorder.ts'
import { longestHoldMilliseconds, maxBacklogBytes, StreamSender } from './stream-sender.ts'

const orderHash = `0x${'11'.repeat(32)}` as const
const limits = { bytes: 64 * 1024 ** 2, chunks: 100_000 }
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lilypad-stream-'))
})
afterEach(() => {
  vi.useRealTimers()
  rmSync(folder, { recursive: true, force: true })
})

const text = (chunks: readonly StreamChunk[], channel = 'stdout') =>
  Buffer.concat(
    chunks.map((chunk) =>
      chunk.channel === channel && chunk.channel !== 'file' ? fromBase64(chunk.data) : Buffer.alloc(0),
    ),
  ).toString()

describe('what a run says becomes chunks', () => {
  const record = (change: Partial<typeof limits> = {}) => {
    const chunks: StreamChunk[] = []
    const recorder = new StreamRecorder({
      path: join(folder, 'stream.jsonl'),
      orderHash,
      attempt: 1,
      limits: { ...limits, ...change },
      onChunk: (chunk) => void chunks.push(chunk),
    })
    return { recorder, chunks }
  }

  test('the first bytes at once, more of the same moment together, a reply piece by piece', async () => {
    vi.useFakeTimers()
    const { recorder, chunks } = record()
    recorder.write('stdout', Buffer.from('a'))
    expect(text(chunks)).toBe('a')
    for (const letter of 'bcdef') recorder.write('stdout', Buffer.from(letter))
    recorder.write('stderr', Buffer.from('x'))
    expect(chunks).toHaveLength(1)
    vi.advanceTimersByTime(25)
    expect(chunks).toHaveLength(3)
    expect([text(chunks), text(chunks, 'stderr')]).toEqual(['abcdef', 'x'])
    for (const token of ['one', ' two', ' three']) recorder.write('response', Buffer.from(token))
    expect(chunks).toHaveLength(6)
    recorder.write('stdout', Buffer.alloc(100_000))
    recorder.write('stdout', Buffer.from('end'))
    const summary = await recorder.close()
    const reader = StreamChain.start(orderHash, 1)
    for (const chunk of chunks) reader.take(chunk)
    expect(summary).toEqual({ ...reader.position, truncated: false })
    expect(readFileSync(join(folder, 'stream.jsonl'), 'utf8')).toBe(
      chunks.map((chunk) => `${JSON.stringify(chunk)}\n`).join(''),
    )
  })

  test('over the limits is left out, and the summary says so', async () => {
    const bytes = record({ bytes: 5 })
    bytes.recorder.write('response', Buffer.from('four'))
    bytes.recorder.write('response', Buffer.from('five'))
    bytes.recorder.write('stdout', Buffer.from('six'))
    expect(text(bytes.chunks, 'response')).toBe('fourf')
    expect(await bytes.recorder.close()).toMatchObject({ chunks: 2, bytes: 5, truncated: true })
    const chunks = record({ chunks: 1 })
    chunks.recorder.write('response', Buffer.from('a'))
    chunks.recorder.write('response', Buffer.from('b'))
    expect(await chunks.recorder.close()).toMatchObject({ chunks: 1, bytes: 1, truncated: true })
  })

  test('ends where the relay stopped taking it', async () => {
    const { recorder, chunks } = record()
    for (const token of 'abcdef') recorder.write('response', Buffer.from(token))
    recorder.cut()
    recorder.write('response', Buffer.from('g'))
    expect(await recorder.close()).toMatchObject({ chunks: 6, truncated: true })
    expect(chunks).toHaveLength(6)
    expect(recorder.summariseStored(4)).toMatchObject({ chunks: 4, bytes: 4, head: chunks[3]?.head, truncated: true })
  })
})

/** A relay that does as the real one: takes the next chunk, answers each. */
function createRelay() {
  const stored: StreamChunk[] = []
  let chain = StreamChain.start(orderHash, 1)
  return {
    stored,
    forget(count: number) {
      stored.length = count
      chain = StreamChain.start(orderHash, 1)
      for (const chunk of stored) chain.take(chunk)
    },
    take(chunk: StreamChunk): { stored: number; refused?: string } {
      try {
        if (chunk.index >= stored.length) {
          chain.take(chunk)
          stored.push(chunk)
        }
        return { stored: stored.length }
      } catch (error) {
        if (!(error instanceof StreamBrokenError)) throw error
        return { stored: stored.length, refused: error.code }
      }
    },
  }
}

describe('chunks reach the relay', () => {
  const setUp = () => {
    const line: StreamChunk[] = []
    const refusals: string[] = []
    const state = { isUp: true }
    let sender: StreamSender | undefined
    const path = join(folder, 'stream.jsonl')
    const send = (frame: ProviderFrame) => {
      if (state.isUp && frame.type === 'chunk') line.push(frame.chunk)
      return state.isUp
    }
    const recorder = new StreamRecorder({
      path,
      orderHash,
      attempt: 1,
      limits,
      onChunk: (chunk, bytes) => sender?.add(chunk, bytes),
    })
    const openSender = () => {
      sender = new StreamSender({ orderHash, attempt: 1, path, send, onRefused: (code) => void refusals.push(code) })
      return sender
    }
    return { recorder, line, state, refusals, openSender }
  }

  test('at most a window ahead of the answers, whatever is written meanwhile', async () => {
    const { recorder, line, openSender } = setUp()
    const sender = openSender()
    const relay = createRelay()
    for (let index = 0; index < 400; index++) recorder.write('response', Buffer.alloc(3000, index))
    const sent = line.reduce((sum, chunk) => sum + JSON.stringify(chunk).length, 0)
    expect(sent).toBeGreaterThan(streamWindowBytes / 2)
    expect(sent).toBeLessThan(streamWindowBytes + 10_000)
    sender.complete((await recorder.close()).chunks)
    for (let chunk = line.shift(); chunk; chunk = line.shift()) sender.receive(relay.take(chunk))
    expect(relay.stored).toHaveLength(400)
    sender.close()
  })

  test('each once and in order, through any lost connection, a relay that forgets, and a provider that starts again', async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('write' as const), bytes: fc.integer({ min: 1, max: 40_000 }) }),
      fc.record({ do: fc.constant('answer' as const), count: fc.integer({ min: 1, max: 20 }) }),
      fc.record({ do: fc.constant('lose' as const), arrive: fc.nat(5) }),
      fc.record({ do: fc.constant('forget' as const), keep: fc.nat(30) }),
      fc.record({ do: fc.constant('restart' as const) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { recorder, line, state, refusals, openSender } = setUp()
        const relay = createRelay()
        let sender = openSender()
        let written = 0
        const answer = (count: number) => {
          for (const chunk of line.splice(0, count)) sender.receive(relay.take(chunk))
        }
        const reconnect = () => {
          line.length = 0
          state.isUp = true
          sender.resume()
        }
        for (const one of steps) {
          if (one.do === 'write') {
            recorder.write('response', Buffer.alloc(one.bytes, written++))
          } else if (one.do === 'answer') answer(one.count)
          else if (one.do === 'lose') {
            // Some of what was on its way arrives, but no answer comes back.
            for (const chunk of line.splice(0, one.arrive)) relay.take(chunk)
            state.isUp = false
            recorder.write('response', Buffer.alloc(10, written++))
            reconnect()
          } else if (one.do === 'forget') {
            // A relay that was away comes back with less than it had.
            relay.forget(Math.min(one.keep, relay.stored.length))
            reconnect()
          } else {
            sender.close()
            sender = openSender()
            line.length = 0
            sender.complete((await recorder.close()).chunks)
            break
          }
        }
        const summary = await recorder.close()
        sender.complete(summary.chunks)
        for (let rounds = 0; line.length > 0 && rounds < 10_000; rounds++) answer(1)
        expect(refusals).toEqual([])
        expect(relay.stored).toHaveLength(summary.chunks)
        expect(relay.stored.at(-1)?.head ?? summary.head).toBe(summary.head)
        sender.close()
      }),
      { numRuns: 150 },
    )
  })

  test('a program is held up while the relay is slow, and not by a relay that takes nothing', async () => {
    vi.useFakeTimers()
    const { recorder, line, openSender } = setUp()
    const sender = openSender()
    const relay = createRelay()
    expect(sender.room()).toBeUndefined()
    while (sender.room() === undefined) recorder.write('response', Buffer.alloc(40_000))
    const done = vi.fn()
    void sender.room()?.then(done)
    await vi.advanceTimersByTimeAsync(longestHoldMilliseconds / 2)
    expect(done).not.toHaveBeenCalled()
    while (relay.stored.length * 40_000 < maxBacklogBytes / 2)
      for (const chunk of line.splice(0, 1)) sender.receive(relay.take(chunk))
    await vi.advanceTimersByTimeAsync(0)
    expect(done).toHaveBeenCalled()
    while (sender.room() === undefined) recorder.write('response', Buffer.alloc(40_000))
    const held = sender.room()
    await vi.advanceTimersByTimeAsync(2 * longestHoldMilliseconds)
    await held
    expect(sender.room()).toBeUndefined()
    await recorder.close()
    sender.close()
  })

  test('is given up when the relay takes no more, or finds the same place broken again and again', async () => {
    const { recorder, line, refusals, openSender } = setUp()
    const sender = openSender()
    recorder.write('response', Buffer.from('a'))
    for (let rounds = 0; line.length > 0 && rounds < 100; rounds++) {
      line.shift()
      sender.receive({ stored: 0, refused: 'STREAM_BROKEN' })
    }
    expect(refusals).toEqual(['STREAM_BROKEN'])
    sender.close()
    const again = openSender()
    again.complete(1)
    again.resume()
    again.receive({ stored: 0, refused: 'STORAGE_FULL' })
    expect(refusals).toEqual(['STREAM_BROKEN', 'STORAGE_FULL'])
    again.close()
    await recorder.close()
  })
})
