import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PGlite } from '@electric-sql/pglite'
import { getTableName, is } from 'drizzle-orm'
import { type PgDatabase, type PgQueryResultHKT, PgTable } from 'drizzle-orm/pg-core'
import { drizzle as drizzlePglite } from 'drizzle-orm/pglite'
import { migrate as migratePglite } from 'drizzle-orm/pglite/migrator'
import { drizzle as drizzlePostgres } from 'drizzle-orm/postgres-js'
import { migrate as migratePostgres } from 'drizzle-orm/postgres-js/migrator'
import postgres from 'postgres'
import { type PreparedPglite, preparePglite } from './prepared-pglite.ts'
import * as schema from './schema.ts'

/** Embedded or served Postgres: the same SQL runs on both. */
export type Database = PgDatabase<PgQueryResultHKT>
/** What a function takes that runs inside a transaction. */
export type Transaction = Parameters<Parameters<Database['transaction']>[0]>[0]

// A table of its own, so that a solver may use the same Postgres database.
const migrations = {
  migrationsFolder: fileURLToPath(new URL('../../migrations', import.meta.url)),
  migrationsTable: 'gateway_migrations',
}

/** Log after which the embedded database is tidied. */
const tidyBytes = 64 * 1024 ** 2

/** A database that is open. */
export type OpenDatabase = {
  readonly database: Database
  /** Does what a server does by itself: lets go of old log and of the room of rows that changed. To be called now and then. */
  tidy(): Promise<void>
  close(): Promise<void>
}

/** Opens the database, brings its tables up to date and gives the way to close it. Without a directory it is in memory. */
export async function openDatabase(options: {
  readonly directory?: string | undefined
  readonly databaseUrl?: string | undefined
}): Promise<OpenDatabase> {
  if (options.databaseUrl !== undefined) {
    const client = postgres(options.databaseUrl, { max: 10, onnotice: () => {} })
    const database = drizzlePostgres({ client })
    await migratePostgres(database, migrations)
    return { database, tidy: async () => {}, close: () => client.end({ timeout: 3 }) }
  }
  if (options.directory !== undefined) mkdirSync(dirname(options.directory), { recursive: true, mode: 0o700 })
  const client = await PGlite.create(options.directory)
  await migratePglite(drizzlePglite({ client }), migrations)
  // Statements are prepared while tables are small, and nothing here renews a plan when they have grown.
  await client.exec('set plan_cache_mode = force_custom_plan')
  const prepared = preparePglite(client)
  // drizzle calls nothing but `query` and `transaction`.
  const database = drizzlePglite({ client: prepared as unknown as PGlite })
  return { database, tidy: createTidy(prepared), close: prepared.close }
}

/** The embedded database has no processes in the background: without this its log would grow for ever, and be read again at each start. */
function createTidy({ query }: PreparedPglite): OpenDatabase['tidy'] {
  let tidiedAt: string | undefined
  return async () => {
    const { rows } = await query(
      'select pg_current_wal_insert_lsn()::text, pg_current_wal_insert_lsn() - $1::pg_lsn',
      [tidiedAt ?? '0/0'],
      { rowMode: 'array' },
    )
    const [at, bytes] = rows[0] as readonly [string, string]
    // An opened database has just been tidied by its start.
    tidiedAt ??= at
    if (tidiedAt === at || Number(bytes) < tidyBytes) return
    for (const table of Object.values(schema).filter((value) => is(value, PgTable)))
      await query(`vacuum (analyze) "${getTableName(table)}"`)
    await query('checkpoint')
    tidiedAt = at
  }
}
