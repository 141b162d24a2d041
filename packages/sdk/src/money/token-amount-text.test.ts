import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatTokenAmount, parseTokenAmount } from './token-amount-text.ts'

test.each<[string, number, bigint]>([
  ['0', 18, 0n],
  ['1', 18, 10n ** 18n],
  ['0.5', 18, 5n * 10n ** 17n],
  ['0.000000000000000001', 18, 1n],
  ['1000000000', 18, 10n ** 27n],
  ['007.50', 6, 7_500_000n],
  [' 1.0 ', 18, 10n ** 18n],
  ['12', 0, 12n],
])('%s with %i decimals', (text, decimals, amount) => {
  expect(parseTokenAmount(text, decimals)).toBe(amount)
})

test.each([
  '',
  ' ',
  '.',
  '.5',
  '5.',
  '-1',
  '+1',
  '1e3',
  '0x10',
  '1,5',
  '1_000',
  '1 0',
  '1.2.3',
  '０',
  'NaN',
  'Infinity',
  '9'.repeat(31),
  '1.0000000000000000000',
])('refuses %j', (text) =>
  expect(() => parseTokenAmount(text)).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST' })),
)

test('more decimals than the token has are refused, never rounded', () => {
  expect(() => parseTokenAmount('0.0000001', 6)).toThrow(/at most 6 decimals/)
  expect(() => parseTokenAmount('1.0', 0)).toThrow(/at most 0 decimals/)
})

test.each<[bigint, number, string]>([
  [0n, 18, '0'],
  [1n, 18, '0.000000000000000001'],
  [10n ** 18n, 18, '1'],
  [1_500_000n, 6, '1.5'],
  [-1_500_000n, 6, '-1.5'],
  [-1n, 18, '-0.000000000000000001'],
  [12n, 0, '12'],
  [120n, 1, '12'],
])('%s with %i decimals is written %s', (amount, decimals, text) => {
  expect(formatTokenAmount(amount, decimals)).toBe(text)
})

test('what is written is read back exactly', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }),
      fc.integer({ min: 10, max: 30 }),
      (amount, decimals) => {
        expect(parseTokenAmount(formatTokenAmount(amount, decimals), decimals)).toBe(amount)
      },
    ),
  )
})
