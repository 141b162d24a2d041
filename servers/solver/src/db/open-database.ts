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

const tables = Object.values(schema).flatMap((value) => (is(value, PgTable) ? [getTableName(value)] : []))
const migrationsFolder = fileURLToPath(new URL('../../migrations', import.meta.url))

/** A database that is open. */
export type OpenDatabase = {
  readonly database: Database
  /** Does what a server does by itself: lets go of old log and of the room of rows that changed. To be called now and then. */
  tidy(): Promise<void>
  close(): Promise<void>
}

/** Opens the database and brings its tables up to date. */
export async function openDatabase(options: {
  readonly directory: string
  readonly databaseUrl?: string | undefined
  /** Log after which the embedded database is tidied. @default 67108864, of about a thousand jobs */
  readonly tidyBytes?: number
}): Promise<OpenDatabase> {
  if (options.databaseUrl !== undefined) {
    const client = postgres(options.databaseUrl, { max: 10, onnotice: () => {} })
    const database = drizzlePostgres({ client })
    await migratePostgres(database, { migrationsFolder })
    return { database, tidy: async () => {}, close: () => client.end({ timeout: 3 }) }
  }
  mkdirSync(dirname(options.directory), { recursive: true })
  const client = await PGlite.create(options.directory)
  await migratePglite(drizzlePglite({ client }), { migrationsFolder })
  // Statements are prepared while tables are small, and nothing here renews a plan when they have grown.
  await client.exec('set plan_cache_mode = force_custom_plan')
  const prepared = preparePglite(client)
  // drizzle calls nothing but `query` and `transaction`.
  const database = drizzlePglite({ client: prepared as unknown as PGlite })
  return { database, tidy: createTidy(prepared, options.tidyBytes ?? 64 * 1024 ** 2), close: prepared.close }
}

/** The embedded database has no processes in the background: without this its log would grow for ever, and be read again at each start. */
function createTidy({ query }: PreparedPglite, afterBytes: number): OpenDatabase['tidy'] {
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
    if (tidiedAt === at || Number(bytes) < afterBytes) return
    for (const table of tables) await query(`vacuum (analyze) ${table}`)
    await query('checkpoint')
    tidiedAt = at
  }
}
