import { sql } from 'drizzle-orm'
import type { Database } from './open-database.ts'
import { leases } from './schema.ts'

/**
 * Takes work that one replica does at a time, or goes on with it; a holder that falls silent loses it after `seconds`. Time is the
 * database's, which all replicas share. What is done under a lease has to be safe all the same: a holder may be slow, not gone.
 * @returns whether it is this holder's now
 */
export async function takeLease(
  database: Database,
  options: { readonly name: string; readonly holder: string; readonly seconds: number },
): Promise<boolean> {
  const { name, holder, seconds } = options
  const now = sql`extract(epoch from now())::bigint`
  const until = sql<number>`extract(epoch from now())::bigint + ${seconds}`
  const taken = await database
    .insert(leases)
    .values({ name, holder, until })
    .onConflictDoUpdate({
      target: leases.name,
      set: { holder, until },
      setWhere: sql`${leases.holder} = ${holder} or ${leases.until} < ${now}`,
    })
    .returning({ holder: leases.holder })
  return taken.length > 0
}
