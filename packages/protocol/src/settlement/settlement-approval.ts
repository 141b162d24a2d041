import { z } from 'zod'
import { defineSignedObject } from '../eip712/signed-object.ts'
import { Bytes32 } from '../primitives/hex.ts'
import { UnixSeconds } from '../primitives/integer.ts'

/** A guardian's consent to a settlement of its payers' lanes: it reserved every job in it. */
export const SettlementApproval = z.strictObject({
  /** What the vault's `hashSettlement` says. */
  settlementHash: Bytes32,
  validUntil: UnixSeconds,
})
export type SettlementApproval = z.output<typeof SettlementApproval>

export const settlementApprovalType = defineSignedObject(SettlementApproval, {
  primaryType: 'SettlementApproval',
  fields: [
    { name: 'settlementHash', type: 'bytes32' },
    { name: 'validUntil', type: 'uint64' },
  ],
})
