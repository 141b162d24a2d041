import { and, eq, inArray, isNotNull, isNull, lt, or } from 'drizzle-orm'
import type { Bytes32 } from '@lilypad-agents/protocol'
import { nowSeconds, type SolverContext } from '../context.ts'
import { jobs } from '../db/schema.ts'
import { changeJob, holdAmount, type JobRow, moveJob, patchJob } from './job-row.ts'

/** How long after its last second an approval still counts: clocks differ, and a payment is seen a little later. */
const lateApprovalSeconds = 300

/** Why a job has expired, if it has. */
export function findExpiry(
  job: Pick<JobRow, 'state' | 'acceptedAt' | 'startBy' | 'deliverBy' | 'updatedAt' | 'missingInputs' | 'approvedUntil'>,
  rules: Pick<SolverContext['rules'], 'deliveryGraceSeconds' | 'acknowledgeWithinSeconds'>,
  now: number,
): string | undefined {
  switch (job.state) {
    case 'reserved':
      if (job.acceptedAt === null) {
        if (job.startBy >= now) return undefined
        return job.missingInputs > 0
          ? 'The input files did not come before the order had to start. Nothing is charged.'
          : 'The provider did not take the job before it had to start. Nothing is charged.'
      }
      return job.deliverBy + rules.deliveryGraceSeconds < now
        ? 'The provider took the job but did not deliver it in time. Nothing is charged.'
        : undefined
    case 'running':
      return job.deliverBy + rules.deliveryGraceSeconds < now
        ? 'The provider did not deliver in time. Nothing is charged.'
        : undefined
    case 'delivered':
      return job.updatedAt + rules.acknowledgeWithinSeconds < now &&
        (job.approvedUntil === null || job.approvedUntil + lateApprovalSeconds < now)
        ? 'The requester did not acknowledge the delivery in time.'
        : undefined
    default:
      return undefined
  }
}

/** Ends every job whose time is over and frees its money. */
export async function expireJobs(context: SolverContext): Promise<readonly Bytes32[]> {
  const now = nowSeconds(context)
  const { deliveryGraceSeconds, acknowledgeWithinSeconds } = context.rules
  const due = await context.database
    .select({ orderHash: jobs.orderHash })
    .from(jobs)
    .where(
      or(
        and(eq(jobs.state, 'reserved'), isNull(jobs.acceptedAt), lt(jobs.startBy, now)),
        and(eq(jobs.state, 'reserved'), isNotNull(jobs.acceptedAt), lt(jobs.deliverBy, now - deliveryGraceSeconds)),
        and(inArray(jobs.state, ['running']), lt(jobs.deliverBy, now - deliveryGraceSeconds)),
        and(
          eq(jobs.state, 'delivered'),
          lt(jobs.updatedAt, now - acknowledgeWithinSeconds),
          or(isNull(jobs.approvedUntil), lt(jobs.approvedUntil, now - lateApprovalSeconds)),
        ),
      ),
    )
    .limit(500)
  const expired: Bytes32[] = []
  for (const { orderHash } of due) {
    const job = await changeJob(context, orderHash, async (transaction, job) => {
      // Another request may have moved the job since it was found.
      const message = findExpiry(job, context.rules, now)
      if (message === undefined) return undefined
      return moveJob(transaction, context, job, 'expired', { reasonCode: 'JOB_EXPIRED', reasonMessage: message })
    })
    if (!job) continue
    expired.push(orderHash)
    context.providers.send(job.provider, { type: 'expired', orderHash })
    context.log.info({ jobId: orderHash }, 'job.expired')
  }
  return expired
}

/** Frees the money of ended jobs that was reserved for an approval which nobody used, or for a step that nobody settled. */
export async function releaseApprovals(context: SolverContext): Promise<void> {
  const before = nowSeconds(context) - lateApprovalSeconds
  const isOver = and(
    inArray(jobs.state, ['expired', 'failed']),
    isNull(jobs.settlementTransaction),
    lt(jobs.approvedUntil, before),
  )
  const over = await context.database.select({ orderHash: jobs.orderHash }).from(jobs).where(isOver).limit(500)
  for (const { orderHash } of over) {
    await changeJob(context, orderHash, async (transaction, job) => {
      // It may have been approved again, or paid, since it was found.
      if (job.settlementTransaction !== null || job.approvedUntil === null || job.approvedUntil >= before) return
      const patched = await patchJob(transaction, job, { approvedUntil: null })
      await holdAmount(transaction, patched, 0n, nowSeconds(context))
    })
    context.log.info({ jobId: orderHash }, 'approval.released')
  }
}
