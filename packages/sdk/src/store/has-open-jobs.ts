import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/**
 * Whether {@link sqliteStore} of this folder holds a job that `resume` has to finish, without reading any. A folder that nobody has used
 * holds none, and stays as it is.
 */
export function hasOpenJobs(directory: string): boolean {
  const file = join(directory, 'client.db')
  if (!existsSync(file)) return false
  const database = new DatabaseSync(file)
  try {
    database.exec('pragma busy_timeout = 10000')
    const isTable = database.prepare("select 1 from sqlite_master where type = 'table' and name = 'jobs'").get()
    if (!isTable) return false
    const open = database.prepare(
      `select 1 from jobs where price is null and state not in ('declined', 'expired', 'failed') and coalesce(value ->> 'verified', 1) <> 0 limit 1`,
    )
    const unsent = database.prepare(
      "select 1 from jobs where acknowledged_jobs is not null and value ->> 'acknowledgementSent' = 0 limit 1",
    )
    return open.get() !== undefined || unsent.get() !== undefined
  } finally {
    database.close()
  }
}
