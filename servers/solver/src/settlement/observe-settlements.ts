import { and, eq, gte, isNotNull, sql } from 'drizzle-orm'
import type { Bytes32, JobState } from '@lilypad-agents/protocol'
import type { ChainSettlement } from '../chain/chain.ts'
import { nowSeconds, type SolverContext } from '../context.ts'
import type { Transaction } from '../db/open-database.ts'
import { chainCursors, jobs, ledgers } from '../db/schema.ts'
import { observeAnnouncements } from '../guardian/observe-announcements.ts'
import { addJobEvent, changeJob, findJob, holdAmount, type JobRow, moveJob, patchJob } from '../job/job-row.ts'

const cursorName = 'settlements'

/**
 * Reads what the chain says since the last time and the newest blocks before that once more, so that a reorganisation
 * is noticed: jobs found settled are marked, jobs whose settlement is gone go back to acknowledged.
 */
export async function observeSettlements(context: SolverContext): Promise<void> {
  const latest = await context.chain.getBlockNumber()
  const cursor = await getCursor(context)
  const fromBlock = Math.max(0, Math.min(cursor, latest) - context.rules.reorgBlocks)
  const range = { fromBlock, toBlock: latest }
  const [settlements, deprecations] = await Promise.all([
    context.chain.listSettlements(range),
    context.chain.listDeprecations(range),
  ])
  const found = new Map(settlements.map((settlement) => [settlement.orderHash, settlement]))
  for (const settlement of found.values()) await settleJob(context, settlement)
  const gone = await context.database
    .select({ orderHash: jobs.orderHash })
    .from(jobs)
    .where(and(isNotNull(jobs.settlementTransaction), gte(jobs.settlementBlock, fromBlock)))
  for (const { orderHash } of gone) {
    if (!found.has(orderHash)) await undoSettlement(context, orderHash)
  }
  await context.catalog.deprecate(deprecations)
  await observeAnnouncements(context, range)
  if (latest !== cursor) await setCursor(context, latest)
  context.observed.at = nowSeconds(context)
}

async function settleJob(context: SolverContext, settlement: ChainSettlement): Promise<void> {
  const { orderHash, transaction: settlementTransaction, blockNumber, price } = settlement
  const seen = await findJob(context, orderHash)
  if (!seen || seen.settlementTransaction === settlementTransaction) return
  if (!isSettlementOf(settlement, seen)) {
    context.log.warn({ jobId: orderHash, transaction: settlementTransaction }, 'settlement.foreign')
    return
  }
  await changeJob(context, orderHash, async (transaction, job) => {
    const facts = { settlementTransaction, settlementBlock: blockNumber, settlementPrice: price }
    await countSettlement(transaction, job)
    // The voucher may have reached the provider without us, so a delivered job can be found settled.
    const acknowledged = job.state === 'delivered' ? await moveJob(transaction, context, job, 'acknowledged') : job
    if (acknowledged.state === 'acknowledged') await moveJob(transaction, context, acknowledged, 'settled', facts)
    else await holdAmount(transaction, await patchJob(transaction, job, facts), 0n, nowSeconds(context))
  })
  context.log.info({ jobId: orderHash, transaction: settlementTransaction }, 'job.settled')
}

/** Any two parties can settle a record with any order hash in it; only the job's own receipt or step between its own parties counts. */
function isSettlementOf({ payer, provider, receiptHash }: ChainSettlement, job: JobRow): boolean {
  return (
    payer === job.payer &&
    provider === job.provider &&
    (receiptHash === job.receiptHash || receiptHash === job.stepHash)
  )
}

/**
 * Takes a settlement back that the chain no longer holds. This is the one change outside the table of moves: the chain
 * has taken its own history back, so the job returns to where it was.
 */
async function undoSettlement(context: SolverContext, orderHash: Bytes32): Promise<void> {
  await changeJob(context, orderHash, async (transaction, job) => {
    await countSettlement(transaction, job)
    const nothing = { settlementTransaction: null, settlementBlock: null, settlementPrice: null }
    const at = nowSeconds(context)
    if (job.state !== 'settled') {
      const patched = await patchJob(transaction, job, nothing)
      // An expired job was paid by an approval; while that lasts, it can be paid again.
      if (job.approvedUntil !== null) await holdAmount(transaction, patched, job.settlementPrice ?? 0n, at)
      return
    }
    const state: JobState = 'acknowledged'
    const undone = await addJobEvent(
      transaction,
      job,
      { type: 'state', state, at },
      { ...nothing, state, updatedAt: at },
    )
    await holdAmount(transaction, undone, job.settlementPrice ?? 0n, at)
  })
  context.log.warn({ jobId: orderHash }, 'settlement.undone')
}

async function countSettlement(transaction: Transaction, job: JobRow): Promise<void> {
  await transaction
    .update(ledgers)
    .set({ settlements: sql`${ledgers.settlements} + 1` })
    .where(and(eq(ledgers.payer, job.payer), eq(ledgers.token, job.token)))
}

async function getCursor(context: SolverContext): Promise<number> {
  const [cursor] = await context.database.select().from(chainCursors).where(eq(chainCursors.name, cursorName))
  return cursor?.blockNumber ?? 0
}

async function setCursor(context: SolverContext, blockNumber: number): Promise<void> {
  await context.database
    .insert(chainCursors)
    .values({ name: cursorName, blockNumber })
    .onConflictDoUpdate({ target: chainCursors.name, set: { blockNumber } })
}
