import { z } from 'zod'
import { defineSignedObject } from '../eip712/signed-object.ts'
import { UnixSeconds } from '../primitives/integer.ts'
import { TokenAmount } from '../primitives/amount.ts'
import { Address, Bytes32 } from '../primitives/hex.ts'

/** Standing offer of a provider: it runs this module version at these prices until `validUntil`. */
export const Ask = z.strictObject({
  provider: Address,
  solver: Address,
  moduleVersion: Bytes32,
  token: Address,
  pricePerJob: TokenAmount,
  pricePerSecond: TokenAmount,
  pricePerInputUnit: TokenAmount,
  pricePerOutputUnit: TokenAmount,
  /** Jobs the provider runs at the same time. */
  slots: z.int().min(1).max(65_535),
  validUntil: UnixSeconds,
  salt: Bytes32,
})
export type Ask = z.output<typeof Ask>

export const askType = defineSignedObject(Ask, {
  primaryType: 'Ask',
  fields: [
    { name: 'provider', type: 'address' },
    { name: 'solver', type: 'address' },
    { name: 'moduleVersion', type: 'bytes32' },
    { name: 'token', type: 'address' },
    { name: 'pricePerJob', type: 'uint128' },
    { name: 'pricePerSecond', type: 'uint128' },
    { name: 'pricePerInputUnit', type: 'uint128' },
    { name: 'pricePerOutputUnit', type: 'uint128' },
    { name: 'slots', type: 'uint32' },
    { name: 'validUntil', type: 'uint64' },
    { name: 'salt', type: 'bytes32' },
  ],
})
