import { expect, test } from 'vitest'
import { cosine } from './similarity.ts'

test.each([
  ['the same direction', [1, 2], [2, 4], 1],
  ['a right angle', [1, 0], [0, 3], 0],
  ['the other direction', [1, 1], [-1, -1], -1],
  ['no direction', [0, 0], [1, 1], 0],
])('%s', (_name, a, b, expected) => {
  expect(cosine(a, b)).toBeCloseTo(expected, 12)
})
