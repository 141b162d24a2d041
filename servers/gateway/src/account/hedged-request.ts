import { eq, inArray } from 'drizzle-orm'
import { LilypadError } from '@lilypad-agents/protocol'
import type { Database } from '../db/open-database.ts'
import { requests } from '../db/schema.ts'

export const hedgeKind = 'hedge'

/** Notes a second order of a request as a request of its own, so that each is charged or released by itself. */
export async function openHedge(
  database: Database,
  options: { readonly id: string; readonly of: string },
): Promise<void> {
  const [request] = await database.select().from(requests).where(eq(requests.id, options.of))
  if (!request) throw new LilypadError('INTERNAL', 'A request that is hedged is known.')
  await database.insert(requests).values({
    ...request,
    id: options.id,
    kind: hedgeKind,
    state: 'open',
    held: 0n,
    quoteId: null,
    orderHash: null,
    idempotencyKey: null,
  })
}

/** Gives two requests each other's order, with what is set aside for it: the second order answers the first request. */
export async function swapOrders(
  database: Database,
  { a, b }: { readonly a: string; readonly b: string },
): Promise<void> {
  await database.transaction(async (transaction) => {
    const rows = await transaction
      .select()
      .from(requests)
      .where(inArray(requests.id, [a, b]))
      .orderBy(requests.id)
      .for('update')
    const [first, second] = rows
    if (!first || !second || rows.some(({ state }) => state !== 'reserved'))
      throw new LilypadError('INTERNAL', 'Only two reserved requests change places.')
    // An order and a quote belong to one request at a time.
    await transaction.update(requests).set({ quoteId: null, orderHash: null }).where(eq(requests.id, second.id))
    const give = (to: string, { held, quoteId, orderHash }: typeof first) =>
      transaction.update(requests).set({ held, quoteId, orderHash }).where(eq(requests.id, to))
    await give(first.id, second)
    await give(second.id, first)
  })
}
