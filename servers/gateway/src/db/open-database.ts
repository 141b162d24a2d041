import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PGlite } from '@electric-sql/pglite'
import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core'
import { drizzle as drizzlePglite } from 'drizzle-orm/pglite'
import { migrate as migratePglite } from 'drizzle-orm/pglite/migrator'
import { drizzle as drizzlePostgres } from 'drizzle-orm/postgres-js'
import { migrate as migratePostgres } from 'drizzle-orm/postgres-js/migrator'
import postgres from 'postgres'
import { preparePglite } from './prepared-pglite.ts'

/** Embedded or served Postgres: the same SQL runs on both. */
export type Database = PgDatabase<PgQueryResultHKT>
/** What a function takes that runs inside a transaction. */
export type Transaction = Parameters<Parameters<Database['transaction']>[0]>[0]

// A table of its own, so that a solver may use the same Postgres database.
const migrations = {
  migrationsFolder: fileURLToPath(new URL('../../migrations', import.meta.url)),
  migrationsTable: 'gateway_migrations',
}

/** Opens the database, brings its tables up to date and gives the way to close it. Without a directory it is in memory. */
export async function openDatabase(options: {
  readonly directory?: string | undefined
  readonly databaseUrl?: string | undefined
}): Promise<{ readonly database: Database; close(): Promise<void> }> {
  if (options.databaseUrl !== undefined) {
    const client = postgres(options.databaseUrl, { max: 10, onnotice: () => {} })
    const database = drizzlePostgres({ client })
    await migratePostgres(database, migrations)
    return { database, close: () => client.end({ timeout: 3 }) }
  }
  if (options.directory !== undefined) mkdirSync(dirname(options.directory), { recursive: true, mode: 0o700 })
  const client = await PGlite.create(options.directory)
  await migratePglite(drizzlePglite({ client }), migrations)
  // Statements are prepared while tables are small, and nothing here renews a plan when they have grown.
  await client.exec('set plan_cache_mode = force_custom_plan')
  const prepared = preparePglite(client)
  // drizzle calls nothing but `query` and `transaction`.
  return { database: drizzlePglite({ client: prepared as unknown as PGlite }), close: prepared.close }
}
