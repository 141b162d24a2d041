import { type SeenReply, sha256, type SignedStep, StreamChain } from '@lilypad-agents/protocol'
import { beforeEach, expect, test } from 'vitest'
import { ReplyHistory } from './reply-history.ts'

const orderHash = sha256('order')
const signature = `0x${'11'.repeat(65)}` as const
const word = (text: string) => new TextEncoder().encode(`data: {"choices":[{"delta":{"content":"${text}"}}]}\n\n`)
let judged: { readonly chunks: number; readonly seen: SeenReply }[]
let history: ReplyHistory
beforeEach(() => {
  judged = []
  history = new ReplyHistory(({ step }, seen) => judged.push({ chunks: step.chunks, seen }))
})

/** Chunks of one word each, with the chain that they are in. */
function say(attempt: number, ...words: readonly string[]) {
  const chain = StreamChain.start(orderHash, attempt)
  for (const text of words) {
    const piece = { channel: 'response', bytes: word(text) } as const
    history.addPiece(chain.append(piece), piece)
  }
  return chain
}
const stepAt = (attempt: number, chunks: number): SignedStep => ({
  step: {
    orderHash,
    attempt,
    chunks,
    head: sha256('head'),
    inputUnits: 0,
    outputUnits: 0,
    meteredSeconds: 0,
    price: 1n,
  },
  signature,
})

test('a step is judged by what had come when it was made, also when more has come since', () => {
  say(1, 'a', 'b', 'c')
  history.addStep(stepAt(1, 2))
  const chain = StreamChain.start(orderHash, 1)
  for (const text of ['a', 'b']) chain.append({ channel: 'response', bytes: word(text) })
  expect(judged).toEqual([
    {
      chunks: 2,
      seen: { attempt: 1, chunks: 2, head: chain.position.head, counted: { inputUnits: 0, outputUnits: 2 } },
    },
  ])
})

test('a step that comes before its chunks waits for them', () => {
  history.addStep(stepAt(1, 2))
  expect(judged).toEqual([])
  say(1, 'a', 'b', 'c')
  expect(judged).toMatchObject([{ chunks: 2, seen: { counted: { outputUnits: 2 } } }])
})

test('a new run is counted from its beginning, and a step of the run before is not judged', () => {
  say(1, 'a', 'b', 'c')
  history.addStep(stepAt(2, 1))
  say(2, 'a')
  history.addStep(stepAt(1, 3))
  expect(judged).toMatchObject([{ chunks: 1, seen: { attempt: 2, counted: { outputUnits: 1 } } }])
})
