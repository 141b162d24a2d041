import { and, eq, gt, inArray, isNotNull, isNull, lt, notInArray, or } from 'drizzle-orm'
import type { SolverContext } from '../context.ts'
import { jobEvents, jobFiles, jobs, reservations } from '../db/schema.ts'

const pageSize = 200

/**
 * Forgets jobs that ended before a time (Unix seconds) and are paid or can never be: their rows, events and reservations.
 * Heads of ledgers and lanes stay, so the chains go on. An order that comes again is long too late to start.
 * @returns how many
 */
export async function pruneJobs(
  context: Pick<SolverContext, 'database' | 'memory'>,
  { endedBefore }: { readonly endedBefore: number },
): Promise<number> {
  const { database } = context
  const { orderHash, receiptHash, price, acknowledgement, acknowledgementReceived, settlementTransaction } = jobs
  const isOld = lt(jobs.updatedAt, endedBefore)
  const held = database
    .select({ orderHash: reservations.orderHash })
    .from(reservations)
    .where(gt(reservations.held, 0n))
  for (let pruned = 0; ; ) {
    const page = await database.transaction(async (transaction) => {
      const rows = await transaction
        .select({ orderHash })
        .from(jobs)
        .where(
          and(
            isOld,
            inArray(jobs.state, ['settled', 'declined', 'expired', 'failed', 'refunded']),
            notInArray(orderHash, held),
            or(
              // Paid, and its provider needs no voucher from here any more.
              and(isNotNull(settlementTransaction), or(isNull(acknowledgement), eq(acknowledgementReceived, true))),
              // One that was delivered at a price and not acknowledged in time may still be claimed, or settled by a voucher that went another way.
              and(isNull(acknowledgement), or(isNull(receiptHash), eq(price, 0n))),
            ),
          ),
        )
        .limit(pageSize)
        .for('update')
      const hashes = rows.map((row) => row.orderHash)
      if (hashes.length === 0) return hashes
      await transaction.delete(jobEvents).where(inArray(jobEvents.orderHash, hashes))
      await transaction.delete(jobFiles).where(inArray(jobFiles.orderHash, hashes))
      await transaction.delete(reservations).where(inArray(reservations.orderHash, hashes))
      await transaction.delete(jobs).where(inArray(orderHash, hashes))
      return hashes
    })
    for (const hash of page) context.memory.change(hash)()
    pruned += page.length
    if (page.length < pageSize) return pruned
  }
}
