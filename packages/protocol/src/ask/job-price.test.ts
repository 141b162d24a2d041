import fc from 'fast-check'
import { expect, test } from 'vitest'
import { jobPrice } from './job-price.ts'

const units = fc.record({ meteredSeconds: fc.maxSafeNat(), inputUnits: fc.maxSafeNat(), outputUnits: fc.maxSafeNat() })
const price = fc.bigInt({ min: 0n, max: (1n << 128n) - 1n })
const prices = fc.record({
  pricePerJob: price,
  pricePerSecond: price,
  pricePerInputUnit: price,
  pricePerOutputUnit: price,
})

test('is exact, and never falls when more is used', () => {
  fc.assert(
    fc.property(prices, units, (ask, used) => {
      const total = jobPrice(ask, used)
      expect(total - ask.pricePerJob).toBe(
        ask.pricePerSecond * BigInt(used.meteredSeconds) +
          ask.pricePerInputUnit * BigInt(used.inputUnits) +
          ask.pricePerOutputUnit * BigInt(used.outputUnits),
      )
      expect(jobPrice(ask, { ...used, inputUnits: 0 })).toBeLessThanOrEqual(total)
    }),
  )
  expect(
    jobPrice(
      { pricePerJob: 5n, pricePerSecond: 7n, pricePerInputUnit: 11n, pricePerOutputUnit: 13n },
      { meteredSeconds: 1, inputUnits: 2, outputUnits: 3 },
    ),
  ).toBe(73n)
})
