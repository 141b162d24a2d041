import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import { type Bytes32, SignedReservation, SignedVoucher } from '@lilypad-agents/protocol'
import { z } from 'zod'

/**
 * Where a claim stands. `claiming`: to be sent or sent. `claimed`, `disputed`: seen on chain. `withdrawing`: a voucher has come and waits
 * until the claim is taken back. The others are final; `missed` was not claimed in time.
 */
export type ClaimState =
  | 'claiming'
  | 'claimed'
  | 'disputed'
  | 'withdrawing'
  | 'paid'
  | 'refunded'
  | 'withdrawn'
  | 'missed'

/** A claim as the journal knows it. */
export type JournalClaim = {
  readonly orderHash: Bytes32
  readonly state: ClaimState
  readonly price: bigint
  /** Voucher that waits for the claim to be withdrawn. */
  readonly acknowledgement: SignedVoucher | undefined
  readonly finalizableAt: number | undefined
  readonly updatedAt: number
}

/** A delivered job that nobody has acknowledged. */
export type UnpaidJob = {
  readonly orderHash: Bytes32
  readonly price: bigint
  readonly deliverBy: number
  readonly finishedAt: number
  /** What can be had without a claim: the last step that was acknowledged. */
  readonly stepPrice: bigint
}

export type ClaimTotals = { readonly jobs: number; readonly amount: bigint }

type Row = Record<string, SQLInputValue>

const openStates = "('claiming', 'claimed', 'disputed', 'withdrawing')"
const selectClaims = 'SELECT claims.*, jobs.price FROM claims JOIN jobs USING (order_hash)'

/** The part of the journal about jobs that are claimed because nobody acknowledged them. */
export class ClaimLedger {
  readonly #database: DatabaseSync

  constructor(database: DatabaseSync) {
    this.#database = database
  }

  /** Delivered jobs with a price and neither voucher nor claim, the earliest deadline first. */
  listUnpaid(): readonly UnpaidJob[] {
    if (!this.#hasTables('claims', 'steps')) return []
    return this.#all(
      `SELECT order_hash, jobs.price, deliver_by, steps.price AS step_price, json_extract(delivery, '$.receipt.finishedAt') AS finished_at
       FROM jobs LEFT JOIN steps USING (order_hash)
       WHERE phase = 'delivered' AND jobs.price <> '0' AND order_hash NOT IN (SELECT order_hash FROM claims) ORDER BY deliver_by`,
    ).map((row) => ({
      orderHash: row.order_hash as Bytes32,
      price: BigInt(String(row.price)),
      deliverBy: Number(row.deliver_by),
      finishedAt: Number(row.finished_at ?? 0),
      stepPrice: BigInt(String(row.step_price ?? 0)),
    }))
  }

  listOpen(): readonly JournalClaim[] {
    return this.#all(`${selectClaims} WHERE claims.state IN ${openStates} ORDER BY claims.rowid`).map(toClaim)
  }

  find(orderHash: Bytes32): JournalClaim | undefined {
    const [row] = this.#all(`${selectClaims} WHERE claims.order_hash = ?`, orderHash)
    return row && toClaim(row)
  }

  /** The job of this lane whose voucher waits for its claim to be withdrawn. */
  findWithdrawal(laneId: Bytes32): JournalClaim | undefined {
    const [row] = this.#all(`${selectClaims} WHERE claims.state = 'withdrawing' AND jobs.lane_id = ?`, laneId)
    return row && toClaim(row)
  }

  /** Whether a job of this lane was acknowledged too late: its voucher cannot be settled any more, nor any that builds on it. */
  isLaneBroken(laneId: Bytes32): boolean {
    const found = this.#all(
      "SELECT 1 FROM claims JOIN jobs USING (order_hash) WHERE jobs.lane_id = ? AND claims.acknowledgement IS NOT NULL AND claims.state IN ('paid', 'refunded')",
      laneId,
    )
    return found.length > 0
  }

  /** Promises to claim a job; from here on no voucher is taken for it without the claim's end. False when one came before. */
  start(orderHash: Bytes32, now: number): boolean {
    const { changes } = this.#run(
      `INSERT OR IGNORE INTO claims (order_hash, state, updated_at) SELECT order_hash, 'claiming', ? FROM jobs WHERE order_hash = ? AND phase = 'delivered'`,
      now,
      orderHash,
    )
    return changes === 1
  }

  /** The claim did not come on chain: the job can be claimed again. */
  forget(orderHash: Bytes32): void {
    this.#run(`DELETE FROM claims WHERE order_hash = ? AND state IN ${openStates}`, orderHash)
  }

  /** Notes what the chain says of an open claim. A voucher that waits stays. */
  note(
    orderHash: Bytes32,
    claim: { readonly state: 'claimed' | 'disputed'; readonly finalizableAt: number },
    now: number,
  ): void {
    this.#run(
      `UPDATE claims SET state = CASE WHEN state = 'withdrawing' THEN state ELSE ? END, finalizable_at = ?, updated_at = ? WHERE order_hash = ? AND state IN ${openStates}`,
      claim.state,
      claim.finalizableAt,
      now,
      orderHash,
    )
  }

  /** Keeps the voucher of a claimed job until the claim is withdrawn. */
  keepAcknowledgement(orderHash: Bytes32, acknowledgement: SignedVoucher, now: number): void {
    this.#run(
      `UPDATE claims SET state = 'withdrawing', acknowledgement = ?, updated_at = ? WHERE order_hash = ? AND state IN ${openStates}`,
      JSON.stringify(z.encode(SignedVoucher, acknowledgement)),
      now,
      orderHash,
    )
  }

  /** Ends a claim. A job that was paid, refunded or missed is closed; one whose claim was withdrawn waits for its voucher. */
  end(orderHash: Bytes32, state: 'paid' | 'refunded' | 'withdrawn' | 'missed', now: number): void {
    this.#database.exec('BEGIN IMMEDIATE')
    try {
      this.#run(
        `INSERT INTO claims (order_hash, state, updated_at) VALUES (?, ?, ?)
         ON CONFLICT (order_hash) DO UPDATE SET state = excluded.state, updated_at = excluded.updated_at`,
        orderHash,
        state,
        now,
      )
      if (state !== 'withdrawn')
        this.#run("UPDATE jobs SET phase = 'closed' WHERE order_hash = ? AND phase = 'delivered'", orderHash)
      this.#database.exec('COMMIT')
    } catch (error) {
      this.#database.exec('ROLLBACK')
      throw error
    }
  }

  /** Jobs and prices of all claims, by state. */
  sum(): { readonly [state in ClaimState]?: ClaimTotals } {
    if (!this.#hasTables('claims')) return {}
    const totals: { [state in ClaimState]?: ClaimTotals } = {}
    for (const row of this.#all(selectClaims)) {
      const { state, price } = toClaim(row)
      const { jobs, amount } = totals[state] ?? { jobs: 0, amount: 0n }
      totals[state] = { jobs: jobs + 1, amount: amount + price }
    }
    return totals
  }

  saveReservation(orderHash: Bytes32, reservation: SignedReservation): void {
    this.#run(
      'INSERT OR IGNORE INTO job_reservations (order_hash, reservation) VALUES (?, ?)',
      orderHash,
      JSON.stringify(z.encode(SignedReservation, reservation)),
    )
  }

  /** The solver's reservation of a job; undefined for one that an older version of this program accepted. */
  findReservation(orderHash: Bytes32): SignedReservation | undefined {
    const [row] = this.#all('SELECT reservation FROM job_reservations WHERE order_hash = ?', orderHash)
    return row && SignedReservation.parse(JSON.parse(String(row.reservation)))
  }

  /** A journal that an older version wrote may be looked into before this one has opened it. */
  #hasTables(...names: readonly string[]): boolean {
    return names.every((name) => this.#all('SELECT 1 FROM sqlite_master WHERE name = ?', name).length > 0)
  }

  #all(sql: string, ...values: SQLInputValue[]): readonly Row[] {
    return this.#database.prepare(sql).all(...values) as Row[]
  }

  #run(sql: string, ...values: SQLInputValue[]): { readonly changes: number | bigint } {
    return this.#database.prepare(sql).run(...values)
  }
}

function toClaim(row: Row): JournalClaim {
  return {
    orderHash: row.order_hash as Bytes32,
    state: row.state as ClaimState,
    price: BigInt(String(row.price ?? 0)),
    acknowledgement:
      typeof row.acknowledgement === 'string' ? SignedVoucher.parse(JSON.parse(row.acknowledgement)) : undefined,
    finalizableAt: row.finalizable_at === null ? undefined : Number(row.finalizable_at),
    updatedAt: Number(row.updated_at),
  }
}
