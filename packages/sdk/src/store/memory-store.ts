import { type Bytes32, laneId } from '@lilypad-agents/protocol'
import {
  assertDigest,
  type ClientStore,
  QuoteUsedError,
  type StoredJob,
  type StoredLane,
  type StoredQuote,
  type StoreTransaction,
  toLedgerEntry,
} from './client-store.ts'

type State = {
  readonly quotes: Map<Bytes32, StoredQuote>
  readonly jobs: Map<Bytes32, StoredJob>
  readonly lanes: Map<Bytes32, StoredLane>
  readonly counters: Map<string, number>
}

const copy = (state: State): State => ({
  quotes: new Map(state.quotes),
  jobs: new Map(state.jobs),
  lanes: new Map(state.lanes),
  counters: new Map(state.counters),
})

const acknowledgedJobs = (job: StoredJob) => job.acknowledgement?.voucher.jobs ?? Number.POSITIVE_INFINITY

/** A store that lives as long as the process: for tests, pages and one-off scripts. */
export function memoryStore(): ClientStore {
  let state: State = { quotes: new Map(), jobs: new Map(), lanes: new Map(), counters: new Map() }
  const blobs = new Map<Bytes32, Uint8Array>()
  const lane = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0

  const open = (draft: State): StoreTransaction => ({
    findQuote: (quoteId) => draft.quotes.get(quoteId),
    putQuote(quote) {
      if (!draft.quotes.has(quote.quote.quoteId)) draft.quotes.set(quote.quote.quoteId, quote)
    },
    findJob: (orderHash) => draft.jobs.get(orderHash),
    findJobByQuote: (quoteId) => [...draft.jobs.values()].find((job) => job.quoteId === quoteId),
    listJobs: () => [...draft.jobs.values()].reverse().sort((a, b) => b.orderedAt - a.orderedAt),
    listLedger: () => [...draft.jobs.values()].map(toLedgerEntry),
    listAcknowledged: (lane, upTo, { isUnsent }) =>
      [...draft.jobs.values()]
        .filter((job) => acknowledgedJobs(job) <= upTo && laneId(job.order) === lane)
        .filter((job) => !(isUnsent && job.acknowledgementSent))
        .sort((a, b) => acknowledgedJobs(a) - acknowledgedJobs(b)),
    putJob(job) {
      for (const other of draft.jobs.values()) {
        if (other.quoteId === job.quoteId && other.orderHash !== job.orderHash) throw new QuoteUsedError(job.quoteId)
      }
      draft.jobs.set(job.orderHash, job)
    },
    findLane: (id) => draft.lanes.get(id),
    putLane: (id, next) => void draft.lanes.set(id, next),
    next(counter) {
      const value = draft.counters.get(counter) ?? 0
      draft.counters.set(counter, value + 1)
      return value
    },
    laneNumber: () => lane,
  })

  return {
    async transaction(work) {
      const draft = copy(state)
      const result = work(open(draft))
      state = draft
      return result
    },
    async putBlob(digest, bytes) {
      assertDigest(digest)
      blobs.set(digest, bytes.slice())
    },
    async findBlob(digest) {
      assertDigest(digest)
      return blobs.get(digest)?.slice()
    },
    async close() {},
  }
}
