import {
  Address,
  Bytes32,
  Delivery,
  JobInputs,
  JobOrder,
  jobStates,
  LilypadError,
  ModuleManifest,
  Quote,
  Signature,
  SignedAsk,
  SignedGrant,
  SignedReservation,
  SignedVoucher,
  StepAcknowledgement,
  TokenAmount,
  UnixSeconds,
} from '@lilypad-agents/protocol'
import { z } from 'zod'
import type { StoredApproval } from '../wallet/approval.ts'
import type { StoredBreaker } from '../wallet/circuit-breaker.ts'
import type { LedgerEntry } from '../wallet/spending-policy.ts'
import type { StoredPayment } from '../wallet/stored-payment.ts'

/** A quote as kept until it is used: with what an order for it needs. */
export const StoredQuote = z.strictObject({
  quote: Quote,
  module: ModuleManifest,
  inputs: JobInputs,
  /** Author of the module version, as the registry on chain says. */
  publisher: Address.optional(),
})
export type StoredQuote = z.output<typeof StoredQuote>

/** A job as its requester keeps it. Written before the order leaves, and after every step that matters. */
export const StoredJob = z.strictObject({
  orderHash: Bytes32,
  quoteId: Bytes32,
  order: JobOrder,
  signature: Signature,
  grant: SignedGrant.nullable(),
  ask: SignedAsk,
  module: ModuleManifest,
  inputs: JobInputs,
  /** Reveals after the receipt whether the job is audited. */
  auditSecret: Bytes32,
  state: z.enum(jobStates),
  reservation: SignedReservation.nullable(),
  delivery: Delivery.nullable(),
  /** Result of our own check; null until it was made. */
  verified: z.boolean().nullable(),
  /** Price owed; null until a receipt was accepted. */
  price: TokenAmount.nullable(),
  acknowledgement: SignedVoucher.nullable(),
  /** Whether the solver has confirmed the acknowledgement. */
  acknowledgementSent: z.boolean(),
  settlement: z.strictObject({ transaction: Bytes32, blockNumber: z.int(), price: TokenAmount }).nullable(),
  reason: z.strictObject({ code: z.string(), message: z.string() }).nullable(),
  orderedAt: UnixSeconds,
  /** The client that signed it, from its start to its end. */
  session: z.string().optional(),
  /** The newest step that was acknowledged while the job streamed. It can be settled in the place of the receipt. */
  step: StepAcknowledgement.optional(),
})
export type StoredJob = z.output<typeof StoredJob>

/** The job as the spending policy counts it. */
export function toLedgerEntry({ order, price, state, orderedAt, session, step }: StoredJob): LedgerEntry {
  const { maxPrice, deliverBy } = order
  return { kind: 'job', maxPrice, price, state, session, orderedAt, deliverBy, stepPrice: step?.step.step.price }
}

/** How far a lane has been acknowledged. */
export type StoredLane = { readonly jobs: number; readonly cumulativeAmount: bigint; readonly recordsHash: Bytes32 }

/** What a unit of work can read and write. Everything is synchronous, so that nothing can come between. */
export type StoreTransaction = {
  findQuote(quoteId: Bytes32): StoredQuote | undefined
  /** Keeps the first quote of an id. */
  putQuote(quote: StoredQuote): void
  findJob(orderHash: Bytes32): StoredJob | undefined
  findJobByQuote(quoteId: Bytes32): StoredJob | undefined
  /** Newest first. */
  listJobs(): readonly StoredJob[]
  /** Every job and every other payment as the spending policy counts it. */
  listLedger(): readonly LedgerEntry[]
  findPayment(id: Bytes32): StoredPayment | undefined
  putPayment(payment: StoredPayment): void
  /** Newest first. */
  listPayments(): readonly StoredPayment[]
  findApproval(id: Bytes32): StoredApproval | undefined
  putApproval(approval: StoredApproval): void
  /** Those asked for last first. */
  listApprovals(): readonly StoredApproval[]
  /** Whether nobody used the name before; it is used then. It is forgotten after `validUntil`, in Unix seconds. */
  useOnce(name: string, validUntil: number, nowSeconds: number): boolean
  findBreaker(): StoredBreaker
  putBreaker(breaker: StoredBreaker): void
  /** Acknowledged jobs of a lane up to a count, in the order of acknowledgement; with `isUnsent` those the solver has not confirmed. */
  listAcknowledged(laneId: Bytes32, upTo: number, which: { readonly isUnsent: boolean }): readonly StoredJob[]
  /** Acknowledged jobs that the solver has not confirmed. */
  listUnsent(): readonly StoredJob[]
  /** @throws {@link QuoteUsedError} when another job has the same quote */
  putJob(job: StoredJob): void
  findLane(laneId: Bytes32): StoredLane | undefined
  putLane(laneId: Bytes32, lane: StoredLane): void
  /** A number that no two calls get: 0, 1, 2 … per name. */
  next(counter: string): number
  /** The lane number of this store, drawn once. */
  laneNumber(): number
  /** A lane of these parties that no open job has, which is taken from then on; undefined when there is none. */
  takeFreeLane(parties: string): number | undefined
  /** The last job of this lane is over, and the next one can have it. */
  putFreeLane(parties: string, lane: number): void
}

/** What a client must not forget. One store is one lane, and one more for each streaming job that is open: several processes may share a store that serialises its transactions. */
export type ClientStore = {
  /**
   * Runs the work alone and makes it durable before it resolves; a throw undoes it. What is `repeatable` can be had again
   * from the relay or worked out again: it outlives the end of the process like all else, but perhaps not a loss of power.
   */
  transaction<T>(work: (transaction: StoreTransaction) => T, options?: { readonly isRepeatable?: boolean }): Promise<T>
  /** Resolves when everything that was written before, repeatable or not, outlives a loss of power. */
  flush(): Promise<void>
  putBlob(digest: Bytes32, bytes: Uint8Array): Promise<void>
  findBlob(digest: Bytes32): Promise<Uint8Array | undefined>
  /** Forgets quotes that ended before a time, in Unix seconds, and were never ordered, with the input files that nothing else names. */
  forgetQuotes(before: number): Promise<void>
  /**
   * Forgets files, inputs and outputs alike, that were last written before a time, in Unix seconds: one that lies further back than any order
   * lives. Outputs can be had again while the relay has them. Returns how many.
   */
  forgetFiles(before: number): Promise<number>
  close(): Promise<void>
}

/** A quote is good for one order. */
export class QuoteUsedError extends LilypadError {
  override readonly name = 'QuoteUsedError'
  constructor(quoteId: string) {
    super('QUOTE_USED', 'Another order was made from this quote.', {
      details: [`Quote: ${JSON.stringify(quoteId.slice(0, 80))}`],
      hint: 'ask for a new quote',
    })
  }
}

/** The digests that a text of JSON names. */
export const digestsIn = (json: string): readonly Bytes32[] => (json.match(/0x[0-9a-f]{64}/g) as Bytes32[] | null) ?? []

/** @throws LilypadError PATH_NOT_ALLOWED when it is not a digest, and so could name a file elsewhere */
export function assertDigest(digest: string): void {
  if (!/^0x[0-9a-f]{64}$/.test(digest)) throw new LilypadError('PATH_NOT_ALLOWED', 'Not the digest of a file.')
}
