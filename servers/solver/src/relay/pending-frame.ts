import { type OrderRequest, SignedReservation, SignedVoucher, type SolverFrame } from '@lilypad-agents/protocol'
import type { JobRow } from '../job/job-row.ts'

/** What a provider still has to answer about a job. */
export type PendingKind = 'order' | 'acknowledgement'

/** Decides from the job alone what its provider has to be told until it answers. */
export function pendingKind(
  job: Pick<JobRow, 'state' | 'acceptedAt' | 'missingInputs' | 'acknowledgement' | 'acknowledgementReceived'>,
): PendingKind | undefined {
  if (job.state === 'reserved' && job.acceptedAt === null && job.missingInputs === 0) return 'order'
  if (
    (job.state === 'acknowledged' || job.state === 'settled') &&
    job.acknowledgement !== null &&
    !job.acknowledgementReceived
  ) {
    return 'acknowledgement'
  }
  return undefined
}

/** The frame that tells it. */
export function pendingFrame(job: JobRow, request: OrderRequest | undefined): SolverFrame | undefined {
  const { orderHash } = job
  switch (pendingKind(job)) {
    case 'order':
      if (request === undefined) return undefined
      return {
        type: 'order',
        orderHash,
        request,
        reservation: SignedReservation.parse(JSON.parse(job.reservation)),
      }
    case 'acknowledgement':
      return {
        type: 'acknowledgement',
        orderHash,
        acknowledgement: SignedVoucher.parse(JSON.parse(job.acknowledgement ?? 'null')),
      }
    case undefined:
      return undefined
  }
}
