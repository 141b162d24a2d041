import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { getTableName, is } from 'drizzle-orm'
import { type PgDatabase, type PgQueryResultHKT, PgTable } from 'drizzle-orm/pg-core'
import { drizzle as drizzlePglite } from 'drizzle-orm/pglite'
import { migrate as migratePglite } from 'drizzle-orm/pglite/migrator'
import { drizzle as drizzlePostgres } from 'drizzle-orm/postgres-js'
import { migrate as migratePostgres } from 'drizzle-orm/postgres-js/migrator'
import postgres from 'postgres'
import { type PreparedPglite, preparePglite } from './prepared-pglite.ts'

/** Embedded or served Postgres: the same SQL runs on both. */
export type Database = PgDatabase<PgQueryResultHKT>
/** What a function takes that runs inside a transaction. */
export type Transaction = Parameters<Parameters<Database['transaction']>[0]>[0]

/** A database that is open. */
export type OpenDatabase = {
  readonly database: Database
  /** Does what a server does by itself: lets go of old log and of the room of rows that changed. To be called now and then. */
  tidy(): Promise<void>
  close(): Promise<void>
}

/** Opens a database, brings its tables up to date and gives the way to close it. */
export async function openDatabase(options: {
  /** Everything that the file of tables exports. */
  readonly schema: Readonly<Record<string, unknown>>
  /** `migrationsTable` keeps apart what two services note in one served database. */
  readonly migrations: { readonly migrationsFolder: string; readonly migrationsTable?: string }
  /** Folder of the embedded database. @default in memory */
  readonly directory?: string | undefined
  /** Served Postgres, in the place of the embedded one. */
  readonly databaseUrl?: string | undefined
  /** Log after which the embedded database is tidied. @default 67108864, of about a thousand jobs */
  readonly tidyBytes?: number | undefined
}): Promise<OpenDatabase> {
  const { schema, migrations, directory, databaseUrl, tidyBytes = 64 * 1024 ** 2 } = options
  if (databaseUrl !== undefined) {
    const client = postgres(databaseUrl, { max: 10, onnotice: () => {} })
    const database = drizzlePostgres({ client })
    await migratePostgres(database, migrations)
    return { database, tidy: async () => {}, close: () => client.end({ timeout: 3 }) }
  }
  if (directory !== undefined) mkdirSync(dirname(directory), { recursive: true, mode: 0o700 })
  const client = await PGlite.create(directory)
  await migratePglite(drizzlePglite({ client }), migrations)
  // Statements are prepared while tables are small, and nothing here renews a plan when they have grown.
  await client.exec('set plan_cache_mode = force_custom_plan')
  const prepared = preparePglite(client)
  // drizzle calls nothing but `query` and `transaction`.
  const database = drizzlePglite({ client: prepared as unknown as PGlite })
  const tables = Object.values(schema).flatMap((value) => (is(value, PgTable) ? [getTableName(value)] : []))
  return { database, tidy: createTidy(prepared, tables, tidyBytes), close: prepared.close }
}

/** The embedded database has no processes in the background: without this its log would grow for ever, and be read again at each start. */
function createTidy({ query }: PreparedPglite, tables: readonly string[], afterBytes: number): OpenDatabase['tidy'] {
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
    for (const table of tables) await query(`vacuum (analyze) "${table}"`)
    await query('checkpoint')
    tidiedAt = at
  }
}
