import { and, eq } from 'drizzle-orm'
import type { Bytes32, Delivery, JobOrder, JobState, JobView, SignedReservation } from '@lilypad-agents/protocol'
import type { z } from 'zod'
import type { Database, Transaction } from '../db/open-database.ts'
import { jobFiles } from '../db/schema.ts'
import type { JobRow } from './job-row.ts'

/** A job as its requester sees it, as JSON. */
export type JobViewJson = z.input<typeof JobView>

/** Input files the relay still waits for. */
export async function listMissingInputs(
  database: Database | Transaction,
  orderHash: Bytes32,
): Promise<readonly Bytes32[]> {
  const rows = await database
    .select({ sha256: jobFiles.sha256 })
    .from(jobFiles)
    .where(and(eq(jobFiles.orderHash, orderHash), eq(jobFiles.direction, 'input'), eq(jobFiles.present, false)))
  return rows.map(({ sha256 }) => sha256)
}

/** The view of a job. Signed parts are given back as the text that came. */
export async function toJobView(database: Database | Transaction, job: JobRow): Promise<JobViewJson> {
  const { settlementTransaction, settlementBlock, settlementPrice } = job
  return {
    orderHash: job.orderHash,
    state: job.state,
    order: JSON.parse(job.order) as z.input<typeof JobOrder>,
    reservation: JSON.parse(job.reservation) as z.input<typeof SignedReservation>,
    missingInputs: job.missingInputs === 0 ? [] : [...(await listMissingInputs(database, job.orderHash))],
    progress:
      job.progressFraction === null ? null : { fraction: Number(job.progressFraction), text: job.progressText ?? '' },
    delivery: job.delivery === null ? null : (JSON.parse(job.delivery) as z.input<typeof Delivery>),
    settlement:
      settlementTransaction === null || settlementBlock === null || settlementPrice === null
        ? null
        : { transaction: settlementTransaction, blockNumber: settlementBlock, price: settlementPrice.toString() },
    reason: job.reasonCode === null ? null : { code: job.reasonCode, message: job.reasonMessage ?? '' },
    createdAt: job.createdAt,
    updatedAt: job.updatedAt,
  }
}

/** Whether a requester who waits for the job has nothing to wait for any more, whatever it was when it asked. */
export function isWorthReturning(state: JobState): boolean {
  return ['delivered', 'settled', 'declined', 'expired', 'failed', 'refunded', 'upheld', 'disputed'].includes(state)
}
