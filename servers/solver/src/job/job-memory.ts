import type { Bytes32, OrderRequest } from '@lilypad-agents/protocol'
import type { JobRow } from './job-row.ts'

/** Jobs that are remembered; the least recently used go. */
const maxJobs = 500
/** Longer ones are read from the database each time. */
const maxCharacters = 32 * 1024

/**
 * What the database says of the jobs that are talked about now. Reads that decide nothing (who may ask, what to show,
 * whether to wait on) need no query; whatever changes a job reads its locked row.
 */
export type JobMemory = {
  /** Reads a job, and remembers it unless it is changed meanwhile. */
  read(orderHash: Bytes32, load: () => Promise<JobRow | undefined>): Promise<JobRow | undefined>
  /** Begins a change: what is known of the job counts no more. Call what it gives with the row that was committed, or without one. */
  change(orderHash: Bytes32): (committed?: JobRow) => void
  /** Keeps the request of a job that was just placed. */
  rememberRequest(orderHash: Bytes32, request: OrderRequest, length: number): void
  /** The request of a job never changes, so it is parsed once. */
  readRequest(
    orderHash: Bytes32,
    load: () => Promise<string>,
    parse: (text: string) => OrderRequest,
  ): Promise<OrderRequest>
}

/** @param options.isSoleWriter no other process writes the database; else no row is remembered */
export function createJobMemory(options: { readonly isSoleWriter: boolean }): JobMemory {
  const { isSoleWriter } = options
  const rows = new Map<Bytes32, { row: JobRow | undefined }>()
  const requests = new Map<Bytes32, OrderRequest>()

  return {
    async read(orderHash, load) {
      if (!isSoleWriter) return load()
      const entry = rows.get(orderHash) ?? { row: undefined }
      if (entry.row) return entry.row
      keep(rows, orderHash, entry)
      const row = await load()
      // A change that began after this took the entry's place.
      if (rows.get(orderHash) === entry) remember(rows, orderHash, entry, row)
      return row
    },
    change(orderHash) {
      if (!isSoleWriter) return () => {}
      const entry = { row: undefined }
      keep(rows, orderHash, entry)
      return (committed) => {
        if (rows.get(orderHash) === entry) remember(rows, orderHash, entry, committed)
      }
    },
    rememberRequest(orderHash, request, length) {
      if (length <= maxCharacters) keep(requests, orderHash, request)
    },
    async readRequest(orderHash, load, parse) {
      const known = requests.get(orderHash)
      if (known) return known
      const text = await load()
      const request = parse(text)
      if (text.length <= maxCharacters) keep(requests, orderHash, request)
      return request
    },
  }
}

function remember(
  rows: Map<Bytes32, { row: JobRow | undefined }>,
  orderHash: Bytes32,
  entry: { row: JobRow | undefined },
  row: JobRow | undefined,
): void {
  if (row === undefined || (row.delivery?.length ?? 0) > maxCharacters) rows.delete(orderHash)
  else entry.row = row
}

function keep<T>(map: Map<Bytes32, T>, key: Bytes32, value: T): void {
  map.delete(key)
  map.set(key, value)
  const [oldest] = map.keys()
  if (map.size > maxJobs && oldest !== undefined) map.delete(oldest)
}
