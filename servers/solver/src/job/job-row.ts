import { and, eq, getTableColumns, sql, type WithSubquery } from 'drizzle-orm'
import {
  type Bytes32,
  canMove,
  type JobEvent,
  type JobState,
  LilypadError,
  OrderRequest,
} from '@lilypad-agents/protocol'
import { type SolverContext, nowSeconds } from '../context.ts'
import type { Database, Transaction } from '../db/open-database.ts'
import { jobEvents, jobs, ledgers, reservations } from '../db/schema.ts'

// The request can hold a megabyte of inputs, so it is read only where it is needed.
const { request: _, ...columns } = getTableColumns(jobs)
export const lightColumns = columns

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

/** One job, or undefined: as of now or, in a busy moment, just before. Changes decide on the row that {@link changeJob} locks. */
export async function findJob(
  { database, memory }: Pick<SolverContext, 'database' | 'memory'>,
  orderHash: Bytes32,
): Promise<JobRow | undefined> {
  return memory.read(orderHash, () => selectJob(database, orderHash))
}

/** One job as the database has it, or undefined. */
export async function selectJob(database: Database | Transaction, orderHash: Bytes32): Promise<JobRow | undefined> {
  const [job] = await database.select(lightColumns).from(jobs).where(eq(jobs.orderHash, orderHash))
  return job
}

/** Jobs for which a condition holds. */
export function selectJobs(database: Database | Transaction) {
  return database.select(lightColumns).from(jobs)
}

/**
 * The request of a job, as it came.
 * @throws {@link JobUnknownError}
 */
export async function getRequest(
  { memory }: Pick<SolverContext, 'memory'>,
  database: Database | Transaction,
  orderHash: Bytes32,
): Promise<OrderRequest> {
  const load = async () => {
    const [row] = await database.select({ request: jobs.request }).from(jobs).where(eq(jobs.orderHash, orderHash))
    if (!row) throw new JobUnknownError()
    return row.request
  }
  return memory.readRequest(orderHash, load, (text) => OrderRequest.parse(JSON.parse(text)))
}

/**
 * Changes one job while nobody else can: its row is locked, all changes commit together, then those who wait for its events are woken.
 * @throws {@link JobUnknownError}
 */
export async function changeJob<T>(
  context: Pick<SolverContext, 'database' | 'signals' | 'memory'>,
  orderHash: Bytes32,
  change: (transaction: Transaction, job: JobRow) => Promise<T>,
): Promise<T> {
  const end = context.memory.change(orderHash)
  try {
    const { result, job, hasEvents } = await context.database.transaction(async (transaction) => {
      const [job] = await transaction.select(lightColumns).from(jobs).where(eq(jobs.orderHash, orderHash)).for('update')
      if (!job) throw new JobUnknownError()
      const result = await change(transaction, job)
      return { result, job: patched.get(transaction) ?? job, hasEvents: withEvents.has(transaction) }
    })
    end(job)
    if (hasEvents) context.signals.notify(orderHash)
    return result
  } catch (error) {
    end()
    throw error
  }
}

/** Jobs as transactions have left them so far. */
const patched = new WeakMap<Transaction, JobRow>()

/** Changes members of a job that are not its state. */
export async function patchJob(
  transaction: Transaction,
  job: JobRow,
  patch: Patch,
  /** Written by the same statement. */
  others: readonly WithSubquery[] = [],
): Promise<JobRow> {
  await (others.length > 0 ? transaction.with(...others) : transaction)
    .update(jobs)
    .set(patch)
    .where(eq(jobs.orderHash, job.orderHash))
  const after = { ...job, ...patch } as JobRow
  patched.set(transaction, after)
  return after
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
  const told = transaction.$with('told').as(
    transaction
      .insert(jobEvents)
      .values(toEventRow(job.orderHash, eventSequence, { type: 'state', state: to, at }))
      .returning({ sequence: jobEvents.sequence }),
  )
  // What was acknowledged of a job before it ended is still to be paid; it is free again when its provider does not come for it.
  const stepPrice = (to === 'expired' || to === 'failed') && job.settlementTransaction === null ? job.stepPrice : null
  const approvedUntil = stepPrice === null ? {} : { approvedUntil: at + stepSeconds }
  const after = { ...patch, ...approvedUntil, state: to, eventSequence, updatedAt: at }
  const moved = await patchJob(transaction, job, after, [told])
  if (to === 'settled' || to === 'declined' || to === 'expired' || to === 'failed' || to === 'refunded') {
    await holdAmount(transaction, moved, stepPrice ?? 0n, at, { isAtMost: true })
  }
  return moved
}

/** How long the price of a step stays reserved after its job has ended without a receipt to be paid. */
const stepSeconds = 86_400
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

/**
 * Sets what a job's reservation still counts against its payer. With `isAtMost` it never becomes more than it was: what was freed
 * may be promised to other orders.
 */
export async function holdAmount(
  transaction: Transaction,
  job: JobRow,
  amount: bigint,
  at: number,
  { isAtMost = false }: { readonly isAtMost?: boolean } = {},
): Promise<void> {
  const ledger = and(eq(ledgers.payer, job.payer), eq(ledgers.token, job.token))
  // The ledger is locked before the reservation is read, in the same order as a new order does.
  await transaction.select({ sequence: ledgers.sequence }).from(ledgers).where(ledger).for('update')
  const held = sql`${amount.toString()}::numeric`
  const changes = isAtMost ? sql`held > ${held}` : sql`held <> ${held}`
  // Both see the reservation as it was before: what it held is what the ledger counted.
  await transaction.execute(sql`
    with before as (select held from ${reservations} where order_hash = ${job.orderHash} and ${changes}),
    released as (
      update ${reservations} set held = ${held}, released_at = ${amount === 0n ? at : null}::bigint
      from before where order_hash = ${job.orderHash}
    )
    update ${ledgers} set outstanding = outstanding + ${held} - before.held
    from before where payer = ${job.payer} and token = ${job.token}`)
}
