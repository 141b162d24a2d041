import { z } from 'zod'
import { keccak256 } from '../crypto/hash.ts'
import { defineSignedObject } from '../eip712/signed-object.ts'
import { encodeWord } from '../eip712/typed-data.ts'
import { TokenAmount } from '../primitives/amount.ts'
import { Address, Bytes32, concatBytes } from '../primitives/hex.ts'
import { Counter } from '../primitives/integer.ts'

/**
 * The acknowledgement: all that the key owes the provider on this lane so far, and the running hash of every job it
 * acknowledged. Each voucher replaces the one before; the last one settles them all.
 */
export const Voucher = z.strictObject({
  payer: Address,
  key: Address,
  provider: Address,
  solver: Address,
  token: Address,
  lane: Counter,
  cumulativeAmount: TokenAmount,
  jobs: Counter,
  recordsHash: Bytes32,
})
export type Voucher = z.output<typeof Voucher>

export const voucherType = defineSignedObject(Voucher, {
  primaryType: 'Voucher',
  fields: [
    { name: 'payer', type: 'address' },
    { name: 'key', type: 'address' },
    { name: 'provider', type: 'address' },
    { name: 'solver', type: 'address' },
    { name: 'token', type: 'address' },
    { name: 'lane', type: 'uint64' },
    { name: 'cumulativeAmount', type: 'uint128' },
    { name: 'jobs', type: 'uint64' },
    { name: 'recordsHash', type: 'bytes32' },
  ],
})

/** Who pays whom through which solver, in which token and sequence. */
export type Lane = Pick<Voucher, 'payer' | 'key' | 'provider' | 'solver' | 'token' | 'lane'>

/** Id of a lane, as the vault computes it: keccak of its six members. */
export function laneId(lane: Lane): Bytes32 {
  return keccak256(
    concatBytes(
      encodeWord('address', lane.payer),
      encodeWord('address', lane.key),
      encodeWord('address', lane.provider),
      encodeWord('address', lane.solver),
      encodeWord('address', lane.token),
      encodeWord('uint64', lane.lane),
    ),
  )
}
