import { mkdirSync } from 'node:fs'
import { opendir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { type Bytes32, laneId } from '@lilypad-agents/protocol'
import { z } from 'zod'
import {
  assertDigest,
  type ClientStore,
  digestsIn,
  QuoteUsedError,
  StoredJob,
  StoredQuote,
  type StoreTransaction,
} from './client-store.ts'
import { StoredApproval } from '../wallet/approval.ts'
import { closedBreaker, StoredBreaker } from '../wallet/circuit-breaker.ts'
import type { LedgerEntry } from '../wallet/spending-policy.ts'
import { createLedgerFold } from './ledger-fold.ts'
import { createLogSync } from './log-sync.ts'
import { paymentEntry, StoredPayment } from '../wallet/stored-payment.ts'

const schema = `
create table if not exists quotes (id text primary key, value text not null) strict;
create table if not exists jobs (
  id text primary key, quote_id text not null unique, ordered_at integer not null, value text not null,
  max_price text not null, price text, state text not null, deliver_by integer not null,
  lane_id text not null, acknowledged_jobs integer
) strict;
create index if not exists acknowledged on jobs (lane_id, acknowledged_jobs) where acknowledged_jobs is not null;
create index if not exists unsent on jobs (lane_id, acknowledged_jobs) where acknowledged_jobs is not null and value ->> 'acknowledgementSent' = 0;
create table if not exists lanes (id text primary key, jobs integer not null, cumulative_amount text not null, records_hash text not null) strict;
create table if not exists counters (name text primary key, value integer not null) strict;
create table if not exists sessions (job_id text primary key, session text not null) strict;
create table if not exists steps (job_id text primary key, price text not null) strict;
create table if not exists free_lanes (parties text not null, lane integer not null, primary key (parties, lane)) strict, without rowid;
create table if not exists payments (id text primary key, reserved_at integer not null, value text not null) strict;
create table if not exists approvals (id text primary key, wanted_at integer not null, value text not null) strict;
create table if not exists used_once (name text primary key, valid_until integer not null) strict;
create table if not exists breaker (id integer primary key check (id = 1), value text not null) strict;
`

const newLedgerRows = `select jobs.rowid, max_price, jobs.price, state, ordered_at, deliver_by, session, steps.price as step_price from jobs
  left join sessions on sessions.job_id = jobs.id left join steps on steps.job_id = jobs.id where jobs.rowid > ? or jobs.rowid in (select value from json_each(?))`
const unusedQuotes = `select id, value ->> 'inputs' as inputs from quotes
  where not exists (select 1 from jobs where quote_id = quotes.id) and value ->> '$.quote.expiresAt' < ? limit 5000`
const namedFiles = `select value ->> 'inputs' as named from quotes
  union all select (value ->> 'inputs') || coalesce(value ->> '$.delivery.manifest.predicate.outputs', '') from jobs`
const freshMilliseconds = 10 * 60 * 1000
/** Jobs and quotes that are kept as they were read, and the longest text of one: most are read again within a second. */
const maxRead = 200
const maxReadLength = 64 * 1024

/**
 * A store in a folder: an SQLite database and the blobs beside it. Several processes may share it; each transaction is
 * alone and on disk before it resolves.
 */
export function sqliteStore(directory: string): ClientStore {
  const blobs = join(directory, 'blobs')
  mkdirSync(blobs, { recursive: true, mode: 0o700 })
  const database = new DatabaseSync(join(directory, 'client.db'))
  database.exec('pragma busy_timeout = 10000; pragma journal_mode = wal; pragma synchronous = normal;')
  database.exec(schema)

  // A statement's memory is SQLite's own: those of each call would be given back long after the heap has grown over them.
  const statements = new Map<string, StatementSync>()
  const prepare = (sql: string): StatementSync => {
    const known = statements.get(sql)
    if (known) return known
    const statement = database.prepare(sql)
    statements.set(sql, statement)
    return statement
  }
  /** Values by their text: what is written in a row is what was checked when it was read or written here before. */
  const known = new Map<string, unknown>()
  const remember = <T>(text: string, value: T): T => {
    if (text.length > maxReadLength) return value
    known.set(text, value)
    const [oldest] = known.keys()
    if (known.size > maxRead && oldest !== undefined) known.delete(oldest)
    return value
  }
  const read = <S extends z.ZodType>(schema: S, sql: string, ...values: SQLInputValue[]): z.output<S>[] =>
    prepare(sql)
      .all(...values)
      .map((row) => {
        const text = String(row.value)
        return (known.get(text) as z.output<S> | undefined) ?? remember(text, schema.parse(JSON.parse(text)))
      })
  let isWritten = false
  const write = (sql: string, ...values: SQLInputValue[]) => {
    isWritten = true
    prepare(sql).run(...values)
  }
  const encode = <S extends z.ZodType>(schema: S, value: z.output<S>) => JSON.stringify(z.encode(schema, value))
  const log = createLogSync(join(directory, 'client.db-wal'))

  const put = (table: 'payments' | 'approvals', at: string, id: string, seconds: number, value: string) =>
    write(
      `insert into ${table} (id, ${at}, value) values (?, ?, ?) on conflict (id) do update set ${at} = excluded.${at}, value = excluded.value`,
      id,
      seconds,
      value,
    )

  const counter = (name: string, initial: number, step: number): number => {
    const row = prepare('select value from counters where name = ?').get(name)
    const value = row ? Number(row.value) : initial
    write(
      'insert into counters (name, value) values (?, ?) on conflict (name) do update set value = excluded.value',
      name,
      value + step,
    )
    return value
  }

  // A price never changes once it is known, so a job that has one is read once, however many orders follow.
  const unreadLedger = () => ({ lastRow: 0, priced: createLedgerFold(), unpriced: new Set<number>() })
  let ledger = unreadLedger()

  /** Does the work alone; a throw undoes it. */
  function alone<T>(work: () => T): T {
    try {
      database.exec('begin immediate')
      const result = work()
      database.exec('commit')
      return result
    } catch (error) {
      if (database.isTransaction) database.exec('rollback')
      // It may have been read with what is undone now.
      ledger = unreadLedger()
      throw error
    }
  }

  const transaction: StoreTransaction = {
    findQuote: (quoteId) => read(StoredQuote, 'select value from quotes where id = ?', quoteId)[0],
    putQuote(quote) {
      const text = encode(StoredQuote, quote)
      remember(text, quote)
      write('insert into quotes (id, value) values (?, ?) on conflict (id) do nothing', quote.quote.quoteId, text)
    },
    findJob: (orderHash) => read(StoredJob, 'select value from jobs where id = ?', orderHash)[0],
    findJobByQuote: (quoteId) => read(StoredJob, 'select value from jobs where quote_id = ?', quoteId)[0],
    listJobs: () => read(StoredJob, 'select value from jobs order by ordered_at desc, rowid desc'),
    listLedger: () => {
      const { lastRow, priced, unpriced } = ledger
      const open: LedgerEntry[] = []
      for (const row of prepare(newLedgerRows).all(lastRow, JSON.stringify([...unpriced]))) {
        const rowid = Number(row.rowid)
        ledger.lastRow = Math.max(ledger.lastRow, rowid)
        const entry: LedgerEntry = {
          kind: 'job',
          maxPrice: BigInt(String(row.max_price)),
          price: row.price === null ? null : BigInt(String(row.price)),
          state: StoredJob.shape.state.parse(row.state),
          orderedAt: Number(row.ordered_at),
          deliverBy: Number(row.deliver_by),
          session: row.session === null ? undefined : String(row.session),
          stepPrice: row.step_price === null ? undefined : BigInt(String(row.step_price)),
        }
        if (entry.price === null) {
          unpriced.add(rowid)
          open.push(entry)
        } else {
          unpriced.delete(rowid)
          priced.add(entry)
        }
      }
      return [...priced.list(), ...open, ...read(StoredPayment, 'select value from payments').map(paymentEntry)]
    },
    findPayment: (id) => read(StoredPayment, 'select value from payments where id = ?', id)[0],
    putPayment: (payment) =>
      put('payments', 'reserved_at', payment.id, payment.reservedAt, encode(StoredPayment, payment)),
    listPayments: () => read(StoredPayment, 'select value from payments order by reserved_at desc, rowid desc'),
    findApproval: (id) => read(StoredApproval, 'select value from approvals where id = ?', id)[0],
    putApproval: (approval) =>
      put('approvals', 'wanted_at', approval.id, approval.wantedAt, encode(StoredApproval, approval)),
    listApprovals: () => read(StoredApproval, 'select value from approvals order by wanted_at desc, rowid desc'),
    useOnce(name, validUntil, nowSeconds) {
      write('delete from used_once where valid_until < ?', nowSeconds)
      const isUsed = prepare('select 1 from used_once where name = ?').get(name) !== undefined
      if (!isUsed) write('insert into used_once (name, valid_until) values (?, ?)', name, validUntil)
      return !isUsed
    },
    findBreaker: () => read(StoredBreaker, 'select value from breaker')[0] ?? closedBreaker,
    putBreaker: (breaker) =>
      write(
        'insert into breaker (id, value) values (1, ?) on conflict (id) do update set value = excluded.value',
        encode(StoredBreaker, breaker),
      ),
    listAcknowledged: (lane, upTo, { isUnsent }) =>
      read(
        StoredJob,
        `select value from jobs where lane_id = ? and acknowledged_jobs <= ? and acknowledged_jobs is not null
         ${isUnsent ? "and value ->> 'acknowledgementSent' = 0" : ''} order by acknowledged_jobs`,
        lane,
        upTo,
      ),
    listUnsent: () =>
      read(
        StoredJob,
        "select value from jobs where acknowledged_jobs is not null and value ->> 'acknowledgementSent' = 0 order by lane_id, acknowledged_jobs",
      ),
    putJob(job) {
      const other = prepare('select id from jobs where quote_id = ?').get(job.quoteId)
      if (other && other.id !== job.orderHash) throw new QuoteUsedError(job.quoteId)
      const { orderHash, quoteId, orderedAt, order, price, state, acknowledgement } = job
      const text = encode(StoredJob, job)
      remember(text, job)
      write(
        `insert into jobs (id, quote_id, ordered_at, value, max_price, price, state, deliver_by, lane_id, acknowledged_jobs)
         values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         on conflict (id) do update set value = excluded.value, price = excluded.price, state = excluded.state, acknowledged_jobs = excluded.acknowledged_jobs`,
        orderHash,
        quoteId,
        orderedAt,
        text,
        order.maxPrice.toString(),
        price === null ? null : price.toString(),
        state,
        order.deliverBy,
        laneId(order),
        acknowledgement?.voucher.jobs ?? null,
      )
      if (job.session !== undefined)
        write(
          'insert into sessions (job_id, session) values (?, ?) on conflict (job_id) do nothing',
          orderHash,
          job.session,
        )
      if (job.step !== undefined)
        write(
          'insert into steps (job_id, price) values (?, ?) on conflict (job_id) do update set price = excluded.price',
          orderHash,
          job.step.step.step.price.toString(),
        )
    },
    findLane(id) {
      const row = prepare('select * from lanes where id = ?').get(id)
      if (!row) return undefined
      return {
        jobs: Number(row.jobs),
        cumulativeAmount: BigInt(String(row.cumulative_amount)),
        recordsHash: String(row.records_hash) as Bytes32,
      }
    },
    putLane: (id, lane) =>
      write(
        'insert into lanes (id, jobs, cumulative_amount, records_hash) values (?, ?, ?, ?) on conflict (id) do update set jobs = excluded.jobs, cumulative_amount = excluded.cumulative_amount, records_hash = excluded.records_hash',
        id,
        lane.jobs,
        lane.cumulativeAmount.toString(),
        lane.recordsHash,
      ),
    next: (name) => counter(name, 0, 1),
    takeFreeLane(parties) {
      const row = prepare('select lane from free_lanes where parties = ? order by lane limit 1').get(parties)
      if (!row) return undefined
      write('delete from free_lanes where parties = ? and lane = ?', parties, Number(row.lane))
      return Number(row.lane)
    },
    putFreeLane: (parties, lane) =>
      write(
        'insert into free_lanes (parties, lane) values (?, ?) on conflict (parties, lane) do nothing',
        parties,
        lane,
      ),
    laneNumber: () => counter('lane number', crypto.getRandomValues(new Uint32Array(1))[0] ?? 0, 0),
  }

  return {
    async transaction(work, { isRepeatable = false } = {}) {
      isWritten = false
      const result = alone(() => work(transaction))
      if (isWritten && !isRepeatable) await log.flush()
      return result
    },
    flush: () => log.flush(),
    async putBlob(digest, bytes) {
      assertDigest(digest)
      const temporary = join(blobs, `.${digest}.${crypto.randomUUID()}`)
      await writeFile(temporary, bytes, { mode: 0o600, flush: true })
      await rename(temporary, join(blobs, digest))
    },
    async findBlob(digest) {
      assertDigest(digest)
      return readFile(join(blobs, digest)).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined
        throw error
      })
    },
    async forgetQuotes(before) {
      const files = new Set<Bytes32>()
      alone(() => {
        for (const { id, inputs } of prepare(unusedQuotes).all(before)) {
          for (const digest of digestsIn(String(inputs))) files.add(digest)
          write('delete from quotes where id = ?', String(id))
        }
        if (files.size > 0)
          for (const { named } of prepare(namedFiles).iterate())
            for (const digest of digestsIn(String(named))) files.delete(digest)
      })
      for (const digest of files) {
        const file = join(blobs, digest)
        // One that was written a moment ago may be of a quote that is not stored yet.
        const writtenAt = (await stat(file).catch(() => undefined))?.mtimeMs
        if (writtenAt !== undefined && writtenAt < Date.now() - freshMilliseconds) await rm(file, { force: true })
      }
    },
    async forgetFiles(before) {
      let forgotten = 0
      // One by one: there may be millions.
      for await (const { name } of await opendir(blobs)) {
        const file = join(blobs, name)
        const writtenAt = (await stat(file).catch(() => undefined))?.mtimeMs
        if (writtenAt === undefined || writtenAt >= before * 1000) continue
        await rm(file, { force: true })
        forgotten += 1
      }
      return forgotten
    },
    async close() {
      await log.close()
      database.close()
    },
  }
}
