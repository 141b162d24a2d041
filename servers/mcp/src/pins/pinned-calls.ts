import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Bytes32 } from '@lilypad-agents/protocol'

/** Which quote a call of a pinned tool has become, by the key of the call; the same for every process on the folder. */
export type PinnedCalls = {
  find(key: Bytes32): Bytes32 | undefined
  /**
   * Ties a call to a quote, unless it has another one by now.
   * @param replacing the quote that it may take the place of
   * @returns the quote that the call has
   */
  bind(key: Bytes32, quoteId: Bytes32, replacing: Bytes32 | undefined): Bytes32
  close(): void
}

/** Opens the calls of a state folder. */
export function openPinnedCalls(directory: string): PinnedCalls {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const database = new DatabaseSync(join(directory, 'pins.db'))
  database.exec('pragma busy_timeout = 10000; pragma journal_mode = wal; pragma synchronous = full;')
  database.exec('create table if not exists calls (key text primary key, quote_id text not null) strict')
  const find = (key: Bytes32) => {
    const row = database.prepare('select quote_id from calls where key = ?').get(key)
    return row ? (String(row.quote_id) as Bytes32) : undefined
  }
  return {
    find,
    bind(key, quoteId, replacing) {
      if (replacing === undefined)
        database
          .prepare('insert into calls (key, quote_id) values (?, ?) on conflict (key) do nothing')
          .run(key, quoteId)
      else database.prepare('update calls set quote_id = ? where key = ? and quote_id = ?').run(quoteId, key, replacing)
      return find(key) ?? quoteId
    },
    close: () => database.close(),
  }
}
