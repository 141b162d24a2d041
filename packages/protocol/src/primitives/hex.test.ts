import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { Address, Bytes32, concatBytes, fromHex, type Hex, PayerSignature, Signature, toHex } from './hex.ts'

const bytes = fc.uint8Array({ maxLength: 300 })

describe('toHex and fromHex', () => {
  test('are the inverse of each other', () => {
    fc.assert(fc.property(bytes, (value) => void expect([...fromHex(toHex(value))]).toEqual([...value])))
  })

  test('agree with node', () => {
    fc.assert(fc.property(bytes, (value) => void expect(toHex(value)).toBe(`0x${Buffer.from(value).toString('hex')}`)))
  })

  test('reads capital letters', () => {
    expect(toHex(fromHex('0xDEADbeef'))).toBe('0xdeadbeef')
  })

  test.each([
    ['no prefix', '00'],
    ['odd', '0x0'],
    ['empty text', ''],
    ['not a digit', '0xzz'],
    ['a digit and then none, which parseInt reads', '0x1g'],
    ['a sign, which parseInt reads', '0x-1'],
    ['a space, which parseInt skips', '0x 1'],
    ['a capital X', '0X00'],
    ['another script', '0x١١'],
  ])('refuses %s', (_, text) => {
    expect(() => fromHex(text as Hex)).toThrow(RangeError)
  })

  test('never reads text that is not hexadecimal', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 2, maxLength: 2 }), (pair) => {
        fc.pre(!/^[0-9a-fA-F]{2}$/.test(pair))
        expect(() => fromHex(`0x${pair}`)).toThrow(RangeError)
      }),
    )
  })
})

describe('schemas of bytes', () => {
  test.each([
    ['Address', Address, 20],
    ['Bytes32', Bytes32, 32],
    ['Signature', Signature, 65],
  ])('%s takes exactly its length and lowers it', (_, schema, length) => {
    expect(schema.parse(`0x${'Ab'.repeat(length)}`)).toBe(`0x${'ab'.repeat(length)}`)
    for (const text of ['ab'.repeat(length), `0x${'ab'.repeat(length - 1)}`, `0x${'ab'.repeat(length)}0`, ''])
      expect(schema.safeParse(text).success).toBe(false)
    expect(schema.safeParse(`0x${'ab'.repeat(length)}\n`).success).toBe(false)
    expect(z.encode(schema, `0x${'ab'.repeat(length)}`)).toBe(`0x${'ab'.repeat(length)}`)
  })

  test('a signature of a payer has any whole number of bytes', () => {
    expect(PayerSignature.safeParse('0x00').success).toBe(true)
    expect(PayerSignature.safeParse(`0x${'00'.repeat(16_384)}`).success).toBe(true)
    for (const text of ['0x', '0x0', `0x${'00'.repeat(16_385)}`])
      expect(PayerSignature.safeParse(text).success).toBe(false)
  })
})

test('concatBytes joins in order', () => {
  fc.assert(
    fc.property(
      fc.array(bytes, { maxLength: 6 }),
      (parts) => void expect(toHex(concatBytes(...parts))).toBe(`0x${Buffer.concat(parts).toString('hex')}`),
    ),
  )
})
