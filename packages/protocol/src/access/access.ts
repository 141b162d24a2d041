import { z } from 'zod'
import { defineSignedObject } from '../eip712/signed-object.ts'
import { Bytes32 } from '../primitives/hex.ts'
import { UnixSeconds } from '../primitives/integer.ts'

/**
 * Proves to a relay who is calling, for a short time: the requester or provider of a job (subject = order hash), or a
 * provider opening its connection (subject = the relay's challenge).
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
