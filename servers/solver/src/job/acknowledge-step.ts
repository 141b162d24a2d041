import { eq } from 'drizzle-orm'
import {
  type Bytes32,
  isStepLane,
  JobOrder,
  LilypadError,
  StepAcknowledgement,
  type SolverFrame,
  stepType,
  voucherType,
} from '@lilypad-agents/protocol'
import { z } from 'zod'
import type { SolverContext } from '../context.ts'
import { lanes } from '../db/schema.ts'
import { changeJob, type JobRow, JobUnknownError, patchJob, StateConflictError } from './job-row.ts'
import { emptyLane, nextLane } from './next-lane.ts'

/**
 * Takes the requester's voucher for a job that still streams, and hands it to the provider. What it is worth is known here, so that it stays
 * reserved when the job ends without a receipt. The lane itself goes on with the receipt.
 */
export async function acknowledgeStep(
  context: SolverContext,
  orderHash: Bytes32,
  acknowledged: StepAcknowledgement,
): Promise<void> {
  const { domain } = context
  const { step: signed, acknowledgement } = acknowledged
  const { step } = signed
  const { voucher } = acknowledgement
  const signer = voucherType.findSigner(domain, voucher, acknowledgement.signature)
  const maker = stepType.findSigner(domain, step, signed.signature)
  const stepHash = stepType.hash(domain, step)
  const job = await changeJob(context, orderHash, async (transaction, job) => {
    if (signer !== job.key) throw new JobUnknownError()
    if (job.state !== 'running') throw new StateConflictError(orderHash, job.state, 'acknowledged in steps')
    const order = JobOrder.parse(JSON.parse(job.order))
    if (
      step.orderHash !== orderHash ||
      maker !== job.provider ||
      step.price > order.maxPrice ||
      !isStepLane(order.lane)
    )
      throw new LilypadError('VERIFICATION_FAILED', 'The step is not one that this job can be paid by.', {
        hint: 'acknowledge steps that the provider of the job has signed, on a lane that is its own',
      })
    if (job.stepPrice !== null && step.price <= job.stepPrice) return job
    const [lane] = await transaction.select().from(lanes).where(eq(lanes.laneId, job.laneId))
    nextLane(lane ?? emptyLane, voucher, { orderHash, order, receiptHash: stepHash, price: step.price })
    const text = JSON.stringify(z.encode(StepAcknowledgement, acknowledged))
    return patchJob(transaction, job, { step: text, stepHash, stepPrice: step.price })
  })
  const frame = stepFrame(job)
  if (frame) context.providers.send(job.provider, frame)
}

/** The frame that gives a provider the newest step of a job that was acknowledged. */
export function stepFrame({ orderHash, step }: Pick<JobRow, 'orderHash' | 'step'>): SolverFrame | undefined {
  if (step === null) return undefined
  return { type: 'step-acknowledgement', orderHash, acknowledged: StepAcknowledgement.parse(JSON.parse(step)) }
}
