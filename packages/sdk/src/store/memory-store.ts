import { type Bytes32, laneId } from '@lilypad-agents/protocol'
import {
  assertDigest,
  type ClientStore,
  digestsIn,
  QuoteUsedError,
  type StoredJob,
  type StoredLane,
  type StoredQuote,
  type StoreTransaction,
  toLedgerEntry,
} from './client-store.ts'
import type { StoredApproval } from '../wallet/approval.ts'
import { closedBreaker, type StoredBreaker } from '../wallet/circuit-breaker.ts'
import { paymentEntry, type StoredPayment } from '../wallet/stored-payment.ts'

type State = {
  readonly quotes: Map<Bytes32, StoredQuote>
  readonly jobs: Map<Bytes32, StoredJob>
  readonly lanes: Map<Bytes32, StoredLane>
  readonly counters: Map<string, number>
  readonly payments: Map<Bytes32, StoredPayment>
  readonly approvals: Map<Bytes32, StoredApproval>
  readonly usedOnce: Map<string, number>
  readonly freeLanes: Map<string, readonly number[]>
  breaker: StoredBreaker
}

const emptyState = (): State => ({
  quotes: new Map(),
  jobs: new Map(),
  lanes: new Map(),
  counters: new Map(),
  payments: new Map(),
  approvals: new Map(),
  usedOnce: new Map(),
  freeLanes: new Map(),
  breaker: closedBreaker,
})

const copy = (state: State): State => ({
  quotes: new Map(state.quotes),
  jobs: new Map(state.jobs),
  lanes: new Map(state.lanes),
  counters: new Map(state.counters),
  payments: new Map(state.payments),
  approvals: new Map(state.approvals),
  usedOnce: new Map(state.usedOnce),
  freeLanes: new Map(state.freeLanes),
  breaker: state.breaker,
})

const acknowledgedJobs = (job: StoredJob) => job.acknowledgement?.voucher.jobs ?? Number.POSITIVE_INFINITY

/** A store that lives as long as the process: for tests, pages and one-off scripts. */
export function memoryStore(): ClientStore {
  let state = emptyState()
  const blobs = new Map<Bytes32, { readonly bytes: Uint8Array; readonly at: number }>()
  const lane = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0

  const open = (draft: State): StoreTransaction => ({
    findQuote: (quoteId) => draft.quotes.get(quoteId),
    putQuote(quote) {
      if (!draft.quotes.has(quote.quote.quoteId)) draft.quotes.set(quote.quote.quoteId, quote)
    },
    findJob: (orderHash) => draft.jobs.get(orderHash),
    findJobByQuote: (quoteId) => [...draft.jobs.values()].find((job) => job.quoteId === quoteId),
    listJobs: () => [...draft.jobs.values()].reverse().sort((a, b) => b.orderedAt - a.orderedAt),
    listLedger: () => [
      ...[...draft.jobs.values()].map(toLedgerEntry),
      ...[...draft.payments.values()].map(paymentEntry),
    ],
    findPayment: (id) => draft.payments.get(id),
    putPayment: (payment) => void draft.payments.set(payment.id, payment),
    listPayments: () => [...draft.payments.values()].reverse().sort((a, b) => b.reservedAt - a.reservedAt),
    findApproval: (id) => draft.approvals.get(id),
    putApproval: (approval) => void draft.approvals.set(approval.id, approval),
    listApprovals: () => [...draft.approvals.values()].reverse().sort((a, b) => b.wantedAt - a.wantedAt),
    useOnce(name, validUntil, nowSeconds) {
      for (const [other, until] of draft.usedOnce) if (until < nowSeconds) draft.usedOnce.delete(other)
      if (draft.usedOnce.has(name)) return false
      draft.usedOnce.set(name, validUntil)
      return true
    },
    findBreaker: () => draft.breaker,
    putBreaker(breaker) {
      draft.breaker = breaker
    },
    listAcknowledged: (lane, upTo, { isUnsent }) =>
      [...draft.jobs.values()]
        .filter((job) => acknowledgedJobs(job) <= upTo && laneId(job.order) === lane)
        .filter((job) => !(isUnsent && job.acknowledgementSent))
        .sort((a, b) => acknowledgedJobs(a) - acknowledgedJobs(b)),
    listUnsent: () => [...draft.jobs.values()].filter((job) => job.acknowledgement && !job.acknowledgementSent),
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
    takeFreeLane(parties) {
      const [first, ...others] = draft.freeLanes.get(parties) ?? []
      draft.freeLanes.set(parties, others)
      return first
    },
    putFreeLane(parties, free) {
      const others = (draft.freeLanes.get(parties) ?? []).filter((other) => other !== free)
      draft.freeLanes.set(
        parties,
        [...others, free].sort((a, b) => a - b),
      )
    },
  })

  return {
    async transaction(work) {
      const draft = copy(state)
      const result = work(open(draft))
      state = draft
      return result
    },
    async flush() {},
    async putBlob(digest, bytes) {
      assertDigest(digest)
      blobs.set(digest, { bytes: bytes.slice(), at: Date.now() / 1000 })
    },
    async findBlob(digest) {
      assertDigest(digest)
      return blobs.get(digest)?.bytes.slice()
    },
    async forgetQuotes(before) {
      const ordered = new Set([...state.jobs.values()].map(({ quoteId }) => quoteId))
      const unused = [...state.quotes.values()].filter(
        ({ quote }) => quote.expiresAt < before && !ordered.has(quote.quoteId),
      )
      for (const { quote } of unused) state.quotes.delete(quote.quoteId)
      const named = [...state.quotes.values(), ...state.jobs.values()].map(({ inputs }) => JSON.stringify(inputs))
      const outputs = [...state.jobs.values()].map(({ delivery }) =>
        JSON.stringify(delivery?.manifest.predicate.outputs ?? []),
      )
      const kept = new Set([...named, ...outputs].flatMap(digestsIn))
      for (const digest of unused.flatMap(({ inputs }) => digestsIn(JSON.stringify(inputs))))
        if (!kept.has(digest)) blobs.delete(digest)
    },
    async forgetFiles(before) {
      const old = [...blobs].filter(([, { at }]) => at < before)
      for (const [digest] of old) blobs.delete(digest)
      return old.length
    },
    async close() {},
  }
}
