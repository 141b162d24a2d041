import { expect, test } from 'vitest'
import { stepPriceOf } from './step-policy.ts'

test.each([
  ['1 % of a large order', {}, { mostPrice: 100_000n, pricePerOutputUnit: 7n }, 1000n],
  ['64 tokens of a small one', {}, { mostPrice: 6300n, pricePerOutputUnit: 7n }, 448n],
  ['what is set', { stepPrice: 5n }, { mostPrice: 100_000n, pricePerOutputUnit: 7n }, 5n],
  ['never nothing', {}, { mostPrice: 0n, pricePerOutputUnit: 0n }, 1n],
])('a step is %s', (_name, policy, order, expected) => expect(stepPriceOf(policy, order)).toBe(expected))
