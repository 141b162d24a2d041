import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import { type Bytes32, StepAcknowledgement } from '@lilypad-agents/protocol'
import { z } from 'zod'

/** The part of the journal about jobs that are paid in steps while they stream: of each job the newest step that was acknowledged. */
export class StepLedger {
  readonly #database: DatabaseSync

  constructor(database: DatabaseSync) {
    this.#database = database
  }

  find(orderHash: Bytes32): StepAcknowledgement | undefined {
    const [row] = this.#all('SELECT acknowledged FROM steps WHERE order_hash = ?', orderHash)
    return row && StepAcknowledgement.parse(JSON.parse(String(row.acknowledged)))
  }

  /** Keeps a step that costs more than the one before. The caller has verified it. */
  save(acknowledged: StepAcknowledgement): void {
    const { orderHash, price } = acknowledged.step.step
    this.#database
      .prepare(
        'INSERT INTO steps (order_hash, price, acknowledged) VALUES (?, ?, ?) ON CONFLICT (order_hash) DO UPDATE SET price = excluded.price, acknowledged = excluded.acknowledged',
      )
      .run(orderHash, price.toString(), JSON.stringify(z.encode(StepAcknowledgement, acknowledged)))
  }

  /** Jobs that are over without a receipt that will be paid, and of which a step was acknowledged. What a claim decides is not among them. */
  listOver(): readonly Bytes32[] {
    return this.#all(
      `SELECT order_hash FROM steps JOIN jobs USING (order_hash) LEFT JOIN claims USING (order_hash)
       WHERE phase = 'closed' AND COALESCE(claims.state, 'missed') = 'missed' AND is_void = 0`,
    ).map((row) => row.order_hash as Bytes32)
  }

  /** The step is what is paid of its job: a receipt that is acknowledged later is not. */
  markTaken(orderHash: Bytes32): void {
    this.#database.prepare('UPDATE steps SET is_taken = 1 WHERE order_hash = ?').run(orderHash)
  }

  /** The receipt is what is paid. */
  forget(orderHash: Bytes32): void {
    this.#database.prepare('DELETE FROM steps WHERE order_hash = ?').run(orderHash)
  }

  /** Its voucher does not follow from what the lane has come to, so nothing can be had by it. */
  markVoid(orderHash: Bytes32): void {
    this.#database.prepare('UPDATE steps SET is_void = 1 WHERE order_hash = ?').run(orderHash)
  }

  /** Whether a job of this lane was paid by a step: its requester may have signed a receipt in its place, on which nothing can follow. */
  isLaneTaken(laneId: Bytes32): boolean {
    const found = this.#all(
      'SELECT 1 FROM steps JOIN jobs USING (order_hash) WHERE is_taken = 1 AND lane_id = ? LIMIT 1',
      laneId,
    )
    return found.length > 0
  }

  #all(sql: string, ...values: SQLInputValue[]): readonly Record<string, SQLInputValue>[] {
    return this.#database.prepare(sql).all(...values) as Record<string, SQLInputValue>[]
  }
}
