import { and, eq, getTableColumns, sql } from 'drizzle-orm'
import { type Bytes32, canMove, type JobEvent, type JobState, LilypadError } from '@lilypad-agents/protocol'
import { type SolverContext, nowSeconds } from '../context.ts'
import type { Database, Transaction } from '../db/open-database.ts'
import { jobEvents, jobs, ledgers, reservations } from '../db/schema.ts'

// The request can hold a megabyte of inputs, so it is read only where it is needed.
const { request: _, ...lightColumns } = getTableColumns(jobs)

/** A job as the database has it, without its request. */
export type JobRow = Omit<typeof jobs.$inferSelect, 'request'>
type Patch = Partial<typeof jobs.$inferInsert>
type EventBody = JobEvent extends infer Event ? (Event extends JobEvent ? Omit<Event, 'sequence'> : never) : never

/** There is no such job, or it is not the caller's: the answer is the same, so that nobody can probe for jobs. */
export class JobUnknownError extends LilypadError {
  override readonly name = 'JobUnknownError'
  constructor() {
    super('JOB_UNKNOWN', 'There is no such job for this caller.', {
      hint: 'check the order hash, and sign the access with the key of the order, its payer or its provider',
    })
  }
}

/** What is asked for does not fit the state the job is in. */
export class StateConflictError extends LilypadError {
  override readonly name = 'StateConflictError'
  constructor(orderHash: Bytes32, from: JobState, to: string) {
    super('STATE_CONFLICT', `A job that is ${from} cannot become ${to}.`, { details: [`Job: ${orderHash}`] })
  }
}

/** One job, or undefined. */
export async function findJob(database: Database | Transaction, orderHash: Bytes32): Promise<JobRow | undefined> {
  const [job] = await database.select(lightColumns).from(jobs).where(eq(jobs.orderHash, orderHash))
  return job
}

/** Jobs for which a condition holds. */
export function selectJobs(database: Database | Transaction) {
  return database.select(lightColumns).from(jobs)
}

/** The request of a job, as it came. */
export async function getRequestText(database: Database | Transaction, orderHash: Bytes32): Promise<string> {
  const [row] = await database.select({ request: jobs.request }).from(jobs).where(eq(jobs.orderHash, orderHash))
  if (!row) throw new JobUnknownError()
  return row.request
}

/**
 * Changes one job while nobody else can: its row is locked, all changes commit together, then those who wait for its events are woken.
 * @throws {@link JobUnknownError}
 */
export async function changeJob<T>(
  context: Pick<SolverContext, 'database' | 'signals'>,
  orderHash: Bytes32,
  change: (transaction: Transaction, job: JobRow) => Promise<T>,
): Promise<T> {
  const { result, hasEvents } = await context.database.transaction(async (transaction) => {
    const [job] = await transaction.select(lightColumns).from(jobs).where(eq(jobs.orderHash, orderHash)).for('update')
    if (!job) throw new JobUnknownError()
    const result = await change(transaction, job)
    return { result, hasEvents: withEvents.has(transaction) }
  })
  if (hasEvents) context.signals.notify(orderHash)
  return result
}

/** Changes members of a job that are not its state. */
export async function patchJob(transaction: Transaction, job: JobRow, patch: Patch): Promise<JobRow> {
  await transaction.update(jobs).set(patch).where(eq(jobs.orderHash, job.orderHash))
  return { ...job, ...patch } as JobRow
}

/**
 * Moves a job along the table of allowed moves, with its event, and frees its money where the new state says so.
 * @throws {@link StateConflictError} for a move that is not in the table
 */
export async function moveJob(
  transaction: Transaction,
  context: Pick<SolverContext, 'clock'>,
  job: JobRow,
  to: JobState,
  patch: Patch = {},
): Promise<JobRow> {
  if (!canMove(job.state, to)) throw new StateConflictError(job.orderHash, job.state, to)
  const at = nowSeconds(context)
  const eventSequence = job.eventSequence + 1
  withEvents.add(transaction)
  await transaction.insert(jobEvents).values(toEventRow(job.orderHash, eventSequence, { type: 'state', state: to, at }))
  const moved = await patchJob(transaction, job, { ...patch, state: to, eventSequence, updatedAt: at })
  if (to === 'settled' || to === 'declined' || to === 'expired' || to === 'failed' || to === 'refunded') {
    await holdAmount(transaction, moved, 0n, at)
  }
  return moved
}

/** Transactions that have written events, so that only those wake the ones who wait. */
const withEvents = new WeakSet<Transaction>()

/** Appends an event that is no change of state. */
export async function addJobEvent(
  transaction: Transaction,
  job: JobRow,
  event: EventBody,
  patch: Patch = {},
): Promise<JobRow> {
  const eventSequence = job.eventSequence + 1
  withEvents.add(transaction)
  await transaction.insert(jobEvents).values(toEventRow(job.orderHash, eventSequence, event))
  return patchJob(transaction, job, { ...patch, eventSequence })
}

/** Row of an event. */
export function toEventRow(orderHash: Bytes32, sequence: number, event: EventBody): typeof jobEvents.$inferInsert {
  return { orderHash, sequence, event: JSON.stringify(event) }
}

/** Sets what a job's reservation still counts against its payer. */
export async function holdAmount(transaction: Transaction, job: JobRow, amount: bigint, at: number): Promise<void> {
  const ledger = and(eq(ledgers.payer, job.payer), eq(ledgers.token, job.token))
  // The ledger is locked before the reservation is read, in the same order as a new order does.
  await transaction.select({ sequence: ledgers.sequence }).from(ledgers).where(ledger).for('update')
  const [reservation] = await transaction.select().from(reservations).where(eq(reservations.orderHash, job.orderHash))
  if (!reservation || reservation.held === amount) return
  await transaction
    .update(reservations)
    .set({ held: amount, releasedAt: amount === 0n ? at : null })
    .where(eq(reservations.orderHash, job.orderHash))
  const difference = (amount - reservation.held).toString()
  await transaction
    .update(ledgers)
    .set({ outstanding: sql`${ledgers.outstanding} + ${difference}::numeric` })
    .where(ledger)
}
