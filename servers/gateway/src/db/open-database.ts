import { fileURLToPath } from 'node:url'
import { type OpenDatabase, openDatabase as open } from '@lilypad-agents/database'
import * as payments from '../x402/payment-tables.ts'
import * as schema from './schema.ts'

export type { Database, OpenDatabase, Transaction } from '@lilypad-agents/database'

// A table of its own, so that a solver may use the same Postgres database.
const migrations = {
  migrationsFolder: fileURLToPath(new URL('../../migrations', import.meta.url)),
  migrationsTable: 'gateway_migrations',
}

/** Opens the gateway's database. Without a directory it is in memory. */
export function openDatabase(options: {
  readonly directory?: string | undefined
  readonly databaseUrl?: string | undefined
}): Promise<OpenDatabase> {
  return open({ ...options, schema: { ...schema, ...payments }, migrations })
}
