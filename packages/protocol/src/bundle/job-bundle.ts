import { z } from 'zod'
import { SignedAttestation } from '../attestation/node-attestation.ts'
import { Delivery, SignedAsk, SignedGrant, SignedReservation, SignedVoucher } from '../http/solver-api.ts'
import { JobInputs } from '../module/inputs.ts'
import { ModuleManifest } from '../module/module-manifest.ts'
import { JobOrder } from '../order/job-order.ts'
import { Address, Signature } from '../primitives/hex.ts'

/**
 * Everything a stranger needs to check a job without asking anybody, in one file; the output files lie beside it.
 * Its signatures bind it together, so it needs none of its own.
 */
export const JobBundle = z.strictObject({
  schema: z.literal('lilypad/bundle@1'),
  chainId: z.int().positive(),
  jobVault: Address,
  module: ModuleManifest,
  ask: SignedAsk,
  grant: SignedGrant.nullable(),
  order: z.strictObject({ order: JobOrder, signature: Signature }),
  inputs: JobInputs,
  reservation: SignedReservation,
  delivery: Delivery,
  acknowledgement: SignedVoucher.nullable(),
  /** What the manifest names as `machine.preflight`. Absent where it names none, and in older bundles. */
  attestation: SignedAttestation.optional(),
})
export type JobBundle = z.output<typeof JobBundle>
