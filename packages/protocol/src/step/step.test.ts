import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createSigner } from '../crypto/signer.ts'
import { sha256 } from '../crypto/hash.ts'
import type { ModuleManifest } from '../module/module-manifest.ts'
import { zeroBytes32 } from '../primitives/hex.ts'
import { streamStart } from '../stream/stream-chain.ts'
import { findStepFault } from './find-step-fault.ts'
import { ReplyMeter } from './reply-meter.ts'
import { type Step, stepRecord, stepType } from './step.ts'
import { isStreamedReply, stepTerms } from './step-terms.ts'

const domain = { chainId: 31_337, vault: `0x${'aa'.repeat(20)}` } as const
const provider = createSigner(`0x${'1'.repeat(64)}`)
const other = createSigner(`0x${'2'.repeat(64)}`)
const orderHash = sha256('order')
const address = `0x${'1'.repeat(40)}` as const
const ask = {
  ...{ provider: address, solver: address, moduleVersion: zeroBytes32, token: address, salt: zeroBytes32 },
  ...{ pricePerJob: 1000n, pricePerSecond: 5n, pricePerInputUnit: 3n, pricePerOutputUnit: 7n },
  ...{ slots: 1, validUntil: 0 },
}
const server = {
  ...{ protocol: 'openai-chat', path: '/', readyPath: '/', input: 'request', concurrency: 1 },
  ...{ startSeconds: 1, idleSeconds: 1, maxInputUnits: 100, maxOutputUnits: 50 },
} as const
// Only what meters a job.
const manifest = {
  runtime: { kind: 'container', server },
  units: { inputFrom: { kind: 'server-usage' }, outputFrom: { kind: 'server-usage' } },
} as unknown as ModuleManifest
const inputs = { request: JSON.stringify({ stream: true, max_tokens: 40 }) }
const terms = stepTerms({ manifest, inputs, ask, maxPrice: 10_000n })

const event = (fields: object) => `data: ${JSON.stringify(fields)}\n\n`
const delta = (fields: object) => event({ choices: [{ index: 0, delta: fields, finish_reason: null }] })
const bytes = (text: string) => new TextEncoder().encode(text)
function count(...texts: readonly string[]) {
  const meter = new ReplyMeter()
  for (const text of texts) meter.add(bytes(text))
  return meter.units
}

describe('the meter of a reply', () => {
  test.each<[string, readonly string[], { inputUnits: number; outputUnits: number }]>([
    ['nothing', [], { inputUnits: 0, outputUnits: 0 }],
    [
      'pieces of text',
      [delta({ role: 'assistant', content: '' }), delta({ content: 'a' }), delta({ content: 'b' })],
      { inputUnits: 0, outputUnits: 2 },
    ],
    [
      'reasoning and calls',
      [delta({ reasoning: 'hm' }), delta({ tool_calls: [{ function: { name: 'look', arguments: '' } }] })],
      { inputUnits: 0, outputUnits: 2 },
    ],
    [
      'what is reported, where there is text for it',
      [delta({ content: 'abcd' }), event({ choices: [], usage: { prompt_tokens: 9, completion_tokens: 3 } })],
      { inputUnits: 9, outputUnits: 3 },
    ],
    [
      'no more than there is text',
      [delta({ content: 'abcd' }), event({ choices: [], usage: { prompt_tokens: 9, completion_tokens: 300 } })],
      { inputUnits: 9, outputUnits: 4 },
    ],
    [
      'nothing of what is no event',
      ['data: {"a"\n\n', 'data: [DONE]\n\n', ': still here\n\n', '{"choices":[{"delta":{"content":"a"}}]}\n'],
      { inputUnits: 0, outputUnits: 0 },
    ],
    [
      'an event in two pieces once',
      [delta({ content: 'a' }).slice(0, 20), delta({ content: 'a' }).slice(20)],
      { inputUnits: 0, outputUnits: 1 },
    ],
  ])('counts %s', (_name, texts, expected) => expect(count(...texts)).toEqual(expected))

  test('counts the same however the bytes are cut, and never less than before', () => {
    const text = [
      delta({ content: 'frög' }),
      delta({ content: '🐸' }),
      event({ choices: [], usage: { prompt_tokens: 2, completion_tokens: 2 } }),
    ].join('')
    const whole = count(text)
    fc.assert(
      fc.property(fc.array(fc.nat(bytes(text).length)), (cuts) => {
        const meter = new ReplyMeter()
        let before = meter.units
        const places = [0, ...cuts, bytes(text).length].toSorted((a, b) => a - b)
        for (const [index, place] of places.entries()) {
          meter.add(bytes(text).subarray(places[index - 1] ?? 0, place))
          expect(meter.units.outputUnits).toBeGreaterThanOrEqual(before.outputUnits)
          before = meter.units
        }
        expect(meter.units).toEqual(whole)
      }),
    )
  })

  test('counts nothing of a line that is too long, however it is cut', () => {
    const chunk = { choices: [{ delta: { content: 'a' } }], more: ' '.repeat(1024 ** 2) }
    const text = event(chunk) + delta({ content: 'b' })
    for (const place of [0, 9, 1024 ** 2, 1024 ** 2 + 20])
      expect(count(text.slice(0, place), text.slice(place))).toEqual({ inputUnits: 0, outputUnits: 1 })
  })

  test('reads a long line in small pieces in a time by its length', () => {
    const meter = new ReplyMeter()
    const start = performance.now()
    for (let pieces = 0; pieces < 65_000; pieces++) meter.add(bytes('a'.repeat(16)))
    // Searched again with each piece it took half a minute.
    expect(performance.now() - start).toBeLessThan(5000)
    meter.add(bytes(`\n${delta({ content: 'a' })}`))
    expect(meter.units.outputUnits).toBe(1)
  })
})

test('a step is priced by what came, without the price per job, and never over the order', () => {
  expect(terms.units({ inputUnits: 500, outputUnits: 500 })).toEqual({ inputUnits: 100, outputUnits: 40 })
  expect(terms.price({ inputUnits: 2, outputUnits: 3, meteredSeconds: 4 })).toBe(2n * 3n + 3n * 7n + 4n * 5n)
  expect(terms.price({ inputUnits: 1_000_000, outputUnits: 0, meteredSeconds: 0 })).toBe(10_000n)
})

test.each([
  ['asks for a stream', manifest, { request: '{"stream":true}' }, true],
  ['asks for none', manifest, { request: '{"stream":false}' }, false],
  ['is no JSON', manifest, { request: 'stream' }, false],
  ['is nothing', manifest, { request: 'null' }, false],
  [
    'is for a program',
    { runtime: { kind: 'wasm' } } as unknown as ModuleManifest,
    { request: '{"stream":true}' },
    false,
  ],
])('a request that %s', (_name, of, given, expected) => expect(isStreamedReply(of, given)).toBe(expected))

describe('a step', () => {
  const seen = { attempt: 1, chunks: 5, head: streamStart(orderHash, 1), counted: { inputUnits: 2, outputUnits: 3 } }
  const step: Step = {
    ...{ orderHash, attempt: 1, chunks: 5, head: seen.head },
    ...{ inputUnits: 2, outputUnits: 3, meteredSeconds: 4, price: 47n },
  }
  const facts = { domain, orderHash, provider: provider.address, terms, maxPrice: 10_000n, seen, maxSeconds: 4 }
  const signed = (change: Partial<Step> = {}, signer = provider) => {
    const changed = { ...step, ...change }
    return { step: changed, signature: stepType.sign(domain, changed, signer) }
  }

  test.each<[string, Parameters<typeof findStepFault>[0], string | undefined]>([
    ['that says what came', signed(), undefined],
    ['that says less', signed({ outputUnits: 1, price: 33n }), undefined],
    ['of another job', signed({ orderHash: sha256('other') }), 'it is about another job'],
    ['of another signer', signed({}, other), 'it is not signed by the provider of the job'],
    ['of another run', signed({ attempt: 2 }), 'it is about other chunks than those that came'],
    ['of other chunks', signed({ head: sha256('other') }), 'it is about other chunks than those that came'],
    ['of more units', signed({ outputUnits: 4, price: 54n }), 'it counts 2 and 4 units, of which 2 and 3 came'],
    ['of a longer time', signed({ meteredSeconds: 5, price: 52n }), 'it counts 5 s, 4 s after the order'],
    ['that is too dear', signed({ price: 48n }), 'it costs 48, by the ask 47'],
  ])('%s', (_name, given, expected) => expect(findStepFault(given, facts)).toBe(expected))

  test('stands in a record in the place of the receipt', () => {
    expect(stepRecord(domain, { moduleVersion: zeroBytes32, nonce: 7 }, step)).toEqual({
      ...{ orderHash, receiptHash: stepType.hash(domain, step), moduleVersion: zeroBytes32, price: 47n, nonce: 7 },
    })
    const changes: Partial<Step>[] = [
      { attempt: 2 },
      { chunks: 6 },
      { head: zeroBytes32 },
      { inputUnits: 1 },
      { outputUnits: 1 },
      { meteredSeconds: 1 },
      { price: 1n },
    ]
    const hashes = [{}, ...changes].map((change) => stepType.hash(domain, { ...step, ...change }))
    expect(new Set(hashes).size).toBe(hashes.length)
  })
})
