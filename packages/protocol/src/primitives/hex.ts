import { z } from 'zod'

/** Bytes as lower-case hexadecimal with a `0x` prefix. */
export type Hex = `0x${string}`

const hexOf = (bytes: number) =>
  z
    .string()
    .regex(new RegExp(`^0x[0-9a-fA-F]{${bytes * 2}}$`), `expected 0x followed by ${bytes * 2} hexadecimal digits`)
    .toLowerCase() as unknown as z.ZodType<Hex, Hex>

/** 20 bytes. Compared and hashed in lower case; checksums are for display. */
export const Address = hexOf(20)
export type Address = Hex

/** 32 bytes: a digest, a salt or a root. */
export const Bytes32 = hexOf(32)
export type Bytes32 = Hex

/** An ECDSA signature r || s || v of 65 bytes. */
export const Signature = hexOf(65)
export type Signature = Hex

/** Signature of a payer, which may be a contract (ERC-1271, ERC-6492) and then has any length up to 16 kB. */
export const PayerSignature = z
  .string()
  .regex(/^0x([0-9a-fA-F]{2}){1,16384}$/, 'expected hexadecimal bytes')
  .toLowerCase() as unknown as z.ZodType<Hex, Hex>

export const zeroBytes32: Bytes32 = `0x${'00'.repeat(32)}`
export const zeroAddress: Address = `0x${'00'.repeat(20)}`

const digits = '0123456789abcdef'

/** Hexadecimal form of bytes. */
export function toHex(bytes: Uint8Array): Hex {
  let text = '0x'
  for (const byte of bytes) text += digits.charAt(byte >> 4) + digits.charAt(byte & 15)
  return text as Hex
}

/**
 * Bytes of a hexadecimal string.
 * @throws RangeError when the text is not an even number of hexadecimal digits after `0x`
 */
export function fromHex(hex: Hex): Uint8Array {
  const length = (hex.length - 2) / 2
  if (!Number.isInteger(length) || !hex.startsWith('0x')) throw new RangeError('not a hexadecimal string')
  const bytes = new Uint8Array(length)
  for (let index = 0; index < length; index++)
    bytes[index] = digitValue(hex, 2 + index * 2) * 16 + digitValue(hex, 3 + index * 2)
  return bytes
}

function digitValue(hex: string, at: number): number {
  const code = hex.charCodeAt(at)
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const letter = code | 0x20
  if (letter >= 0x61 && letter <= 0x66) return letter - 0x57
  throw new RangeError('not a hexadecimal string')
}

/** Joins byte strings. */
export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of parts) {
    joined.set(part, offset)
    offset += part.length
  }
  return joined
}
