import { fileURLToPath } from 'node:url'
import { type OpenDatabase, openDatabase as open } from '@lilypad-agents/database'
import * as schema from './schema.ts'

export type { Database, OpenDatabase, Transaction } from '@lilypad-agents/database'

const migrations = { migrationsFolder: fileURLToPath(new URL('../../migrations', import.meta.url)) }

/** Opens the solver's database. */
export function openDatabase(options: {
  readonly directory: string
  readonly databaseUrl?: string | undefined
  readonly tidyBytes?: number
}): Promise<OpenDatabase> {
  return open({ ...options, schema, migrations })
}
