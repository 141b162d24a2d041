import {
  fromBase64,
  type JobState,
  jobOrderType,
  sha256,
  StreamChain,
  type StreamChunk,
  type StreamPiece,
  toBase64,
} from '@lilypad-agents/protocol'
import { describe, expect, test, vi } from 'vitest'
import { createStoredJob } from '../../test/describe-client-store.ts'
import { createSampleBundle, sampleDomain, sampleOutputs, sampleSigners } from '../../test/sample-bundle.ts'
import { sampleContracts } from '../chain/network.ts'
import { memoryStore } from '../store/memory-store.ts'
import { createLilypad } from './create-lilypad.ts'
import type { StreamedPiece } from './job-stream.ts'

const token = `0x${'70'.repeat(20)}` as const
const network = {
  name: 'hostile',
  chainId: sampleDomain.chainId,
  rpcUrl: 'http://127.0.0.1:9',
  solverUrl: 'http://solver.invalid',
  contracts: { ...sampleContracts(token), jobVault: sampleDomain.vault },
}
const orderHash = jobOrderType.hash(sampleDomain, createSampleBundle().order.order)
const text = (value: string): StreamPiece => ({ channel: 'stdout', bytes: new TextEncoder().encode(value) })
const encode = (value: unknown) =>
  JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? item.toString() : item))

function write(pieces: readonly StreamPiece[], attempt = 1) {
  const chain = StreamChain.start(orderHash, attempt)
  const chunks = pieces.map((piece) => chain.append(piece))
  return { chunks, summary: { ...chain.position, truncated: false } }
}
const honest = write(['one', 'two', 'three', 'four'].map(text))
const [one, two, three, four] = honest.chunks as [StreamChunk, StreamChunk, StreamChunk, StreamChunk]

type Event = StreamChunk | JobState | 'hang up'

/** A client of a relay that answers each look at the events with the next list. */
async function open(
  answers: readonly (readonly Event[])[],
  facts: {
    readonly summary?: typeof honest.summary | undefined
    readonly state?: JobState
    readonly isForged?: boolean
  } = {
    summary: honest.summary,
  },
) {
  const { summary, state = 'delivered', isForged = false } = facts
  const bundle = createSampleBundle({ predicate: summary === undefined ? {} : { stream: summary } })
  const { manifest } = bundle.delivery
  const forged = {
    ...bundle.delivery,
    manifest: { ...manifest, predicate: { ...manifest.predicate, stream: honest.summary } },
  }
  const delivery = state !== 'delivered' ? null : isForged ? forged : bundle.delivery
  const store = memoryStore()
  const { order } = bundle.order
  const module = bundle.module
  await store.transaction((transaction) => {
    transaction.putJob(
      createStoredJob(1, {
        orderHash,
        state: 'running',
        module,
        ask: bundle.ask,
        inputs: bundle.inputs,
        order,
        signature: bundle.order.signature,
        grant: bundle.grant,
      }),
    )
  })
  const places: (string | null)[] = []
  const rest = [...answers]
  const lilypad = createLilypad({
    network,
    store,
    signer: sampleSigners.session,
    ...(bundle.grant ? { grant: bundle.grant } : {}),
    now: () => new Date(1_799_999_900_000),
    fetch: async (input) => {
      const url = new URL(String(input))
      if (url.pathname.endsWith('/events')) {
        places.push(url.searchParams.get('stream'))
        const events = rest.shift() ?? []
        const lines = events.flatMap((event, index) => {
          if (event === 'hang up') return []
          const value =
            typeof event === 'string'
              ? { type: 'state', sequence: index + 1, state: event, at: 1 }
              : { type: 'chunk', chunk: event }
          return `data: ${JSON.stringify(value)}\n\n`
        })
        return new Response(lines.join(''))
      }
      if (url.pathname.includes('/outputs/')) {
        const bytes = [...sampleOutputs.values()].find((output) => url.pathname.endsWith(sha256(output)))
        return new Response(bytes?.slice().buffer)
      }
      return new Response(
        encode({
          orderHash,
          state,
          order,
          reservation: bundle.reservation,
          missingInputs: [],
          progress: null,
          delivery,
          settlement: null,
          reason: null,
          createdAt: 1,
          updatedAt: 1,
        }),
      )
    },
  })
  return { lilypad, places }
}

async function readAll(lilypad: Awaited<ReturnType<typeof open>>['lilypad']) {
  const pieces: StreamedPiece[] = []
  for await (const piece of lilypad.stream(orderHash)) pieces.push(piece)
  return pieces.map((piece) =>
    piece.channel === 'file' ? piece.file.path : `${piece.attempt} ${new TextDecoder().decode(piece.bytes)}`,
  )
}
const all = ['1 one', '1 two', '1 three', '1 four']

describe('an honest stream', () => {
  test('is given piece by piece, and the job is verified with it', async () => {
    const { lilypad } = await open([['running', one, two, three, four, 'delivered']])
    expect(await readAll(lilypad)).toEqual(all)
    const verification = await lilypad.verify(orderHash)
    expect(verification.checks.find(({ name }) => name === 'stream')).toEqual({
      name: 'stream',
      ok: true,
      evidence: '4 chunks of 15 bytes came as the receipt commits to them',
    })
  })

  test('goes on where it was after a lost connection, and each piece comes once', async () => {
    const { lilypad, places } = await open([[one, two, 'hang up'], [three], [], [four, 'delivered']])
    expect(await readAll(lilypad)).toEqual(all)
    expect(places).toEqual(['1.0', '1.2', '1.3', '1.3'])
  })

  test('of a job that was begun again shows the new run, and only it counts', async () => {
    const again = write([text('anew')], 2)
    const { lilypad } = await open([[one, two, ...again.chunks, 'delivered']], { summary: again.summary })
    expect(await readAll(lilypad)).toEqual(['1 one', '1 two', '2 anew'])
  })

  test('that was read half is followed to its end before the job is verified', async () => {
    const { lilypad, places } = await open([
      [one, two, three, four, 'delivered'],
      [three, four, 'delivered'],
    ])
    let count = 0
    for await (const _ of lilypad.stream(orderHash)) if (++count === 2) break
    await lilypad.getJob(orderHash)
    const { checks } = await lilypad.verify(orderHash)
    expect(checks.find(({ name }) => name === 'stream')).toMatchObject({ ok: true })
    expect(places).toEqual(['1.0', '1.2'])
  })
})

describe('a relay is caught that', () => {
  const alter = (chunk: StreamChunk, value: string): StreamChunk =>
    chunk.channel === 'file' ? chunk : { ...chunk, data: toBase64(new TextEncoder().encode(value)) }
  const rewritten = write(['one', 'TWO', 'three', 'four'].map(text)).chunks
  const shortened = write(['one', 'three', 'four'].map(text)).chunks

  test.each<[string, readonly Event[], string]>([
    ['ends it early', [one, two, 'delivered'], '2 chunks came, the manifest commits to 4'],
    ['leaves all of it out', ['running', 'delivered'], '0 chunks came, the manifest commits to 4'],
    ['leaves out a chunk', [one, three, four, 'delivered'], 'a chunk is missing or comes twice'],
    [
      'leaves out a chunk and chains the rest anew',
      [...shortened, 'delivered'],
      '3 chunks came, the manifest commits to 4',
    ],
    ['doubles a chunk', [one, one, two, three, four, 'delivered'], 'a chunk is missing or comes twice'],
    ['turns two around', [two, one, three, four, 'delivered'], 'a chunk is missing or comes twice'],
    ['alters a chunk', [one, alter(two, 'TWO'), three, four, 'delivered'], 'chunk 1 was altered'],
    ['alters a chunk and chains the rest anew', [...rewritten, 'delivered'], 'the chain ends in'],
    [
      'adds a chunk',
      [...write(['one', 'two', 'three', 'four', 'five'].map(text)).chunks, 'delivered'],
      '5 chunks came, the manifest commits to 4',
    ],
    [
      'shows another run',
      [...write([text('other')], 2).chunks, 'delivered'],
      'the manifest commits to the stream of run 1, what came is of run 2',
    ],
    ['goes back to an older run', [...write([text('new')], 2).chunks, one, 'delivered'], 'a chunk of another run'],
  ])('%s', async (_name, events, fault) => {
    // The relay stays with its story when it is asked again.
    const { lilypad } = await open([events, ['delivered']])
    await expect(readAll(lilypad)).rejects.toMatchObject({
      code: 'STREAM_BROKEN',
      message: expect.stringContaining(fault),
    })
    const { lilypad: payer } = await open([events, ['delivered']])
    await readAll(payer).catch(() => {})
    await expect(payer.complete(orderHash)).rejects.toMatchObject({
      code: 'VERIFICATION_FAILED',
      message: expect.stringContaining('stream: '),
    })
    expect((await payer.getStoredJob(orderHash)).acknowledgement).toBeNull()
  })

  test('shows a stream that the provider did not sign for', async () => {
    const { lilypad } = await open([[one, two, three, four, 'delivered']], { isForged: true })
    await expect(readAll(lilypad)).rejects.toMatchObject({
      code: 'STREAM_BROKEN',
      message: expect.stringContaining('does not end in a receipt'),
    })
  })

  test('shows a stream where the receipt commits to none', async () => {
    const { lilypad } = await open([[one, 'delivered']], {})
    await expect(readAll(lilypad)).rejects.toMatchObject({
      message: expect.stringContaining('the manifest commits to none'),
    })
  })

  test('ends it with a job that has no receipt', async () => {
    const { lilypad } = await open([[one, 'expired']], { state: 'expired' })
    await expect(readAll(lilypad)).rejects.toMatchObject({ code: 'JOB_EXPIRED' })
  })
})

test('a relay that never comes to the end is given up, and that is no end', async () => {
  const { lilypad } = await open([[one]])
  vi.useFakeTimers()
  try {
    const reading = readAll(lilypad)
    const refused = expect(reading).rejects.toMatchObject({ code: 'SOLVER_UNREACHABLE' })
    await vi.advanceTimersByTimeAsync(31_000)
    await refused
  } finally {
    vi.useRealTimers()
  }
})

test('a reader that stops is told so, not that the stream has ended', async () => {
  const { lilypad } = await open([[one, 'hang up']])
  const stopping = new AbortController()
  const reading = (async () => {
    for await (const piece of lilypad.stream(orderHash, { signal: stopping.signal })) {
      if (piece.channel !== 'file') expect(piece.bytes).toEqual(fromBase64('b25l'))
      stopping.abort(new Error('enough'))
    }
  })()
  await expect(reading).rejects.toThrow('enough')
})
