import { type Bytes32, isFinal, LilypadError } from '@lilypad-agents/protocol'
import type { SolverContext } from '../context.ts'
import { changeJob, type JobRow, moveJob, StateConflictError } from './job-row.ts'

/** The provider that runs the job is not connected, so nobody can be asked to stop. */
class ProviderGoneError extends LilypadError {
  override readonly name = 'ProviderGoneError'
  constructor(orderHash: Bytes32) {
    super('PROVIDER_GONE', 'The provider of the job is not connected, so it cannot be asked to stop.', {
      details: [`Job: ${orderHash}`],
      charged: 'reserved',
      hint: 'cancel again in a minute; what is not delivered in time expires by itself and is not paid',
    })
  }
}

/**
 * Ends a job for its requester. One that its provider has not taken ends here, and its money is free at once. Of one that was
 * taken the provider is asked to stop: its receipt, without a price, ends the job; a program that was faster is delivered and paid, and so
 * is a reply whose beginning the provider has sent already.
 * A job that has ended stays as it is, so cancelling twice is cancelling once.
 * @throws {@link ProviderGoneError} {@link StateConflictError} for a job that is delivered already
 */
export async function cancelJob(context: SolverContext, orderHash: Bytes32): Promise<JobRow> {
  const job = await changeJob(context, orderHash, async (transaction, job) => {
    if (job.state !== 'reserved' || job.acceptedAt !== null) return job
    return moveJob(transaction, context, job, 'expired', {
      reasonCode: 'CANCELLED',
      reasonMessage: 'The requester cancelled the job before its provider took it. Nothing is charged.',
    })
  })
  if (job.state === 'expired') {
    // The order may be on its way: the provider does not begin, or stops.
    context.providers.send(job.provider, { type: 'expired', orderHash })
    return job
  }
  if (isFinal(job.state)) return job
  if (job.state !== 'reserved' && job.state !== 'running')
    throw new StateConflictError(orderHash, job.state, 'cancelled')
  if (!context.providers.send(job.provider, { type: 'cancel', orderHash })) throw new ProviderGoneError(orderHash)
  return job
}
