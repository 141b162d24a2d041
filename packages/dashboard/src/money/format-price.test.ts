import { expect, test } from 'vitest'
import { formatAmount, formatUsd, perMillion } from './format-price.ts'

test.each([
  ['0.000001', '1'],
  ['0.0000000000000035', '0.0000000035'],
  ['0', '0'],
  ['2', '2000000'],
  ['0.00000125', '1.25'],
  ['12.5', '12500000'],
  ['none', 'none'],
])('%s a token is %s a million', (perToken, expected) => {
  expect(perMillion(perToken)).toBe(expected)
})

test.each([
  ['0', '0'],
  ['1234.5', '1,234.5'],
  ['0.000000012345', '0.00000001235'],
  ['0.1', '0.1'],
  ['0.00000000000000001', '1.00e-17'],
  ['much', 'much'],
])('%s reads %s', (amount, expected) => {
  expect(formatAmount(amount)).toBe(expected)
})

test.each([
  ['2', '$2'],
  ['2.5', '$2.50'],
  ['0.15', '$0.15'],
])('%s dollars read %s', (amount, expected) => {
  expect(formatUsd(amount)).toBe(expected)
})
