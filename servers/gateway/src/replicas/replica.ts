import { and, eq, inArray, lt, ne, notInArray, sql } from 'drizzle-orm'
import type { Hex } from '@lilypad-agents/protocol'
import type { PaidRequest } from '../account/paid-request.ts'
import type { Database } from '../db/open-database.ts'
import { quoteOwners, replicas, requests } from '../db/schema.ts'

/** The database's time, which all replicas share, in Unix seconds. */
const now = sql<number>`extract(epoch from now())::bigint`
/** How long a replica may be silent before it counts as away. */
const awaySeconds = 60

/** Says that a replica is there, and where. */
export async function tellReplica(
  database: Database,
  options: { readonly id: string; readonly url: string },
): Promise<void> {
  const { id, url } = options
  await database
    .insert(replicas)
    .values({ id, url, seenAt: now })
    .onConflictDoUpdate({ target: replicas.id, set: { url, seenAt: now } })
}

/** Where another replica is reached, if it was heard of lately. */
export async function findReplica(database: Database, id: string): Promise<{ readonly url: string } | undefined> {
  const [found] = await database
    .select({ url: replicas.url })
    .from(replicas)
    .where(and(eq(replicas.id, id), sql`${replicas.seenAt} >= ${now} - ${awaySeconds}`))
  return found
}

/** Requests of replicas that are away for long, opened before a time: nobody else will settle them. */
export async function listOrphans(
  database: Database,
  options: { readonly replica: string; readonly awaySeconds: number; readonly openedBefore: number },
): Promise<readonly PaidRequest[]> {
  const { replica, awaySeconds: seconds, openedBefore } = options
  const present = database
    .select({ id: replicas.id })
    .from(replicas)
    .where(sql`${replicas.seenAt} >= ${now} - ${seconds}`)
  return database
    .select()
    .from(requests)
    .where(
      and(
        ne(requests.replica, replica),
        notInArray(requests.replica, present),
        inArray(requests.state, ['open', 'reserved']),
        lt(requests.createdAt, openedBefore),
      ),
    )
    .orderBy(requests.createdAt)
    .limit(1000)
}

/** Notes which replica has a quote, until it is over. */
export async function noteQuote(
  database: Database,
  quote: { readonly quoteId: Hex; readonly replica: string; readonly expiresAt: number },
): Promise<void> {
  await database.insert(quoteOwners).values(quote).onConflictDoNothing()
}

/** The replica that has a quote. */
export async function findQuoteOwner(database: Database, quoteId: Hex): Promise<string | undefined> {
  const [found] = await database.select().from(quoteOwners).where(eq(quoteOwners.quoteId, quoteId))
  return found?.replica
}

/** Forgets quotes that are over. */
export async function forgetQuotes(database: Database, before: number): Promise<void> {
  await database.delete(quoteOwners).where(lt(quoteOwners.expiresAt, before))
}
