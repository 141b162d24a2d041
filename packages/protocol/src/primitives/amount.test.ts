import fc from 'fast-check'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { amount } from '../../test/arbitraries.ts'
import { TokenAmount, Uint256 } from './amount.ts'

const maxAmount = (1n << 128n) - 1n
const maxUint256 = (1n << 256n) - 1n

test('an amount comes back from the wire as it was', () => {
  fc.assert(
    fc.property(amount, (value) => {
      const text = z.encode(TokenAmount, value)
      expect(text).toBe(value.toString())
      expect(z.decode(TokenAmount, text)).toBe(value)
    }),
  )
})

test('the bounds are those of uint128 and uint256', () => {
  expect(TokenAmount.parse(maxAmount.toString())).toBe(maxAmount)
  expect(TokenAmount.safeParse((maxAmount + 1n).toString()).success).toBe(false)
  expect(Uint256.parse(maxUint256.toString())).toBe(maxUint256)
  expect(Uint256.safeParse((maxUint256 + 1n).toString()).success).toBe(false)
  for (const value of [-1n, maxAmount + 1n]) expect(z.safeEncode(TokenAmount, value).success).toBe(false)
})

test.each(['', '-1', '+1', '01', '1.0', '1e3', '0x10', ' 1', '1 ', '1\n', '１', '1_000', '9'.repeat(40)])(
  'refuses %j',
  (text) => expect(TokenAmount.safeParse(text).success).toBe(false),
)

test.each([1, 1n, null, undefined, [], ['1'], {}, true])('refuses %s, which is not text', (value) =>
  expect(TokenAmount.safeParse(value).success).toBe(false),
)
