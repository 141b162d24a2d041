import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { actorClasses, actorValue, defaultExponents, reputation } from './actor-value.ts'

const Column = z.array(z.string())
const Vectors = z.object({
  randomCases: z.int().min(1000),
  values: z.object({
    reputation: Column,
    fees: Column,
    collateral: Column,
    reputationExponent: Column,
    feeExponent: Column,
    collateralExponent: Column,
    value: Column.min(1500),
  }),
})
const file = new URL('../../../../contracts/test/vectors/rewards.json', import.meta.url)
const { values } = Vectors.parse(JSON.parse(readFileSync(file, 'utf8')))
const maxRelativeError = 1e-13

test('the shared vectors, within the stated error', () => {
  const read = (column: readonly string[], index: number) => BigInt(column[index] ?? '')
  // The vectors are rounded down to 18 digits after the point.
  const lastPlace = 1e-18
  let largestError = 0
  for (const [index, text] of values.value.entries()) {
    const value = actorValue({
      reputation: Number(read(values.reputation, index)) / 1e18,
      fees: read(values.fees, index),
      collateral: read(values.collateral, index),
      exponents: {
        reputation: Number(read(values.reputationExponent, index)) / 1e18,
        fee: Number(read(values.feeExponent, index)) / 1e18,
        collateral: Number(read(values.collateralExponent, index)) / 1e18,
      },
    })
    const expected = Number(BigInt(text)) / 1e18
    if (expected === 0) expect(value, `case ${index}`).toBe(0)
    else largestError = Math.max(largestError, (Math.abs(value - expected) - lastPlace) / expected)
  }
  expect(largestError).toBeLessThan(maxRelativeError)
  // A bound that is far from what is reached would say nothing.
  expect(largestError).toBeGreaterThan(maxRelativeError / 100)
})

test.each(actorClasses)('the value of a %s never falls when it does more', (actorClass) => {
  const amount = fc.bigInt({ min: 1n, max: 1n << 96n })
  const exponents = defaultExponents[actorClass]
  fc.assert(
    fc.property(fc.double({ min: 1e-6, max: 1, noNaN: true }), amount, amount, amount, (r, fees, collateral, more) => {
      const value = actorValue({ reputation: r, fees, collateral, exponents })
      expect(actorValue({ reputation: 1, fees, collateral, exponents })).toBeGreaterThanOrEqual(value)
      expect(actorValue({ reputation: r, fees: fees + more, collateral, exponents })).toBeGreaterThanOrEqual(value)
      expect(actorValue({ reputation: r, fees, collateral: collateral + more, exponents })).toBeGreaterThanOrEqual(
        value,
      )
    }),
  )
})

test('nobody without fees has a value; an exponent of zero leaves a factor out', () => {
  const exponents = { reputation: 0, fee: 0, collateral: 0 }
  expect(actorValue({ reputation: 1, fees: 0n, collateral: 1n, exponents })).toBe(0)
  expect(actorValue({ reputation: 0, fees: 1n, collateral: 0n, exponents })).toBe(1)
  expect(actorValue({ reputation: 1, fees: 9n, collateral: 0n, exponents: defaultExponents.author })).toBe(9)
  expect(actorValue({ reputation: 1, fees: 9n, collateral: 0n, exponents: defaultExponents.provider })).toBe(0)
})

test.each([
  ['a newcomer', { jobs: 0, faults: 0 }, 1 / 20],
  ['a good week', { jobs: 980, faults: 0 }, 981 / 1000],
  ['one fault', { jobs: 930, faults: 1 }, 931 / 1000],
])('reputation of %s', (_, counts, expected) => {
  expect(reputation({ ...counts, prior: 20, faultWeight: 50 })).toBe(expected)
})
