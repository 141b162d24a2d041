import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { address, bytes32 } from '../../test/arbitraries.ts'
import { type Hex, toHex, zeroAddress, zeroBytes32 } from '../primitives/hex.ts'
import { defineSignedObject } from './signed-object.ts'
import { encodeWord, type Field, hashTypedObject } from './typed-data.ts'

const bits = { uint8: 8, uint32: 32, uint64: 64, uint128: 128, uint256: 256 } as const

describe('encodeWord', () => {
  test.each(Object.entries(bits) as [keyof typeof bits, number][])('%s keeps its bounds', (type, size) => {
    const max = (1n << BigInt(size)) - 1n
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max }),
        (value) => void expect(toHex(encodeWord(type, value))).toBe(`0x${value.toString(16).padStart(64, '0')}`),
      ),
    )
    for (const value of [-1n, max + 1n]) expect(() => encodeWord(type, value)).toThrow(RangeError)
  })

  test.each<[string, Field['type'], unknown]>([
    ['a fraction', 'uint64', 1.5],
    ['a number that is not exact', 'uint64', 2 ** 53],
    ['NaN', 'uint8', Number.NaN],
    ['text for a number', 'uint8', '0x01'],
    ['a short address', 'address', '0x00'],
    ['a long address', 'address', zeroBytes32],
    ['a short bytes32', 'bytes32', zeroAddress],
    ['a number for bytes', 'bytes32', 1],
  ])('refuses %s', (_, type, value) => {
    expect(() => encodeWord(type, value as Hex)).toThrow(RangeError)
  })
})

describe('hashTypedObject', () => {
  const type = {
    primaryType: 'Access',
    fields: [
      { name: 'subject', type: 'bytes32' },
      { name: 'validUntil', type: 'uint64' },
    ],
  } as const

  test('every member, the chain, the vault and the name of the type change the digest', () => {
    fc.assert(
      fc.property(bytes32, address, fc.nat(), fc.integer({ min: 1, max: 2 ** 31 }), (subject, vault, at, chainId) => {
        const hash = (change: { subject?: Hex; at?: number; chainId?: number; vault?: Hex; name?: string }) =>
          hashTypedObject(
            { ...type, primaryType: change.name ?? type.primaryType },
            { chainId: change.chainId ?? chainId, vault: change.vault ?? vault },
            { subject: change.subject ?? subject, validUntil: change.at ?? at },
          )
        const flipped = (value: Hex): Hex => `${value.slice(0, -1)}${value.endsWith('0') ? '1' : '0'}` as Hex
        const all = [
          hash({}),
          hash({ subject: flipped(subject) }),
          hash({ at: at + 1 }),
          hash({ chainId: chainId + 1 }),
          hash({ vault: flipped(vault) }),
          hash({ name: 'Acces' }),
        ]
        expect(new Set(all).size).toBe(all.length)
      }),
    )
  })

  test('the letters of an address do not matter', () => {
    const digest = (vault: Hex) => hashTypedObject(type, { chainId: 1, vault }, { subject: zeroBytes32, validUntil: 0 })
    expect(digest(`0x${'AB'.repeat(20)}`)).toBe(digest(`0x${'ab'.repeat(20)}`))
  })

  test('names a member that is missing', () => {
    expect(() => hashTypedObject(type, { chainId: 1, vault: zeroAddress }, { subject: zeroBytes32 })).toThrow(
      'Access.validUntil is missing',
    )
  })
})

test('a schema whose members differ from the signed ones is refused', () => {
  const fields = [{ name: 'b', type: 'uint8' }] as const
  expect(() => defineSignedObject(z.strictObject({ a: z.int() }), { primaryType: 'X', fields })).toThrow(RangeError)
})
