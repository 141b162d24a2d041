import { z } from 'zod'
import { defineSignedObject } from '../eip712/signed-object.ts'
import type { SigningDomain } from '../eip712/typed-data.ts'
import type { JobOrder } from '../order/job-order.ts'
import { Bytes32, Signature } from '../primitives/hex.ts'
import { TokenAmount } from '../primitives/amount.ts'
import { Counter } from '../primitives/integer.ts'
import type { JobRecord } from '../voucher/job-record.ts'

/**
 * The provider's signed statement of what a job that is still streaming has come to. In a voucher its hash stands in the place of the
 * receipt's, until a later step or the receipt takes that place: a lane pays one of them.
 */
export const Step = z.strictObject({
  orderHash: Bytes32,
  /** Run of the job and how many chunks of its stream the step is about, with the head of the chain after them. */
  attempt: z.int().min(1).max(1_000_000),
  chunks: Counter,
  head: Bytes32,
  inputUnits: Counter,
  outputUnits: Counter,
  meteredSeconds: Counter,
  /** What these units cost by the ask, without its price per job, in base units. */
  price: TokenAmount,
})
export type Step = z.output<typeof Step>

export const stepType = defineSignedObject(Step, {
  primaryType: 'Step',
  fields: [
    { name: 'orderHash', type: 'bytes32' },
    { name: 'attempt', type: 'uint32' },
    { name: 'chunks', type: 'uint64' },
    { name: 'head', type: 'bytes32' },
    { name: 'inputUnits', type: 'uint64' },
    { name: 'outputUnits', type: 'uint64' },
    { name: 'meteredSeconds', type: 'uint64' },
    { name: 'price', type: 'uint128' },
  ],
})

/** A step with its provider's signature. */
export const SignedStep = z.strictObject({ step: Step, signature: Signature })
export type SignedStep = z.output<typeof SignedStep>

/** What a step leaves on chain where it is what is paid of its job. */
export function stepRecord(
  domain: SigningDomain,
  order: Pick<JobOrder, 'moduleVersion' | 'nonce'>,
  step: Step,
): JobRecord {
  const { orderHash, price } = step
  const { moduleVersion, nonce } = order
  return { orderHash, receiptHash: stepType.hash(domain, step), moduleVersion, price, nonce }
}

/** Lanes from this number on are taken by one open job at a time: only there a voucher may hold a step. */
export const firstStepLane = 2 ** 32

/** Whether the jobs of a lane follow each other, so that the last record of its voucher may be a step. */
export function isStepLane(lane: number): boolean {
  return lane >= firstStepLane
}
