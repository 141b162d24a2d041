import { expect, test } from 'vitest'
import { listPrices, type Pricing, pricesOf, scaledPriceRoundedUp } from './pricing.ts'

test.each([
  [1000n, 10_000, 1000n],
  [1001n, 5000, 501n],
  [1n, 1, 1n],
  [0n, 20_000, 0n],
  [10n ** 30n, 12_345, 10n ** 26n * 12_345n],
])('%s at %s bips', (price, factor, expected) => {
  expect(scaledPriceRoundedUp(price, factor)).toBe(expected)
})

const listPrice = { pricePerJob: 1001n, pricePerSecond: 3n, pricePerInputUnit: 7n, pricePerOutputUnit: 11n }
const version = `0x${'11'.repeat(32)}`
const pricing: Pricing = {
  all: { factorBips: 15_000, pricePerInputUnit: 9n },
  modules: {
    tts: { pricePerJob: 50n },
    ocr: { factorBips: 5000 },
    [version]: { pricePerJob: 60n, pricePerSecond: 0n },
  },
}
test.each<[string, Pricing, string, string, readonly [bigint, bigint, bigint, bigint]]>([
  ['asks the list price', listPrices, 'tts', '0x', [1001n, 3n, 7n, 11n]],
  ['scales what is not said', pricing, 'other', '0x', [1502n, 5n, 9n, 17n]],
  ['takes a price of its own as it is', pricing, 'tts', '0x', [50n, 5n, 9n, 17n]],
  ['takes a factor of its own', pricing, 'ocr', '0x', [501n, 2n, 9n, 6n]],
  ['prefers the version to the name', pricing, 'tts', version, [60n, 0n, 9n, 17n]],
])('%s', (_name, of, name, moduleVersion, [pricePerJob, pricePerSecond, pricePerInputUnit, pricePerOutputUnit]) => {
  expect(pricesOf(of, { name, moduleVersion, listPrice })).toEqual({
    pricePerJob,
    pricePerSecond,
    pricePerInputUnit,
    pricePerOutputUnit,
  })
})
