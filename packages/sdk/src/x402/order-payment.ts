import { JobInputs, JobOrder, Quote, Signature, SignedAsk, SignedGrant } from '@lilypad-agents/protocol'
import { z } from 'zod'
import { PaymentRequirements } from './wire.ts'

/** Our scheme of x402: the buyer orders the job with its own key and vault account, and no money moves before it acknowledges the result. */
export const orderScheme = 'lilypad-order'

/** Value of an `Authorization` header that lets its bearer read one job for a time. */
const JobAuthorization = z
  .string()
  .regex(/^Lilypad \d{1,12}:0x[0-9a-fA-F]{130}$/, 'expected Lilypad <validUntil>:<signature>')

/** A payment of scheme {@link orderScheme}: a signed order, and leave to read the job so that its answer can be translated. */
export const OrderPayment = z.object({
  x402Version: z.literal(2),
  accepted: PaymentRequirements,
  payload: z.object({
    order: JobOrder,
    signature: Signature,
    grant: SignedGrant.nullable(),
    ask: SignedAsk,
    authorization: JobAuthorization,
  }),
})
export type OrderPayment = z.output<typeof OrderPayment>

/** What stands under `lilypad` in the body of a 402: the job that the request becomes, to be checked and ordered. */
export const OfferedJob = z.object({ quote: Quote, inputs: JobInputs })
export type OfferedJob = z.output<typeof OfferedJob>
