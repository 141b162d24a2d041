import type { Ask } from '@lilypad-agents/protocol'
import { expect, test } from 'vitest'
import { jobPrice } from '@lilypad-agents/protocol'
import fc from 'fast-check'
import { affordableUse, meteredSeconds } from './affordable-use.ts'

const ask = (pricePerSecond: bigint) =>
  ({ pricePerJob: 100n, pricePerSecond, pricePerInputUnit: 2n, pricePerOutputUnit: 0n }) as Ask

test.each([
  ['seconds are free', 0n, 1n, undefined],
  ['exactly ten', 10n, 100n + 6n + 100n, 10],
  ['a part of a second is not bought', 10n, 100n + 6n + 109n, 10],
  ['nothing left for time', 10n, 100n, 0],
] as const)('affordable: %s', (_name, pricePerSecond, maxPrice, expected) => {
  const bounds = { inputUnits: 3, outputUnits: 0 }
  expect(affordableUse(ask(pricePerSecond), { maxPrice, bounds, timeoutSeconds: 60 })).toEqual({
    seconds: expected,
    ...bounds,
  })
})

const served = (pricePerSecond: bigint) => ({ ...ask(pricePerSecond), pricePerOutputUnit: 5n })
test.each([
  ['all that is asked for', 0n, 106n + 500n, { seconds: undefined, outputUnits: 100 }],
  ['the tokens that are left', 0n, 106n + 54n, { seconds: undefined, outputUnits: 10 }],
  ['seconds and tokens to their ends', 10n, 106n + 600n + 500n, { seconds: 60, outputUnits: 100 }],
  ['half for seconds', 10n, 106n + 400n, { seconds: 20, outputUnits: 40 }],
  ['one second and one token', 10n, 106n + 15n, { seconds: 1, outputUnits: 1 }],
] as const)('affordable of a model server: %s', (_name, pricePerSecond, maxPrice, expected) => {
  const bounds = { inputUnits: 3, outputUnits: 100 }
  expect(affordableUse(served(pricePerSecond), { maxPrice, bounds, timeoutSeconds: 60 })).toMatchObject(expected)
})

test('whatever is used within it costs no more than the maximum', () => {
  const price = fc.bigInt({ min: 0n, max: 10n ** 6n })
  const count = fc.nat(1_000_000)
  fc.assert(
    fc.property(
      fc.record({ pricePerJob: price, pricePerSecond: price, pricePerInputUnit: price, pricePerOutputUnit: price }),
      fc.record({ inputUnits: count, outputUnits: count }),
      fc.bigInt({ min: 0n, max: 10n ** 12n }),
      fc.integer({ min: 1, max: 86_400 }),
      (prices, bounds, spare, timeoutSeconds) => {
        const least = jobPrice(prices, { ...bounds, meteredSeconds: 1, outputUnits: Math.min(1, bounds.outputUnits) })
        const maxPrice = least + spare
        const use = affordableUse(prices as Ask, { maxPrice, bounds, timeoutSeconds })
        expect(jobPrice(prices, { ...use, meteredSeconds: use.seconds ?? 1 })).toBeLessThanOrEqual(maxPrice)
        expect(use.seconds ?? 1).toBeGreaterThanOrEqual(1)
        if (bounds.outputUnits > 0) expect(use.outputUnits).toBeGreaterThanOrEqual(1)
      },
    ),
  )
})

test.each([
  ['at least one', 0, undefined, 1],
  ['exact', 2000, undefined, 2],
  ['started seconds count', 2001, undefined, 3],
  ['never more than is paid for', 9000, 4, 4],
] as const)('metered: %s', (_name, milliseconds, affordable, expected) => {
  expect(meteredSeconds(milliseconds, affordable)).toBe(expected)
})
