import { z } from 'zod'
import { Ask } from '../ask/ask.ts'
import { Region } from '../ask/region.ts'
import { SessionGrant } from '../grant/session-grant.ts'
import { JobInputs } from '../module/inputs.ts'
import { ModuleManifest, ModuleName } from '../module/module-manifest.ts'
import { jobStates } from '../job/state.ts'
import { JobManifest } from '../job/job-manifest.ts'
import { JobOrder } from '../order/job-order.ts'
import { TokenAmount } from '../primitives/amount.ts'
import { Address, Bytes32, PayerSignature, Signature } from '../primitives/hex.ts'
import { Counter, UnixSeconds } from '../primitives/integer.ts'
import { Receipt } from '../receipt/receipt.ts'
import { Reservation } from '../reservation/reservation.ts'
import { SignedStep } from '../step/step.ts'
import { StreamChunk } from '../stream/stream-chunk.ts'
import { Voucher } from '../voucher/voucher.ts'

/** Version of the wire between requesters, solver and providers. */
export const apiVersion = 1

export const SignedAsk = z.strictObject({ ask: Ask, signature: Signature })
export type SignedAsk = z.output<typeof SignedAsk>
export const SignedGrant = z.strictObject({ grant: SessionGrant, signature: PayerSignature })
export type SignedGrant = z.output<typeof SignedGrant>
export const SignedReservation = z.strictObject({ reservation: Reservation, signature: Signature })
export type SignedReservation = z.output<typeof SignedReservation>
export const SignedVoucher = z.strictObject({ voucher: Voucher, signature: Signature })
export type SignedVoucher = z.output<typeof SignedVoucher>

/** `GET /network`: which chain and contracts this solver serves. */
export const NetworkInfo = z.object({
  apiVersion: z.int(),
  chainId: z.int().positive(),
  solver: Address,
  jobVault: Address,
  moduleRegistry: Address,
  lilyToken: Address,
  providersConnected: z.int().min(0),
})
export type NetworkInfo = z.output<typeof NetworkInfo>

/** A published module version with what the chain says about it. */
export const ModuleListing = z.object({
  moduleVersion: Bytes32,
  name: ModuleName,
  author: Address,
  manifestDigest: Bytes32,
  feeBips: z.int().min(0).max(10_000),
  deprecated: z.boolean(),
  publishedAtBlock: Counter,
  manifest: ModuleManifest,
  /** Lowest price any connected provider asks for a job, before metered units; null when nobody offers it now. */
  offers: z
    .array(
      z.object({
        provider: Address,
        pricePerJob: TokenAmount,
        pricePerSecond: TokenAmount,
        pricePerInputUnit: TokenAmount,
        pricePerOutputUnit: TokenAmount,
        token: Address,
        /** Where the provider says that it is. */
        region: Region.optional(),
        /** Its server holds the model in memory, so that a job starts without loading it. */
        resident: z.boolean().optional(),
      }),
    )
    .max(100),
})
export type ModuleListing = z.output<typeof ModuleListing>

/** `GET /modules?query=&limit=&cursor=`: newest version of each module, best match first. */
export const ModuleList = z.object({
  modules: z.array(ModuleListing).max(100),
  nextCursor: z.string().max(200).nullable(),
})
export type ModuleList = z.output<typeof ModuleList>

/** `POST /modules`: the manifest of a version that is already in the registry. Answer: {@link ModuleListing}. */
export const PublishRequest = z.strictObject({ manifest: ModuleManifest })

/** `POST /quotes`. */
export const QuoteRequest = z.strictObject({
  /** Name of a module, or the id of one version. */
  module: z.union([ModuleName, Bytes32]),
  inputs: JobInputs,
  payer: Address,
  /** Most the requester is willing to pay, in base units. */
  maxPrice: TokenAmount.optional(),
  /** Only this provider. */
  provider: Address.optional(),
  /** Only one of these. */
  only: z.array(Address).min(1).max(100).optional(),
  /** None of these. */
  ignore: z.array(Address).max(100).optional(),
  /** One of these, the first that can, before cheaper ones: where it has a free slot and let no more payers down than others. */
  prefer: z.array(Address).max(100).optional(),
  verification: z.int().min(0).max(1).default(0),
})
export type QuoteRequest = z.output<typeof QuoteRequest>

/** An answer to a quote request: one ask, with the price and times that an order for it should name. */
export const Quote = z.object({
  quoteId: Bytes32,
  module: ModuleName,
  moduleVersion: Bytes32,
  manifestDigest: Bytes32,
  inputsDigest: Bytes32,
  ask: SignedAsk,
  /** What the job will cost if it runs as long as it is allowed to: no job of this quote can cost more. */
  maxPrice: TokenAmount,
  /** What it is expected to cost. */
  expectedPrice: TokenAmount,
  expectedSeconds: z.number().min(0),
  startBy: UnixSeconds,
  deliverBy: UnixSeconds,
  expiresAt: UnixSeconds,
})
export type Quote = z.output<typeof Quote>

/** `POST /jobs`: an order. The same order twice answers with the same job. */
export const OrderRequest = z.strictObject({
  order: JobOrder,
  signature: Signature,
  grant: SignedGrant.nullable(),
  ask: SignedAsk,
  inputs: JobInputs,
})
export type OrderRequest = z.output<typeof OrderRequest>

/** The provider's delivery: the signed receipt, the manifest it commits to, and a signature over that manifest by itself. */
export const Delivery = z.strictObject({
  receipt: Receipt,
  signature: Signature,
  manifest: JobManifest,
  manifestSignature: Signature,
})
export type Delivery = z.output<typeof Delivery>

/** A job as its requester sees it. */
export const JobView = z.object({
  orderHash: Bytes32,
  state: z.enum(jobStates),
  order: JobOrder,
  reservation: SignedReservation.nullable(),
  /** SHA-256 of input files the relay still waits for; the job starts when it is empty. */
  missingInputs: z.array(Bytes32).max(64),
  progress: z.object({ fraction: z.number().min(0).max(1), text: z.string().max(200) }).nullable(),
  delivery: Delivery.nullable(),
  /** Transaction that settled the job. */
  settlement: z.object({ transaction: Bytes32, blockNumber: Counter, price: TokenAmount }).nullable(),
  /** Why a job was declined, expired or failed: a code and a sentence in our words. */
  reason: z.object({ code: z.string().max(64), message: z.string().max(400) }).nullable(),
  createdAt: UnixSeconds,
  updatedAt: UnixSeconds,
})
export type JobView = z.output<typeof JobView>

/**
 * An entry of a job's event stream (`GET /jobs/{orderHash}/events?after=&stream=`, server-sent events). `after` is the last sequence
 * seen; `stream=<attempt>.<chunks>` asks for chunks too, from the first one not seen, of a newer attempt from its first.
 * All chunks of a run come before the state that its delivery brings.
 */
export const JobEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('state'), sequence: Counter, state: z.enum(jobStates), at: UnixSeconds }),
  z.object({
    type: z.literal('progress'),
    sequence: Counter,
    fraction: z.number().min(0).max(1),
    text: z.string().max(200),
  }),
  /** A piece of the job's stream, for readers that ask for it. It has its own place in `chunk` and no sequence. */
  z.object({ type: z.literal('chunk'), chunk: StreamChunk }),
  /** The newest step of the job, for readers that ask for them with `steps=1`. It has no sequence: each takes the place of the one before. */
  z.object({ type: z.literal('step'), step: SignedStep }),
])
export type JobEvent = z.output<typeof JobEvent>

/** `POST /jobs/{orderHash}/acknowledgement`. Acknowledgements of a lane arrive in order: `jobs` rises by one. */
export const AcknowledgementRequest = z.strictObject({ voucher: Voucher, signature: Signature })
export type AcknowledgementRequest = z.output<typeof AcknowledgementRequest>

/** `POST /jobs/{orderHash}/step`: the newest step of a job that streams, and the voucher of its lane that ends with it. */
export const StepAcknowledgement = z.strictObject({ step: SignedStep, acknowledgement: SignedVoucher })
export type StepAcknowledgement = z.output<typeof StepAcknowledgement>

/**
 * Answer to `POST /settlements/approvals`, whose body is a `SettlementLanes`: the solver reserved every job in it. A settlement with
 * lanes that it does not answer for is refused whole, by a `SETTLEMENT_REFUSED` that names them.
 */
export const SettlementApprovalAnswer = z.object({
  settlementHash: Bytes32,
  /** Last second in which the vault takes the approval. */
  approvedUntil: UnixSeconds,
  /** Signature over `SettlementApproval`. */
  approval: Signature,
})
export type SettlementApprovalAnswer = z.output<typeof SettlementApprovalAnswer>
