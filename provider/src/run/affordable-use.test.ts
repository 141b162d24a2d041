import type { Ask } from '@lilypad-agents/protocol'
import { expect, test } from 'vitest'
import { affordableSeconds, meteredSeconds } from './affordable-seconds.ts'

const ask = (pricePerSecond: bigint) =>
  ({ pricePerJob: 100n, pricePerSecond, pricePerInputUnit: 2n, pricePerOutputUnit: 0n }) as Ask

test.each([
  ['seconds are free', 0n, 1n, undefined],
  ['exactly ten', 10n, 100n + 6n + 100n, 10],
  ['a part of a second is not bought', 10n, 100n + 6n + 109n, 10],
  ['nothing left for time', 10n, 100n, 0],
] as const)('affordable: %s', (_name, pricePerSecond, maxPrice, expected) => {
  expect(affordableSeconds(ask(pricePerSecond), { maxPrice, inputUnits: 3 })).toBe(expected)
})

test.each([
  ['at least one', 0, undefined, 1],
  ['exact', 2000, undefined, 2],
  ['started seconds count', 2001, undefined, 3],
  ['never more than is paid for', 9000, 4, 4],
] as const)('metered: %s', (_name, milliseconds, affordable, expected) => {
  expect(meteredSeconds(milliseconds, affordable)).toBe(expected)
})
