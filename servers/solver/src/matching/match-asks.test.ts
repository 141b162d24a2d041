import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { actors, contracts, createAsk, moduleManifest, moduleVersion, seconds } from '../../test/fixtures.ts'
import { type MatchOptions, matchAsks } from './match-asks.ts'

const now = seconds()
const base: MatchOptions = {
  asks: [],
  moduleVersion,
  manifest: moduleManifest,
  inputs: { text: 'hello' },
  token: contracts.lilyToken,
  load: new Map(),
  seed: 'seed',
  now,
}
const cheap = createAsk(actors.provider, { pricePerJob: 10n })
const dear = createAsk(actors.otherProvider, { pricePerJob: 20n })
const providersOf = (options: Partial<MatchOptions>) =>
  matchAsks({ ...base, ...options }).matches.map(({ signedAsk }) => signedAsk.ask.provider)

test('the cheapest ask comes first, with what the job can cost', () => {
  const [best, second] = matchAsks({ ...base, asks: [dear, cheap] }).matches
  expect(best).toEqual({ signedAsk: cheap, least: 15n, most: 15n })
  expect(second?.signedAsk).toBe(dear)
})

test('a provider with a free slot comes before a cheaper one without', () => {
  const load = new Map([[actors.provider.address, 4]])
  expect(providersOf({ asks: [cheap, dear], load })).toEqual([actors.otherProvider.address, actors.provider.address])
})

test('of equal prices the less loaded comes first', () => {
  const equal = createAsk(actors.otherProvider, { pricePerJob: 10n })
  expect(providersOf({ asks: [cheap, equal], load: new Map([[actors.provider.address, 1]]) })[0]).toBe(
    actors.otherProvider.address,
  )
})

test('a provider that let others down lately comes after one that did not, however cheap, and only so far', () => {
  const setbacks = new Map([[actors.provider.address, 1]])
  expect(providersOf({ asks: [cheap, dear], setbacks })).toEqual([
    actors.otherProvider.address,
    actors.provider.address,
  ])
  const both = new Map([
    [actors.provider.address, 50],
    [actors.otherProvider.address, 3],
  ])
  expect(providersOf({ asks: [cheap, dear], setbacks: both })[0]).toBe(actors.provider.address)
})

describe('a module that needs a GPU', () => {
  const manifest = { ...moduleManifest, limits: { ...moduleManifest.limits, gpu: { count: 1, memoryBytes: 8e9 } } }
  const card = {
    vendor: 'nvidia' as const,
    name: 'H200',
    memoryBytes: 140e9,
    freeBytes: 100e9,
    reclaimableBytes: 0,
    residentModels: [],
  }
  const equal = createAsk(actors.otherProvider, { pricePerJob: 10n })

  test('goes to a provider that has one free', () => {
    const gpus = new Map([
      [actors.provider.address, [{ ...card, freeBytes: 1e9 }]],
      [actors.otherProvider.address, [card]],
    ])
    expect(providersOf({ asks: [cheap, dear], manifest, gpus })).toEqual([actors.otherProvider.address])
    expect(providersOf({ asks: [cheap, dear], manifest })).toEqual([])
  })

  test('goes to the one of equal price that has the model in memory', () => {
    const gpus = new Map([
      [actors.provider.address, [card]],
      [actors.otherProvider.address, [card]],
    ])
    const isResident = (provider: string) => provider === actors.otherProvider.address
    for (const seed of ['a', 'b', 'c', 'd'])
      expect(providersOf({ asks: [cheap, equal], manifest, gpus, isResident, seed })[0]).toBe(
        actors.otherProvider.address,
      )
  })
})

describe('a requester who names providers', () => {
  const [first, second] = [actors.provider.address, actors.otherProvider.address]

  test('gets one of them, or none of them', () => {
    expect(providersOf({ asks: [cheap, dear], only: [second] })).toEqual([second])
    expect(providersOf({ asks: [cheap, dear], ignore: [first] })).toEqual([second])
    expect(providersOf({ asks: [cheap, dear], only: [second], ignore: [second] })).toEqual([])
  })

  test('gets the preferred one though it is dearer, unless it is busy, let others down, or costs too much', () => {
    const asks = [cheap, dear]
    expect(providersOf({ asks, prefer: [second] })).toEqual([second, first])
    expect(providersOf({ asks, prefer: [second, first] })).toEqual([second, first])
    expect(providersOf({ asks, prefer: [second], load: new Map([[second, 4]]) })[0]).toBe(first)
    expect(providersOf({ asks, prefer: [second], setbacks: new Map([[second, 1]]) })[0]).toBe(first)
    expect(providersOf({ asks, prefer: [second], maxPrice: 15n })).toEqual([first])
  })
})

test('chance between equals follows the seed, and gives both their turn', () => {
  const equal = createAsk(actors.otherProvider, { pricePerJob: 10n })
  const first = (seed: string) => providersOf({ asks: [cheap, equal], seed })[0]
  expect(first('a')).toBe(first('a'))
  expect(new Set(Array.from({ length: 64 }, (_, seed) => first(String(seed)))).size).toBe(2)
})

test.each([
  ['of another module', { asks: [createAsk(actors.provider, { moduleVersion: `0x${'11'.repeat(32)}` })] }],
  ['in another token', { asks: [createAsk(actors.provider, { token: `0x${'11'.repeat(20)}` })] }],
  ['that have ended', { asks: [createAsk(actors.provider, { validUntil: now })] }],
  ['of another provider than wanted', { asks: [cheap], provider: actors.otherProvider.address }],
  ['over the maximum price', { asks: [cheap], maxPrice: 14n }],
  ['of providers with a long queue', { asks: [cheap], load: new Map([[actors.provider.address, 4 * 32]]) }],
])('asks %s are left out', (_name, options) => {
  expect(providersOf(options)).toEqual([])
})

test('a price over the cap is told apart from no offer at all', () => {
  expect(matchAsks({ ...base, asks: [dear, cheap], maxPrice: 1n }).cheapestOverCap).toBe(15n)
  expect(matchAsks(base).cheapestOverCap).toBeUndefined()
})

test('a job never costs less than its least or more than its most', () => {
  const price = fc.bigInt(0n, 10n ** 20n)
  fc.assert(
    fc.property(
      price,
      price,
      price,
      fc.integer({ min: 1, max: 30 }),
      (pricePerJob, pricePerSecond, pricePerInputUnit, ran) => {
        const ask = createAsk(actors.provider, { pricePerJob, pricePerSecond, pricePerInputUnit })
        const [match] = matchAsks({ ...base, asks: [ask] }).matches
        const actual = pricePerJob + pricePerSecond * BigInt(ran) + pricePerInputUnit * 5n
        return match !== undefined && match.least <= actual && actual <= match.most
      },
    ),
  )
})
