import { z } from 'zod'
import { defineSignedObject } from '../eip712/signed-object.ts'
import { Bytes32 } from '../primitives/hex.ts'

/** What a mediator found, by index in `Verdict.outcome`; `inconclusive` costs nobody anything. */
export const verdictOutcomes = ['match', 'mismatch', 'inconclusive'] as const

/** A mediator's judgement of a receipt after it ran the job again. */
export const Verdict = z.strictObject({
  orderHash: Bytes32,
  receiptHash: Bytes32,
  /** Keccak of the comparator's name, as on chain; its options are those of the order's module version. Zero when that was never published. */
  comparator: Bytes32,
  /** Index into {@link verdictOutcomes}. */
  outcome: z
    .int()
    .min(0)
    .max(verdictOutcomes.length - 1),
  evidenceDigest: Bytes32,
})
export type Verdict = z.output<typeof Verdict>

export const verdictType = defineSignedObject(Verdict, {
  primaryType: 'Verdict',
  fields: [
    { name: 'orderHash', type: 'bytes32' },
    { name: 'receiptHash', type: 'bytes32' },
    { name: 'comparator', type: 'bytes32' },
    { name: 'outcome', type: 'uint8' },
    { name: 'evidenceDigest', type: 'bytes32' },
  ],
})
