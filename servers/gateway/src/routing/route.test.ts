import { LilypadError, type ModuleListing } from '@lilypad-agents/protocol'
import type { Request } from 'express'
import { describe, expect, test } from 'vitest'
import { readPolicy } from '../http/policy.ts'
import { createRouteMemory } from './route-memory.ts'
import { isSteered, type ProviderPolicy, rememberServed, stickyKeys, toRoute } from './route.ts'

const [a, b, c] = ['a', 'b', 'c'].map((digit) => `0x${digit.repeat(40)}` as const) as [
  `0x${string}`,
  `0x${string}`,
  `0x${string}`,
]
const moduleVersion = `0x${'1'.repeat(64)}` as const
const offer = (provider: `0x${string}`, price: bigint, region?: string) => ({
  ...{ provider, region, token: a, pricePerJob: 0n, pricePerSecond: 0n },
  ...{ pricePerInputUnit: price, pricePerOutputUnit: 2n * price },
})
const offers: ModuleListing['offers'] = [offer(a, 100n, 'eu-west'), offer(b, 110n, 'eu-north'), offer(c, 200n)]

const route = (policy: ProviderPolicy, memory = createRouteMemory(), keys: readonly string[] = []) =>
  toRoute({ moduleVersion, offers, policy, memory, stickyKeys: keys })
const codeOf = (run: () => unknown) => {
  try {
    run()
    return 'none'
  } catch (error) {
    return LilypadError.is(error) ? error.code : error
  }
}

/** A request with headers and a body, as the routes read them. */
const policyOf = (body: unknown, headers: Readonly<Record<string, string>> = {}) =>
  readPolicy({ body, get: (name: string) => headers[name] } as unknown as Request, {
    usdPerLilyWad: 2n * 10n ** 18n,
    isHedged: false,
  })

test.each([
  ['nothing', {}, {}],
  ['one provider', { provider: b }, { only: [b] }],
  ['some providers', { only: [b, c], ignore: [c] }, { only: [b, c], ignore: [c] }],
  ['an order', { order: [c, a] }, { prefer: [c, a] }],
  ['a region', { region: 'eu' }, { only: [a, b] }],
  ['a narrower region and one of it', { region: 'eu-west', only: [a, b] }, { only: [a] }],
  ['a price per unit', { maxUnitPrices: { input: 150n } }, { only: [a, b] }],
  ['a price per output unit', { maxUnitPrices: { output: 200n } }, { only: [a] }],
] satisfies [string, ProviderPolicy, object][])('a request that asks for %s', (_, policy, expected) => {
  expect(route(policy)).toEqual(expected)
})

test('what no provider can give is told at once', () => {
  expect(codeOf(() => route({ region: 'us' }))).toBe('NOT_FOUND')
  expect(codeOf(() => route({ region: 'eu', only: [c] }))).toBe('NOT_FOUND')
  expect(codeOf(() => route({ maxUnitPrices: { input: 1n } }))).toBe('PRICE_OVER_CAP')
  expect(codeOf(() => route({ only: [] }))).toBe('NOT_FOUND')
})

describe('a provider that served a conversation', () => {
  let now = 0
  const memory = createRouteMemory(() => now)
  const items = (...texts: string[]) => ({
    items: texts.map((text) => ({
      ...{ kind: 'message' as const, role: 'user' as const },
      parts: [{ kind: 'text' as const, text }],
    })),
  })
  const keys = stickyKeys(moduleVersion, 'account', items('hi'))

  test('is wanted for its next request, and for others of the account', () => {
    memory.remember(keys, b)
    memory.remember(stickyKeys(moduleVersion, 'account', items('other')), a)
    expect(route({}, memory, stickyKeys(moduleVersion, 'account', items('hi', 'and then')))).toEqual({ prefer: [b] })
    expect(route({}, memory, stickyKeys(moduleVersion, 'account', items('new')))).toEqual({ prefer: [a] })
    expect(route({}, memory, stickyKeys(moduleVersion, 'stranger', items('hi')))).toEqual({})
  })

  test('is not wanted where it is dearer by more than a quarter, or the request says what it wants', () => {
    memory.remember(keys, c)
    expect(route({}, memory, keys)).toEqual({})
    memory.remember(keys, b)
    expect(route({ sort: 'price' }, memory, keys)).toEqual({})
    expect(route({ order: [c] }, memory, keys)).toEqual({ prefer: [c] })
  })

  test('is forgotten after ten minutes', () => {
    now += 10 * 60_000
    expect(route({}, memory, keys)).toEqual({})
  })
})

test('the fastest come first where a request asks for it, as far as they were measured', () => {
  const memory = createRouteMemory()
  memory.measure({ moduleVersion, provider: a, firstTokenMilliseconds: 50, tokensPerSecond: 100 })
  memory.measure({ moduleVersion, provider: b, firstTokenMilliseconds: 20, tokensPerSecond: 10 })
  expect(route({ sort: 'latency' }, memory)).toEqual({ prefer: [b, a] })
  expect(route({ sort: 'throughput' }, memory)).toEqual({ prefer: [a, b] })
})

test('the 95th of 100 first tokens is known once there were enough', () => {
  const memory = createRouteMemory()
  const measure = (firstTokenMilliseconds: number) =>
    memory.measure({ moduleVersion, provider: a, firstTokenMilliseconds })
  for (let at = 1; at < 20; at += 1) measure(at)
  expect(memory.firstTokenP95(moduleVersion)).toBeUndefined()
  for (let at = 20; at <= 100; at += 1) measure(at)
  expect(memory.firstTokenP95(moduleVersion)).toBe(95)
})

describe('what a request says of its providers', () => {
  test('is read as clients of OpenRouter send it', () => {
    const provider = {
      order: [a.toUpperCase().replace('0X', '0x')],
      ignore: [b],
      sort: { by: 'latency' },
      max_price: { prompt: 4, completion: '1.5', request: 0.01 },
    }
    expect(policyOf({ provider })).toMatchObject({
      order: [a],
      ignore: [b],
      sort: 'latency',
      // Dollars per million tokens at two dollars per LILY.
      maxUnitPrices: { input: 2n * 10n ** 12n, output: 75n * 10n ** 10n, job: 5n * 10n ** 15n },
    })
    expect(policyOf({ provider: { order: [a, b], only: [b], allow_fallbacks: false } })).toMatchObject({ only: [b] })
    expect(policyOf({ provider: { order: [a], allow_fallbacks: false } })).toMatchObject({ only: [a] })
  })

  test('is read from headers', () => {
    const headers = { 'x-lilypad-region': 'EU-West', 'x-lilypad-verification': 'client', 'x-lilypad-hedge': 'on' }
    expect(policyOf({}, headers)).toMatchObject({ region: 'eu-west', isHedged: true })
  })

  test.each([
    ['a provider by its name', { provider: { only: ['OpenAI'] } }, {}],
    ['no reading of what is sent', { provider: { data_collection: 'deny' } }, {}],
    ['a quantization', { provider: { quantizations: ['fp8'] } }, {}],
    ['a sort that is none', { provider: { sort: 'vibes' } }, {}],
    ['a negative price', { provider: { max_price: { prompt: -1 } } }, {}],
    ['an audit', {}, { 'x-lilypad-verification': 'sampled' }],
    ['a region that is none', {}, { 'x-lilypad-region': 'the moon!' }],
    ['half a hedge', {}, { 'x-lilypad-hedge': 'maybe' }],
  ])('is refused where it asks for %s', (_, body, headers) => {
    expect(codeOf(() => policyOf(body, headers))).toBe('INVALID_REQUEST')
  })

  test('who steers to a provider bears what it answers', () => {
    expect([{ provider: a }, { only: [a] }, { ignore: [a] }, { order: [a] }, { region: 'eu' }].every(isSteered)).toBe(
      true,
    )
    expect([{ sort: 'latency' as const }, { sort: 'throughput' as const }].every(isSteered)).toBe(true)
    expect([{}, { sort: 'price' as const }, { only: [] }].some(isSteered)).toBe(false)
  })

  test('who steered to a provider is not sent there unasked afterwards', () => {
    const memory = createRouteMemory()
    rememberServed(memory, { keys: ['k'], policy: { provider: b }, provider: b })
    expect(route({}, memory, ['k'])).toEqual({})
    rememberServed(memory, { keys: ['k'], policy: {}, provider: b })
    expect(route({}, memory, ['k'])).toEqual({ prefer: [b] })
  })
})
