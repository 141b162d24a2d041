import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bytes32 } from '../../test/arbitraries.ts'
import { type Hex, toHex } from '../primitives/hex.ts'
import { pureCrypto, setCryptoBackend } from './crypto-backend.ts'
import { keccak256, sha256 } from './hash.ts'
import { installNativeCrypto, installNodeCrypto } from './native-crypto.ts'
import { createSigner, findSigner, isSignedBy } from './signer.ts'

const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const word = (value: bigint) => value.toString(16).padStart(64, '0')
const key: Hex = `0x${word(0xace5n)}`
const digest = keccak256('a digest')

const backends = { pure: () => setCryptoBackend(pureCrypto), node: installNodeCrypto, native: installNativeCrypto }

describe.each(['pure', 'node', 'native'] as const)('with the %s backend', (backend) => {
  beforeAll(() => void backends[backend]())
  afterAll(() => setCryptoBackend(pureCrypto))

  test('hashes as the standards say', () => {
    expect(sha256('abc')).toBe('0xba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
    expect(keccak256('')).toBe('0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470')
    const bytes = new Uint8Array([0, 1, 2, 3]).subarray(1, 3)
    expect(keccak256(bytes)).toBe(keccak256(new Uint8Array([1, 2])))
  })

  test('the account of key 1 is the one everybody knows', () => {
    expect(createSigner(`0x${word(1n)}`).address).toBe('0x7e5f4552091a69125d5dfcb7b8c2659029395bdf')
  })

  test('whoever signed is found, and nobody else', () => {
    fc.assert(
      fc.property(bytes32, fc.bigInt({ min: 1n, max: order - 1n }), bytes32, (value, privateKey, other) => {
        const signer = createSigner(`0x${word(privateKey)}`)
        const signature = signer.sign(value)
        expect(signature).toMatch(/^0x[0-9a-f]{128}1[bc]$/)
        expect(BigInt(`0x${signature.slice(66, 130)}`)).toBeLessThanOrEqual(order / 2n)
        expect(findSigner(value, signature)).toBe(signer.address)
        expect(isSignedBy(signer.address.toUpperCase().replace('0X', '0x') as Hex, value, signature)).toBe(true)
        if (other !== value) expect(isSignedBy(signer.address, other, signature)).toBe(false)
      }),
      { numRuns: 25 },
    )
  })

  const signer = createSigner(key)
  const signature = signer.sign(digest)
  const r = signature.slice(2, 66)
  const s = BigInt(`0x${signature.slice(66, 130)}`)
  const v = signature.slice(130)

  test.each<[string, string]>([
    [
      'the other half of the curve, which would be a second signature of the same',
      `0x${r}${word(order - s)}${v === '1b' ? '1c' : '1b'}`,
    ],
    ['high s alone', `0x${r}${word(order - s)}${v}`],
    ['s of zero', `0x${r}${word(0n)}${v}`],
    ['s beyond the order', `0x${r}${word(s + order > 1n << 256n ? order : s + order)}${v}`],
    ['r of zero', `0x${word(0n)}${word(s)}${v}`],
    ['r of the order', `0x${word(order)}${word(s)}${v}`],
    ['v of 0', `0x${r}${word(s)}00`],
    ['v of 1', `0x${r}${word(s)}01`],
    ['v of 29', `0x${r}${word(s)}1d`],
    ['v with a chain', `0x${r}${word(s)}25`],
    ['64 bytes', `0x${r}${word(s)}`],
    ['66 bytes', `${signature}00`],
    ['no prefix', `00${signature.slice(2)}`],
    ['text of the right length', 'x'.repeat(132)],
    ['a digit that is none', `${signature.slice(0, 10)}g${signature.slice(11)}`],
    ['nothing', ''],
  ])('refuses %s', (_, forged) => {
    expect(findSigner(digest, forged as Hex)).toBeUndefined()
    expect(isSignedBy(signer.address, digest, forged as Hex)).toBe(false)
  })

  test('the wrong v finds another account or none', () => {
    expect(findSigner(digest, `0x${r}${word(s)}${v === '1b' ? '1c' : '1b'}`)).not.toBe(signer.address)
  })

  test('any change of one bit is another signature', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 64 * 8 - 1 }), (bit) => {
        const bytes = Buffer.from(signature.slice(2), 'hex')
        bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        expect(findSigner(digest, toHex(bytes))).not.toBe(signer.address)
      }),
      { numRuns: 60 },
    )
  })

  test.each<[string, string]>([
    ['zero', `0x${word(0n)}`],
    ['the order', `0x${word(order)}`],
    ['31 bytes', `0x${'11'.repeat(31)}`],
    ['33 bytes', `0x${'11'.repeat(33)}`],
    ['a letter that is no digit, which had been read as another key', `0x${'1g'.repeat(32)}`],
    ['no prefix', '11'.repeat(32)],
  ])('does not take %s as a key, and does not repeat it', (_, privateKey) => {
    expect(() => createSigner(privateKey as Hex)).toThrow(/^not a valid secp256k1 private key$/)
  })

  test('nothing of a signer shows its key', () => {
    expect(JSON.stringify(signer)).not.toContain('ace5')
    expect(Object.keys(signer)).toEqual(['address', 'sign'])
  })
})
