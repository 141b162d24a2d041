import { closeSync, existsSync, fdatasync, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { promisify } from 'node:util'
import {
  type Address,
  type Bytes32,
  Delivery,
  type JobRecord,
  laneId,
  type Lane,
  LilypadError,
  listInputFiles,
  ModuleManifest,
  OrderRequest,
  SettlementLanes,
  SignedGrant,
  type SignedReservation,
  type SignedVoucher,
  type StepAcknowledgement,
  zeroBytes32,
} from '@lilypad-agents/protocol'
import { z } from 'zod'
import { ClaimLedger } from './claim-ledger.ts'
import { schemaSql } from './schema.ts'
import { StepLedger } from './step-ledger.ts'

/**
 * Where a job stands at this provider.
 * `accepted`: promised, not finished, runs again after a crash. `finished`: has its one receipt, not stored at the
 * solver yet. `delivered`: stored there. `acknowledged`: its voucher is on this disk. `closed`: nothing is left to do
 * without payment (failed and stored, or expired). `declined`: never started, and never will be.
 */
export type JobPhase = 'accepted' | 'finished' | 'delivered' | 'acknowledged' | 'closed' | 'declined'

/** A job as the journal knows it. */
export type JournalJob = {
  readonly orderHash: Bytes32
  readonly phase: JobPhase
  /** Runs started so far. */
  readonly attempts: number
  readonly acceptedAt: number
  /** Code and sentence of a declined job. */
  readonly declined: { readonly code: string; readonly reason: string } | undefined
}

/** A job that was accepted: everything needed to run it again. */
export type AcceptedJob = JournalJob & {
  readonly request: OrderRequest
  readonly receiptHash: Bytes32 | undefined
  readonly delivery: Delivery | undefined
}

/** A job as lists show it. `price` is known once it has a receipt. */
export type RecentJob = {
  readonly orderHash: Bytes32
  readonly phase: JobPhase
  readonly module: string | undefined
  readonly price: bigint | undefined
  readonly maxPrice: bigint
  readonly acceptedAt: number
}

/** What a lane has come to, by vouchers on this disk and by the last look at the chain. */
export type JournalLane = Lane & {
  readonly laneId: Bytes32
  readonly jobs: number
  readonly cumulativeAmount: bigint
  readonly recordsHash: Bytes32
  readonly settledJobs: number
  readonly settledAmount: bigint
  /** Unix seconds of the oldest acknowledgement that the chain does not have. */
  readonly oldestUnsettledAt: number | undefined
  readonly checkedAt: number
}

/** A settlement of one lane that waits to be paid without the payer's guardian. It can be paid only while the lane has `settledJobs` settled. */
export type Announcement = { readonly settlement: SettlementLanes; readonly settledJobs: number }

/** One acknowledged job of a lane. */
export type LaneEntry = {
  readonly index: number
  readonly record: JobRecord
  readonly recordsHash: Bytes32
  readonly acknowledgement: SignedVoucher
}

export type JournalTotals = {
  readonly accepted: number
  readonly finished: number
  readonly delivered: number
  readonly acknowledged: number
  readonly closed: number
  readonly declined: number
}

/** Another provider process works with this state. */
export class StateInUseError extends LilypadError {
  override readonly name = 'StateInUseError'
  constructor(folder: string) {
    super('CONFIG_INVALID', 'Another provider uses this state directory.', {
      details: [`Directory: ${folder}`],
      hint: 'stop the other provider, or give this one its own `--state-dir`',
    })
  }
}

type Row = Record<string, SQLInputValue>

const syncFile = promisify(fdatasync)

/**
 * The provider's memory: what it promised, ran, signed and is owed. Every write outlives a killed process when the method
 * returns, and all but those of a job's own steps a loss of power, too (WAL with `synchronous=FULL`). A step of a job
 * becomes visible to others after {@link Journal.flush}, which takes the steps of all jobs to the disk together.
 */
export class Journal {
  readonly #database: DatabaseSync
  readonly #lock: DatabaseSync | undefined
  readonly #statements = new Map<string, StatementSync>()
  readonly #logPath: string | undefined
  #log: number | undefined
  #hasUnsynced = false
  #newestSync: Promise<void> = Promise.resolve()
  #hasSyncBegun = true

  /** Jobs that nobody acknowledged. */
  readonly claims: ClaimLedger
  /** Jobs that are paid in steps. */
  readonly steps: StepLedger

  private constructor(database: DatabaseSync, lock?: DatabaseSync, logPath?: string) {
    this.#database = database
    this.#logPath = logPath
    this.claims = new ClaimLedger(database)
    this.steps = new StepLedger(database)
    this.#lock = lock
  }

  /**
   * Opens or creates `<folder>/journal.db`.
   * @throws {@link StateInUseError} while another process has it open
   */
  static open(folder: string): Journal {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    // A file lock of the operating system: it goes away with the process, however the process ends.
    const lock = new DatabaseSync(join(folder, 'journal.lock'))
    try {
      lock.exec('PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE')
    } catch (error) {
      lock.close()
      if (error instanceof Error && /locked|busy/.test(error.message)) throw new StateInUseError(folder)
      throw error
    }
    const database = new DatabaseSync(join(folder, 'journal.db'))
    database.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA busy_timeout=5000')
    database.exec(schemaSql)
    return new Journal(database, lock, join(folder, 'journal.db-wal'))
  }

  /** Opens a journal to look into it, also while its provider works. Undefined when there is none. */
  static findForReading(folder: string): Journal | undefined {
    const path = join(folder, 'journal.db')
    if (!existsSync(path)) return undefined
    const database = new DatabaseSync(path, { readOnly: true })
    database.exec('PRAGMA busy_timeout=5000')
    return new Journal(database)
  }

  /** Whether a provider process works with a journal now. */
  static isInUse(folder: string): boolean {
    if (!existsSync(join(folder, 'journal.lock'))) return false
    const lock = new DatabaseSync(join(folder, 'journal.lock'), { readOnly: true })
    try {
      lock.exec('SELECT 1 FROM sqlite_master')
      return false
    } catch (error) {
      if (error instanceof Error && /locked|busy/.test(error.message)) return true
      throw error
    } finally {
      lock.close()
    }
  }

  close(): void {
    this.#database.close()
    this.#lock?.close()
    if (this.#log !== undefined) closeSync(this.#log)
    this.#log = undefined
  }

  /** Resolves when every step of a job that was written before is on the disk. Steps that were written meanwhile go with the next sync. */
  flush(): Promise<void> {
    if (!this.#hasUnsynced || !this.#hasSyncBegun) return this.#newestSync
    this.#hasSyncBegun = false
    this.#newestSync = this.#newestSync
      .catch(() => {})
      .then(() => {
        this.#hasSyncBegun = true
        this.#hasUnsynced = false
        return this.#sync()
      })
    return this.#newestSync
  }

  async #sync(): Promise<void> {
    // A journal that is closed was synced by that.
    if (!this.#database.isOpen || this.#logPath === undefined) return
    this.#log ??= openSync(this.#logPath, 'r+')
    try {
      await syncFile(this.#log)
    } catch (error) {
      if (!this.#database.isOpen) return
      this.#hasUnsynced = true
      throw error
    }
  }

  // Jobs

  findJob(orderHash: Bytes32): JournalJob | undefined {
    const row = this.#get(
      'SELECT order_hash, phase, attempts, accepted_at, decline_code, decline_reason FROM jobs WHERE order_hash = ?',
      orderHash,
    )
    return row && toJob(row)
  }

  /**
   * A job with its order and, once it has one, its receipt.
   * @throws RangeError for a job that was never accepted, or is forgotten
   */
  getAcceptedJob(orderHash: Bytes32): AcceptedJob {
    const row = this.#get('SELECT * FROM jobs WHERE order_hash = ?', orderHash)
    if (typeof row?.request !== 'string') throw new RangeError(`the journal has no accepted job ${orderHash}`)
    return {
      ...toJob(row),
      request: OrderRequest.parse(JSON.parse(row.request)),
      receiptHash: (row.receipt_hash as Bytes32 | null) ?? undefined,
      delivery: typeof row.delivery === 'string' ? Delivery.parse(JSON.parse(row.delivery)) : undefined,
    }
  }

  /** Jobs of a phase, oldest first; with `dueAfter` only those whose deadline is later. */
  listJobs(phase: JobPhase, options: { readonly dueAfter?: number } = {}): readonly Bytes32[] {
    const { dueAfter = 0 } = options
    return this.#all(
      'SELECT order_hash FROM jobs WHERE phase = ? AND COALESCE(deliver_by, 0) >= ? ORDER BY accepted_at, rowid',
      phase,
      dueAfter,
    ).map((row) => row.order_hash as Bytes32)
  }

  countJobs(): JournalTotals {
    const totals = { accepted: 0, finished: 0, delivered: 0, acknowledged: 0, closed: 0, declined: 0 }
    for (const row of this.#all('SELECT phase, count(*) AS jobs FROM jobs GROUP BY phase'))
      totals[row.phase as JobPhase] = Number(row.jobs)
    return totals
  }

  /** Newest jobs first, those that were turned down left out. */
  listRecentJobs(limit: number): readonly RecentJob[] {
    return this.#all(
      `SELECT order_hash, phase, price, max_price, accepted_at, attempts, module_version, json_extract(manifest, '$.name') AS module FROM jobs
       LEFT JOIN modules USING (module_version) WHERE phase <> 'declined' ORDER BY accepted_at DESC, jobs.rowid DESC LIMIT ?`,
      limit,
    ).map((row) => ({
      orderHash: row.order_hash as Bytes32,
      phase: row.phase as JobPhase,
      module: row.module === null ? undefined : String(row.module),
      price: row.price === null ? undefined : BigInt(String(row.price)),
      maxPrice: BigInt(String(row.max_price ?? 0)),
      acceptedAt: Number(row.accepted_at),
    }))
  }

  /** Every job that was acknowledged, one at a time: there may be many. */
  *readAcknowledged(): Generator<{
    readonly moduleVersion: Bytes32
    readonly module: string | undefined
    readonly price: bigint
    readonly acknowledgedAt: number
  }> {
    const names = new Map(
      this.#all("SELECT module_version, json_extract(manifest, '$.name') AS name FROM modules").map((row) => [
        row.module_version,
        String(row.name),
      ]),
    )
    const rows = this.#statement('SELECT module_version, price, acknowledged_at FROM acknowledgements').iterate()
    for (const row of rows)
      yield {
        moduleVersion: row.module_version as Bytes32,
        module: names.get(row.module_version as Bytes32),
        price: BigInt(String(row.price)),
        acknowledgedAt: Number(row.acknowledged_at),
      }
  }

  /** Whether another accepted order holds this nonce of the lane. */
  isNonceTaken(lane: Bytes32, nonce: number, orderHash: Bytes32): boolean {
    return (
      this.#get(
        "SELECT 1 FROM jobs WHERE lane_id = ? AND nonce = ? AND order_hash <> ? AND phase <> 'declined'",
        lane,
        nonce,
        orderHash,
      ) !== undefined
    )
  }

  /** Whether a job of the lane is queued or runs. */
  isLaneOpen(lane: Bytes32): boolean {
    return this.#get("SELECT 1 FROM jobs WHERE lane_id = ? AND phase = 'accepted' LIMIT 1", lane) !== undefined
  }

  /** Promises a job. From here on it is run, also after a crash, until it has a receipt. To be flushed before anybody is told. */
  accept(job: {
    readonly orderHash: Bytes32
    readonly request: OrderRequest
    readonly reservation: SignedReservation
    readonly reservationHash: Bytes32
    readonly now: number
  }): void {
    const { orderHash, request, reservation, reservationHash, now } = job
    const { order, grant } = request
    this.#step(() =>
      this.#transaction(() => {
        this.#run(
          `INSERT INTO jobs (order_hash, phase, lane_id, nonce, payer, key, token, solver, max_price, deliver_by, module_version, request, accepted_at)
         VALUES (?, 'accepted', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
          orderHash,
          laneId(order),
          order.nonce,
          order.payer,
          order.key,
          order.token,
          order.solver,
          order.maxPrice.toString(),
          order.deliverBy,
          order.moduleVersion,
          JSON.stringify(z.encode(OrderRequest, request)),
          now,
        )
        const { solver, payer, token, sequence } = reservation.reservation
        this.#run(
          'INSERT OR IGNORE INTO reservations (solver, payer, token, sequence, hash, signature) VALUES (?, ?, ?, ?, ?, ?)',
          solver,
          payer,
          token,
          sequence,
          reservationHash,
          reservation.signature,
        )
        this.claims.saveReservation(orderHash, reservation)
        if (grant) {
          const known = this.findGrant(grant.grant)
          if (known === undefined || known.grant.nonce < grant.grant.nonce) {
            this.#run(
              'INSERT OR REPLACE INTO grants (payer, key, token, grant_json) VALUES (?, ?, ?, ?)',
              grant.grant.payer,
              grant.grant.key,
              grant.grant.token,
              JSON.stringify(z.encode(SignedGrant, grant)),
            )
          }
        }
      }),
    )
  }

  /** Remembers that an order was turned down, so that it gets the same answer when it comes again. */
  decline(orderHash: Bytes32, declined: { readonly code: string; readonly reason: string }, now: number): void {
    this.#run(
      "INSERT OR IGNORE INTO jobs (order_hash, phase, decline_code, decline_reason, accepted_at) VALUES (?, 'declined', ?, ?, ?)",
      orderHash,
      declined.code,
      declined.reason,
      now,
    )
  }

  /** Counts one more run of an accepted job. `number` starts at 1; `firstStartedAt` is when the first run began. Undefined when no run is wanted any more. To be flushed before anybody is told. */
  startAttempt(
    orderHash: Bytes32,
    now: number,
  ): { readonly number: number; readonly firstStartedAt: number } | undefined {
    const row = this.#step(() =>
      this.#get(
        "UPDATE jobs SET attempts = attempts + 1, started_at = COALESCE(started_at, ?) WHERE order_hash = ? AND phase = 'accepted' RETURNING attempts, started_at",
        now,
        orderHash,
      ),
    )
    return row && { number: Number(row.attempts), firstStartedAt: Number(row.started_at) }
  }

  /** Keeps the one receipt of a job. Returns false when the job already has one, or is not wanted any more: then the new one must be thrown away. To be flushed before anybody sees it. */
  finish(orderHash: Bytes32, delivery: Delivery, receiptHash: Bytes32): boolean {
    const { changes } = this.#step(() =>
      this.#run(
        "UPDATE jobs SET phase = 'finished', delivery = ?, receipt_hash = ?, price = ? WHERE order_hash = ? AND phase = 'accepted'",
        JSON.stringify(z.encode(Delivery, delivery)),
        receiptHash,
        delivery.receipt.price.toString(),
        orderHash,
      ),
    )
    return changes === 1
  }

  /** The solver has receipt and outputs. A failed job has nothing left to wait for. */
  markDelivered(orderHash: Bytes32, options: { readonly isPayable: boolean }): void {
    this.#step(() =>
      this.#run(
        "UPDATE jobs SET phase = ? WHERE order_hash = ? AND phase = 'finished'",
        options.isPayable ? 'delivered' : 'closed',
        orderHash,
      ),
    )
  }

  /** Nobody waits for the job any more. An acknowledged job stays acknowledged. */
  closeJob(orderHash: Bytes32): void {
    this.#run(
      "UPDATE jobs SET phase = 'closed' WHERE order_hash = ? AND phase IN ('accepted', 'finished', 'delivered')",
      orderHash,
    )
  }

  /** The solver has given the job up. One that is delivered and has a price can still be claimed, so it stays. */
  expireJob(orderHash: Bytes32): void {
    this.#run(
      "UPDATE jobs SET phase = 'closed' WHERE order_hash = ? AND (phase IN ('accepted', 'finished') OR (phase = 'delivered' AND price = '0'))",
      orderHash,
    )
  }

  /**
   * Jobs whose files are still needed: not delivered, or delivered and not acknowledged, unless they were due before
   * `deliveredAfter` (Unix seconds): the solver has the files, and a requester that is silent for so long fetches nothing.
   */
  listJobsWithFiles(options: { readonly deliveredAfter: number }): readonly Bytes32[] {
    return this.#all(
      "SELECT order_hash FROM jobs WHERE phase IN ('accepted', 'finished') OR (phase = 'delivered' AND deliver_by >= ?)",
      options.deliveredAfter,
    ).map((row) => row.order_hash as Bytes32)
  }

  /** Digests of inputs and outputs of each of those jobs, one job at a time. */
  *listFilesInUse(options: {
    readonly deliveredAfter: number
  }): Generator<{ readonly orderHash: Bytes32; readonly digests: readonly Bytes32[] }> {
    for (const orderHash of this.listJobsWithFiles(options)) {
      const { request, delivery } = this.getAcceptedJob(orderHash)
      const inputs = listInputFiles(request.inputs).map(({ file }) => file.sha256)
      yield {
        orderHash,
        digests: [...inputs, ...(delivery?.manifest.predicate.outputs ?? []).map((file) => file.sha256)],
      }
    }
  }

  /**
   * Forgets jobs from before a time (Unix seconds) that nobody owes anything for: those that were turned down, failed or expired as a whole,
   * of those that the chain has paid order and receipt. What they earned, their vouchers and their claims stay.
   * @returns how many, at most `limit` of each kind
   */
  prune(options: { readonly acceptedBefore: number; readonly limit: number }): number {
    const { acceptedBefore, limit } = options
    const paid = this.#all(
      `SELECT jobs.order_hash FROM jobs JOIN acknowledgements USING (order_hash) JOIN lanes ON lanes.lane_id = acknowledgements.lane_id
       WHERE jobs.request IS NOT NULL AND jobs.accepted_at < ? AND jobs.phase = 'acknowledged' AND position <= settled_jobs
       AND jobs.order_hash NOT IN (SELECT order_hash FROM claims) LIMIT ?`,
      acceptedBefore,
      limit,
    )
    const unpayable = this.#all(
      `SELECT order_hash FROM jobs WHERE phase IN ('closed', 'declined') AND accepted_at < ? AND COALESCE(price, '0') = '0'
       AND order_hash NOT IN (SELECT order_hash FROM claims) AND order_hash NOT IN (SELECT order_hash FROM acknowledgements) LIMIT ?`,
      acceptedBefore,
      limit,
    )
    this.#transaction(() => {
      for (const { order_hash } of [...paid, ...unpayable])
        this.#run('DELETE FROM job_reservations WHERE order_hash = ?', order_hash ?? null)
      for (const { order_hash } of unpayable) this.#run('DELETE FROM steps WHERE order_hash = ?', order_hash ?? null)
      for (const { order_hash } of paid)
        this.#run('UPDATE jobs SET request = NULL, delivery = NULL WHERE order_hash = ?', order_hash ?? null)
      for (const { order_hash } of unpayable) this.#run('DELETE FROM jobs WHERE order_hash = ?', order_hash ?? null)
    })
    return paid.length + unpayable.length
  }

  // Reservations and grants

  findReservationHash(of: {
    readonly solver: Address
    readonly payer: Address
    readonly token: Address
    readonly sequence: number
  }): Bytes32 | undefined {
    const row = this.#get(
      'SELECT hash FROM reservations WHERE solver = ? AND payer = ? AND token = ? AND sequence = ?',
      of.solver,
      of.payer,
      of.token,
      of.sequence,
    )
    return row?.hash as Bytes32 | undefined
  }

  findGrant(of: { readonly payer: Address; readonly key: Address; readonly token: Address }): SignedGrant | undefined {
    const row = this.#get(
      'SELECT grant_json FROM grants WHERE payer = ? AND key = ? AND token = ?',
      of.payer,
      of.key,
      of.token,
    )
    return row && SignedGrant.parse(JSON.parse(String(row.grant_json)))
  }

  /**
   * What a payer, a key or the payers of a solver may owe this provider beyond what the chain has: open jobs at their most, acknowledged
   * ones at their price. Jobs that were not acknowledged a day after they were due do not count, nor do those whose claim holds the money.
   */
  sumExposure(of: {
    readonly token: Address
    readonly payer?: Address
    readonly key?: Address
    readonly solver?: Address
    readonly now: number
  }): bigint {
    const { now, ...parties } = of
    const named = Object.entries(parties)
    const isOf = named.map(([column]) => `${column} = ?`).join(' AND ')
    const values = named.map(([, value]) => value)
    const jobs = this.#all(
      `SELECT max_price, price FROM jobs WHERE ${isOf} AND phase IN ('accepted', 'finished', 'delivered') AND deliver_by > ?
       AND order_hash NOT IN (SELECT order_hash FROM claims WHERE state IN ('claimed', 'disputed', 'withdrawn'))`,
      ...values,
      now - 86_400,
    )
    const lanes = this.#all(
      `SELECT cumulative_amount, settled_amount FROM lanes WHERE ${isOf} AND jobs > settled_jobs`,
      ...values,
    )
    const open = jobs.reduce((sum, row) => sum + BigInt(String(row.price ?? row.max_price)), 0n)
    return lanes.reduce(
      (sum, row) => sum + BigInt(String(row.cumulative_amount)) - BigInt(String(row.settled_amount)),
      open,
    )
  }

  /** Seconds that jobs of a payer, accepted at or after `since` (Unix seconds), ran without getting a price: they failed or were cancelled. */
  sumUnpaidSeconds(of: { readonly payer: Address; readonly since: number }): number {
    const row = this.#get(
      `SELECT COALESCE(sum(json_extract(delivery, '$.receipt.meteredSeconds')), 0) AS seconds FROM jobs
       WHERE payer = ? AND accepted_at >= ? AND price = '0' AND json_extract(delivery, '$.receipt.status') <> 0`,
      of.payer,
      of.since,
    )
    return Number(row?.seconds)
  }

  // Lanes

  findLane(id: Bytes32): JournalLane | undefined {
    const row = this.#get(`${selectLanes} WHERE lanes.lane_id = ?`, id)
    return row && toLane(row)
  }

  /** Lanes with vouchers that the chain does not have, and those whose settlement is younger than `recheckSince`. */
  listLanesToSettle(recheckSince: number): readonly JournalLane[] {
    return this.#all(`${selectLanes} WHERE lanes.jobs > lanes.settled_jobs OR lanes.settled_at > ?`, recheckSince).map(
      toLane,
    )
  }

  /** Acknowledged jobs that the chain does not have, as of the last look. */
  countUnsettled(): number {
    return Number(
      this.#get('SELECT COALESCE(sum(jobs - settled_jobs), 0) AS jobs FROM lanes WHERE jobs > settled_jobs')?.jobs ?? 0,
    )
  }

  listLanesOf(of: { readonly payer: Address; readonly token: Address }): readonly JournalLane[] {
    return this.#all(`${selectLanes} WHERE lanes.payer = ? AND lanes.token = ?`, of.payer, of.token).map(toLane)
  }

  listLanes(): readonly JournalLane[] {
    return this.#all(selectLanes).map(toLane)
  }

  /** Records of a lane after the first `from` jobs, at most `limit`, in order. */
  listEntries(id: Bytes32, options: { readonly from: number; readonly limit: number }): readonly LaneEntry[] {
    return this.#all(
      'SELECT * FROM acknowledgements WHERE lane_id = ? AND position > ? ORDER BY position LIMIT ?',
      id,
      options.from,
      options.limit,
    ).map((row) => ({
      index: Number(row.position),
      record: {
        orderHash: row.order_hash as Bytes32,
        receiptHash: row.receipt_hash as Bytes32,
        moduleVersion: row.module_version as Bytes32,
        price: BigInt(String(row.price)),
        nonce: Number(row.nonce),
      },
      recordsHash: row.records_hash as Bytes32,
      acknowledgement: toVoucher(row, this.#requireLane(id)),
    }))
  }

  /** Running hash of a lane after this many jobs; undefined when the journal does not go so far. */
  findRecordsHash(id: Bytes32, jobs: number): Bytes32 | undefined {
    if (jobs === 0) return zeroBytes32
    return this.#get('SELECT records_hash FROM acknowledgements WHERE lane_id = ? AND position = ?', id, jobs)
      ?.records_hash as Bytes32 | undefined
  }

  isAcknowledged(orderHash: Bytes32): boolean {
    return this.#get('SELECT 1 FROM acknowledgements WHERE order_hash = ?', orderHash) !== undefined
  }

  /** Keeps the newest voucher that ends in a step. To be flushed before it counts. */
  saveStep(acknowledged: StepAcknowledgement): void {
    this.#step(() => this.steps.save(acknowledged))
  }

  /**
   * Keeps the next voucher of a lane, whose last record is a receipt or, with `isStep`, a step. The caller has verified it against
   * {@link findLane}, and flushes before it confirms.
   */
  acknowledge(entry: {
    readonly acknowledgement: SignedVoucher
    readonly record: JobRecord
    readonly now: number
    readonly isStep?: boolean
  }): void {
    const { acknowledgement, record, now, isStep = false } = entry
    const { voucher, signature } = acknowledgement
    const id = laneId(voucher)
    this.#step(() =>
      this.#transaction(() => {
        this.#run(
          'INSERT OR IGNORE INTO lanes (lane_id, payer, key, provider, solver, token, lane) VALUES (?, ?, ?, ?, ?, ?, ?)',
          id,
          voucher.payer,
          voucher.key,
          voucher.provider,
          voucher.solver,
          voucher.token,
          voucher.lane,
        )
        this.#run(
          `INSERT INTO acknowledgements (lane_id, position, order_hash, receipt_hash, module_version, price, nonce, cumulative_amount, records_hash, signature, acknowledged_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
          id,
          voucher.jobs,
          record.orderHash,
          record.receiptHash,
          record.moduleVersion,
          record.price.toString(),
          record.nonce,
          voucher.cumulativeAmount.toString(),
          voucher.recordsHash,
          signature,
          now,
        )
        const { changes } = this.#run(
          'UPDATE lanes SET jobs = ?, cumulative_amount = ?, records_hash = ? WHERE lane_id = ? AND jobs = ?',
          voucher.jobs,
          voucher.cumulativeAmount.toString(),
          voucher.recordsHash,
          id,
          voucher.jobs - 1,
        )
        if (changes !== 1) throw new RangeError(`voucher ${voucher.jobs} is not the next of lane ${id}`)
        this.#run("UPDATE jobs SET phase = 'acknowledged' WHERE order_hash = ?", record.orderHash)
        if (isStep) this.steps.markTaken(record.orderHash)
        else this.steps.forget(record.orderHash)
      }),
    )
  }

  /** Notes what the chain says of a lane. It may say less than before, after a reorganisation. */
  noteSettled(
    id: Bytes32,
    chain: { readonly settledJobs: number; readonly settledAmount: bigint; readonly now: number },
  ): void {
    this.#run(
      `UPDATE lanes SET settled_at = CASE WHEN settled_jobs <> ? THEN ? ELSE settled_at END, settled_jobs = ?, settled_amount = ?, checked_at = ? WHERE lane_id = ?`,
      chain.settledJobs,
      chain.now,
      chain.settledJobs,
      chain.settledAmount.toString(),
      chain.now,
      id,
    )
  }

  // Settlement transactions, for the operator's eyes: decisions are made from the chain alone.

  noteSettlement(settlement: {
    readonly transaction: Bytes32
    readonly lanes: number
    readonly jobs: number
    readonly now: number
  }): void {
    this.#run(
      'INSERT OR IGNORE INTO settlements (transaction_hash, lanes, jobs, sent_at) VALUES (?, ?, ?, ?)',
      settlement.transaction,
      settlement.lanes,
      settlement.jobs,
      settlement.now,
    )
  }

  noteSettlementBlock(transaction: Bytes32, blockNumber: number): void {
    this.#run('UPDATE settlements SET block_number = ? WHERE transaction_hash = ?', blockNumber, transaction)
  }

  listSettlements(limit: number): readonly {
    readonly transaction: Bytes32
    readonly lanes: number
    readonly jobs: number
    readonly sentAt: number
    readonly blockNumber: number | undefined
  }[] {
    return this.#all('SELECT * FROM settlements ORDER BY sent_at DESC, rowid DESC LIMIT ?', limit).map((row) => ({
      transaction: row.transaction_hash as Bytes32,
      lanes: Number(row.lanes),
      jobs: Number(row.jobs),
      sentAt: Number(row.sent_at),
      blockNumber: row.block_number === null ? undefined : Number(row.block_number),
    }))
  }

  // Guardians that do not consent

  /** Since when the guardian of a lane's payer has not consented; from now on if it was not noted before. */
  noteUnapproved(id: Bytes32, now: number): number {
    this.#run('INSERT OR IGNORE INTO unapproved_lanes (lane_id, since) VALUES (?, ?)', id, now)
    return Number(this.#get('SELECT since FROM unapproved_lanes WHERE lane_id = ?', id)?.since ?? now)
  }

  /** The guardian has consented, or the lane is paid without it. */
  forgetUnapproved(id: Bytes32): void {
    this.#run('DELETE FROM unapproved_lanes WHERE lane_id = ?', id)
  }

  /** Keeps what is going to be announced of a lane that has `settledJobs` settled. */
  saveAnnouncement(id: Bytes32, announcement: Announcement): void {
    this.#run(
      'UPDATE unapproved_lanes SET settled_jobs = ?, settlement = ? WHERE lane_id = ?',
      announcement.settledJobs,
      JSON.stringify(announcement.settlement),
      id,
    )
  }

  findAnnouncement(id: Bytes32): Announcement | undefined {
    const row = this.#get('SELECT settled_jobs, settlement FROM unapproved_lanes WHERE lane_id = ?', id)
    if (typeof row?.settlement !== 'string') return undefined
    return {
      settledJobs: Number(row.settled_jobs),
      settlement: SettlementLanes.parse(JSON.parse(row.settlement)),
    }
  }

  // Modules

  saveModule(moduleVersion: Bytes32, manifest: ModuleManifest): void {
    this.#run(
      'INSERT OR REPLACE INTO modules (module_version, manifest) VALUES (?, ?)',
      moduleVersion,
      JSON.stringify(z.encode(ModuleManifest, manifest)),
    )
  }

  findModule(moduleVersion: Bytes32): ModuleManifest | undefined {
    const row = this.#get('SELECT manifest FROM modules WHERE module_version = ?', moduleVersion)
    return row && ModuleManifest.parse(JSON.parse(String(row.manifest)))
  }

  listModules(): readonly { readonly moduleVersion: Bytes32; readonly manifest: ModuleManifest }[] {
    return this.#all('SELECT module_version, manifest FROM modules').map((row) => ({
      moduleVersion: row.module_version as Bytes32,
      manifest: ModuleManifest.parse(JSON.parse(String(row.manifest))),
    }))
  }

  #requireLane(id: Bytes32): JournalLane {
    const lane = this.findLane(id)
    if (lane === undefined) throw new RangeError(`the journal has no lane ${id}`)
    return lane
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql)
    if (known) return known
    const statement = this.#database.prepare(sql)
    this.#statements.set(sql, statement)
    return statement
  }

  #get(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#statement(sql).get(...values) as Row | undefined
  }

  #all(sql: string, ...values: SQLInputValue[]): readonly Row[] {
    return this.#statement(sql).all(...values) as Row[]
  }

  #run(sql: string, ...values: SQLInputValue[]): { readonly changes: number | bigint } {
    return this.#statement(sql).run(...values)
  }

  /** Writes without waiting for the disk. */
  #step<T>(write: () => T): T {
    this.#database.exec('PRAGMA synchronous=NORMAL')
    try {
      return write()
    } finally {
      this.#hasUnsynced = true
      this.#database.exec('PRAGMA synchronous=FULL')
    }
  }

  #transaction(write: () => void): void {
    this.#database.exec('BEGIN IMMEDIATE')
    try {
      write()
      this.#database.exec('COMMIT')
    } catch (error) {
      this.#database.exec('ROLLBACK')
      throw error
    }
  }
}

const selectLanes = `SELECT lanes.*, (SELECT acknowledged_at FROM acknowledgements WHERE acknowledgements.lane_id = lanes.lane_id AND position = lanes.settled_jobs + 1) AS oldest_unsettled_at FROM lanes`

function toJob(row: Row): JournalJob {
  return {
    orderHash: row.order_hash as Bytes32,
    phase: row.phase as JobPhase,
    attempts: Number(row.attempts),
    acceptedAt: Number(row.accepted_at),
    declined:
      typeof row.decline_code === 'string' ? { code: row.decline_code, reason: String(row.decline_reason) } : undefined,
  }
}

function toLane(row: Row): JournalLane {
  return {
    laneId: row.lane_id as Bytes32,
    payer: row.payer as Address,
    key: row.key as Address,
    provider: row.provider as Address,
    solver: row.solver as Address,
    token: row.token as Address,
    lane: Number(row.lane),
    jobs: Number(row.jobs),
    cumulativeAmount: BigInt(String(row.cumulative_amount)),
    recordsHash: row.records_hash as Bytes32,
    settledJobs: Number(row.settled_jobs),
    settledAmount: BigInt(String(row.settled_amount)),
    oldestUnsettledAt: row.oldest_unsettled_at === null ? undefined : Number(row.oldest_unsettled_at),
    checkedAt: Number(row.checked_at),
  }
}

function toVoucher(row: Row, lane: Lane): SignedVoucher {
  const { payer, key, provider, solver, token } = lane
  return {
    voucher: {
      payer,
      key,
      provider,
      solver,
      token,
      lane: lane.lane,
      cumulativeAmount: BigInt(String(row.cumulative_amount)),
      jobs: Number(row.position),
      recordsHash: row.records_hash as Bytes32,
    },
    signature: row.signature as Bytes32,
  }
}
