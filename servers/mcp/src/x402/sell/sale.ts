import {
  Address,
  Bytes32,
  concatBytes,
  fromHex,
  keccak256,
  Signature,
  TokenAmount,
  UnixSeconds,
} from '@lilypad-agents/protocol'
import { type ExactPayment, TransferAuthorization } from '@lilypad-agents/sdk/x402'
import { z } from 'zod'

/** What a call without payment was offered: one job, for one price. Its id is known only to who asked, and good for one sale. */
export const Offer = z.strictObject({
  id: Bytes32,
  /** Our own quote from the network, from which the job is ordered. */
  quoteId: Bytes32,
  tool: z.string(),
  inputsDigest: Bytes32,
  /** Price of the buyer, in base units. */
  amount: TokenAmount,
  /** Most the job costs us, in base units. */
  cost: TokenAmount,
  payTo: Address,
  expiresAt: UnixSeconds,
  /** A payment has to be valid until then. */
  payableUntil: UnixSeconds,
})
export type Offer = z.output<typeof Offer>

/**
 * `open`: the job is ordered and runs; `delivered`: its result holds and is withheld until it is paid; `settled`: paid, the result is the
 * buyer's; `failed`: no result, so nothing is charged; `unpaid`: the buyer took its money away while the job ran; `uncollected`: the seller
 * could not collect in time, or cannot tell what the job has cost it.
 */
export const saleStates = ['open', 'delivered', 'settled', 'failed', 'unpaid', 'uncollected'] as const

/** A paid call. Written before the job is ordered, and after every step. */
export const Sale = z.strictObject({
  id: Bytes32,
  offer: Offer,
  authorization: TransferAuthorization,
  signature: Signature,
  state: z.enum(saleStates),
  orderHash: Bytes32.nullable(),
  transaction: Bytes32.nullable(),
  /** Block after which the payment can have been made. */
  fromBlock: z.int(),
  openedAt: UnixSeconds,
  endedAt: UnixSeconds.nullable(),
  /** Why it failed, or was not paid: a code of ours and a sentence of ours. */
  problem: z.strictObject({ code: z.string(), message: z.string() }).nullable(),
})
export type Sale = z.output<typeof Sale>

/** A sale is its payment: an account uses a nonce once. */
export const saleId = ({ payload: { authorization } }: ExactPayment): Bytes32 =>
  keccak256(concatBytes(fromHex(authorization.from), fromHex(authorization.nonce)))

/** Whether nothing more happens to a sale. */
export const hasEnded = ({ state }: Sale): boolean => state !== 'open' && state !== 'delivered'
