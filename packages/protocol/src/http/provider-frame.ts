import { z } from 'zod'
import { GpuOffers } from '../ask/gpu-offer.ts'
import { Region } from '../ask/region.ts'
import { SignedAttestation } from '../attestation/node-attestation.ts'
import { Bytes32, Address, Signature } from '../primitives/hex.ts'
import { Counter } from '../primitives/integer.ts'
import { SignedStep } from '../step/step.ts'
import { StreamChunk } from '../stream/stream-chunk.ts'
import {
  Delivery,
  OrderRequest,
  SignedAsk,
  SignedReservation,
  SignedVoucher,
  StepAcknowledgement,
} from './solver-api.ts'

/**
 * Frames that a solver sends over the connection a provider opened. Each is one JSON text message. A frame that
 * carries `orderHash` is sent again after a reconnection until the provider has answered it.
 */
export const SolverFrame = z.discriminatedUnion('type', [
  /** First frame: the provider signs an Access over the challenge. */
  z.object({ type: z.literal('challenge'), challenge: Bytes32, solver: Address, chainId: z.int(), jobVault: Address }),
  z.object({ type: z.literal('welcome') }),
  /** Inputs are at the relay (`GET /jobs/{orderHash}/inputs/{sha256}`); answered by `accepted` or `declined`. */
  z.object({ type: z.literal('order'), orderHash: Bytes32, request: OrderRequest, reservation: SignedReservation }),
  /** Answers `delivered`: it is stored, or has to come again with its missing outputs (`missing`, SHA-256 each). */
  z.object({ type: z.literal('stored'), orderHash: Bytes32, missing: z.array(Bytes32).max(100_000) }),
  /** Answered by `acknowledged`. */
  z.object({ type: z.literal('acknowledgement'), orderHash: Bytes32, acknowledgement: SignedVoucher }),
  /**
   * Answers `chunk`: so many chunks of this attempt are stored, and the provider goes on from there. `refused` says that the last one
   * was not taken: with `STREAM_BROKEN` it does not follow from what is stored, with any other code no chunk of the job is taken any more.
   */
  z.object({
    type: z.literal('chunks'),
    orderHash: Bytes32,
    attempt: Counter,
    stored: Counter,
    refused: z.string().max(64).optional(),
  }),
  /** The requester reads the job's stream and acknowledges its steps: from here on they may be sent. */
  z.object({ type: z.literal('steps'), orderHash: Bytes32 }),
  /** The requester has acknowledged a step. */
  z.object({ type: z.literal('step-acknowledgement'), orderHash: Bytes32, acknowledged: StepAcknowledgement }),
  z.object({ type: z.literal('expired'), orderHash: Bytes32 }),
  /** The requester wants the job no more: the run is stopped, and a receipt without a price says so. A priced reply that was begun to be streamed ends where it stands and costs what was sent. */
  z.object({ type: z.literal('cancel'), orderHash: Bytes32 }),
  z.object({ type: z.literal('error'), code: z.string().max(64), message: z.string().max(400) }),
])
export type SolverFrame = z.output<typeof SolverFrame>

/** Most outputs that travel with a receipt, and most bytes of all of them together. */
export const smallOutputLimits = { files: 16, bytes: 49_152 } as const

/** An output that travels with the receipt, since an upload of its own would take longer than it. */
export const SmallOutput = z.strictObject({ sha256: Bytes32, data: z.base64().max(66_000) })
export type SmallOutput = z.output<typeof SmallOutput>

/** Frames that a provider sends. Outputs go up with `PUT /jobs/{orderHash}/outputs/{sha256}` before `delivered`, or with it in `files`. */
export const ProviderFrame = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('hello'), provider: Address, validUntil: Counter, signature: Signature }),
  /** Replaces all asks of this provider. */
  z.strictObject({
    type: z.literal('asks'),
    asks: z.array(SignedAsk).max(1000),
    gpus: GpuOffers.optional(),
    region: Region.optional(),
    /** Module versions whose servers are ready, beside those in the memory of `gpus`. */
    resident: z.array(Bytes32).max(64).optional(),
  }),
  /** How well the sandbox of this provider holds. Replaces the one before; comes before the asks that need it. */
  z.strictObject({ type: z.literal('attestation'), attestation: SignedAttestation }),
  z.strictObject({ type: z.literal('accepted'), orderHash: Bytes32 }),
  z.strictObject({
    type: z.literal('declined'),
    orderHash: Bytes32,
    code: z.string().max(64),
    reason: z.string().max(400),
  }),
  z.strictObject({ type: z.literal('started'), orderHash: Bytes32 }),
  z.strictObject({
    type: z.literal('progress'),
    orderHash: Bytes32,
    fraction: z.number().min(0).max(1),
    text: z.string().max(200),
  }),
  /**
   * The next piece of the job's stream, answered by `chunks`. At most `streamWindowBytes` of them are on their way unanswered.
   */
  z.strictObject({ type: z.literal('chunk'), orderHash: Bytes32, chunk: StreamChunk }),
  /** What the stream has come to, after the chunks it is about; only for jobs that `steps` has named. Sent again after a reconnection. */
  z.strictObject({ type: z.literal('step'), orderHash: Bytes32, step: SignedStep }),
  z.strictObject({
    type: z.literal('delivered'),
    orderHash: Bytes32,
    delivery: Delivery,
    files: z.array(SmallOutput).max(smallOutputLimits.files).optional(),
  }),
  /** The voucher is on the provider's disk. */
  z.strictObject({ type: z.literal('acknowledged'), orderHash: Bytes32 }),
])
export type ProviderFrame = z.output<typeof ProviderFrame>
