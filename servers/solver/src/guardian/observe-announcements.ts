import { eq, gte } from 'drizzle-orm'
import type { SolverContext } from '../context.ts'
import { announcements } from '../db/schema.ts'

/** Keeps what the chain says in these blocks, and forgets what a reorganisation took back. */
export async function observeAnnouncements(
  context: SolverContext,
  range: { readonly fromBlock: number; readonly toBlock: number },
): Promise<void> {
  const found = await context.chain.listAnnouncements(range)
  const known = await context.database
    .select({ settlementHash: announcements.settlementHash })
    .from(announcements)
    .where(gte(announcements.blockNumber, range.fromBlock))
  const hashes = new Set(found.map(({ settlementHash }) => settlementHash))
  for (const { settlementHash } of known) {
    if (hashes.has(settlementHash)) continue
    await context.database.delete(announcements).where(eq(announcements.settlementHash, settlementHash))
  }
  const seen = new Set(known.map(({ settlementHash }) => settlementHash))
  for (const { settlement, ...announcement } of found) {
    const row = { ...announcement, settlement: settlement ? JSON.stringify(settlement) : null }
    await context.database
      .insert(announcements)
      .values(row)
      .onConflictDoUpdate({ target: announcements.settlementHash, set: row })
    const { settlementHash, payer, amount, expiresAt } = announcement
    if (!seen.has(settlementHash))
      context.log.warn({ settlementHash, payer, amount: amount.toString(), expiresAt }, 'settlement.announced')
  }
}
