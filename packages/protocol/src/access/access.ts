import { z } from 'zod'
import { keccak256 } from '../crypto/hash.ts'
import { defineSignedObject } from '../eip712/signed-object.ts'
import { encodeWord } from '../eip712/typed-data.ts'
import { type Address, Bytes32, concatBytes } from '../primitives/hex.ts'
import { UnixSeconds } from '../primitives/integer.ts'

/**
 * Proves to a relay who is calling, for a short time: the requester or provider of a job (subject = order hash), or a
 * provider opening its connection (subject = {@link connectionSubject}).
 */
export const Access = z.strictObject({ subject: Bytes32, validUntil: UnixSeconds })
export type Access = z.output<typeof Access>

export const accessType = defineSignedObject(Access, {
  primaryType: 'Access',
  fields: [
    { name: 'subject', type: 'bytes32' },
    { name: 'validUntil', type: 'uint64' },
  ],
})

/**
 * What a provider signs to open its connection. It binds the relay's random challenge to that relay, so that neither
 * another relay's challenge nor the hash of an order can be passed off as one.
 */
export function connectionSubject(options: { readonly challenge: Bytes32; readonly solver: Address }): Bytes32 {
  return keccak256(concatBytes(encodeWord('bytes32', options.challenge), encodeWord('address', options.solver)))
}
