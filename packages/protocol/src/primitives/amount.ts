import { z } from 'zod'

const maxUint128 = (1n << 128n) - 1n

/** Amount of a token in base units (uint128): `bigint` in memory, a decimal string on the wire. */
export const TokenAmount = z.codec(
  z.string().regex(/^(0|[1-9][0-9]{0,38})$/, 'expected a decimal integer of base units, as a string'),
  z.bigint().min(0n).max(maxUint128),
  {
    decode: (text) => BigInt(text),
    encode: (amount) => amount.toString(),
  },
)
export type TokenAmount = z.output<typeof TokenAmount>

/** Nonce of a grant (uint256): `bigint` in memory, a decimal string on the wire. */
export const Uint256 = z.codec(
  z.string().regex(/^(0|[1-9][0-9]{0,77})$/, 'expected a decimal integer, as a string'),
  z
    .bigint()
    .min(0n)
    .max((1n << 256n) - 1n),
  { decode: (text) => BigInt(text), encode: (value) => value.toString() },
)
