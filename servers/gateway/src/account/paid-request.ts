import { and, desc, eq, inArray, isNotNull, isNull, lt, or, type SQL, sql } from 'drizzle-orm'
import { type Hex, LilypadError } from '@lilypad-agents/protocol'
import type { AnyPgColumn } from 'drizzle-orm/pg-core'
import { QuoteUsedError } from '@lilypad-agents/sdk'
import type { Database, Transaction } from '../db/open-database.ts'
import { accounts, apiKeys, ledgerEntries, requests } from '../db/schema.ts'
import { AccountEmptyError, KeyRefusedError, type Shortage } from './account-errors.ts'
import type { ApiKey } from './api-key.ts'
import { type Windows, windowsOf } from './window.ts'

export type PaidRequest = typeof requests.$inferSelect

/** Adds to a column in the database, so that two writers never lose each other's change. */
const plus = (column: AnyPgColumn, amount: bigint) => sql`${column} + ${amount.toString()}::numeric`

/**
 * Notes a request before anything is done for it. With an idempotency key that came before, the earlier request is given
 * back instead; one that was released cost nothing and may be tried again.
 * @throws LilypadError STATE_CONFLICT when the idempotency key came with another request
 */
export async function openRequest(
  database: Database,
  request: {
    readonly id: string
    readonly key: ApiKey
    readonly replica: string
    readonly kind: string
    readonly model: string
    readonly digest: string
    readonly idempotencyKey?: string | undefined
    readonly now: number
  },
): Promise<{ readonly isNew: true } | { readonly isNew: false; readonly earlier: PaidRequest }> {
  const { id, key, replica, kind, model, digest, idempotencyKey, now } = request
  return database.transaction(async (transaction) => {
    if (idempotencyKey !== undefined)
      await transaction
        .update(requests)
        .set({ idempotencyKey: null })
        .where(
          and(
            eq(requests.keyId, key.id),
            eq(requests.idempotencyKey, idempotencyKey),
            eq(requests.state, 'released'),
            eq(requests.requestDigest, digest),
          ),
        )
    const opened = await transaction
      .insert(requests)
      .values({
        id,
        accountId: key.accountId,
        keyId: key.id,
        replica,
        state: 'open',
        kind,
        model,
        held: 0n,
        idempotencyKey: idempotencyKey ?? null,
        requestDigest: digest,
        createdAt: now,
      })
      .onConflictDoNothing({ target: [requests.keyId, requests.idempotencyKey] })
      .returning({ id: requests.id })
    if (opened.length > 0 || idempotencyKey === undefined) return { isNew: true }
    const [earlier] = await transaction
      .select()
      .from(requests)
      .where(and(eq(requests.keyId, key.id), eq(requests.idempotencyKey, idempotencyKey)))
    if (!earlier) return { isNew: true }
    if (earlier.requestDigest !== digest)
      throw new LilypadError('STATE_CONFLICT', 'This idempotency key came before, with another request.', {
        hint: 'use a new key for each new request',
      })
    return { isNew: false, earlier }
  })
}

/**
 * Sets aside what a request may cost.
 * @throws {@link AccountEmptyError} QuoteUsedError and nothing is set aside
 */
export async function reserveFor(
  database: Database,
  options: { readonly id: string; readonly amount: bigint; readonly quoteId?: Hex; readonly now: number },
): Promise<void> {
  const { id, amount, now, quoteId = null } = options
  const windows = windowsOf(now)
  await database.transaction(async (transaction) => {
    const [request] = await transaction.select().from(requests).where(eq(requests.id, id)).for('update')
    if (request?.state !== 'open') throw new LilypadError('INTERNAL', 'Only an open request is reserved for.')
    const needed = amount.toString()
    const { accountId, keyId } = request
    const held = await transaction
      .update(accounts)
      .set({ reserved: plus(accounts.reserved, amount) })
      .where(and(eq(accounts.id, accountId), sql`${accounts.balance} - ${accounts.reserved} >= ${needed}::numeric`))
      .returning({ id: accounts.id })
    if (held.length === 0) {
      const [owner] = await transaction.select().from(accounts).where(eq(accounts.id, accountId))
      const available = (owner?.balance ?? 0n) - (owner?.reserved ?? 0n)
      throw new AccountEmptyError({ what: 'account', needed: amount, available })
    }
    const allowed = await transaction
      .update(apiKeys)
      .set({ reserved: plus(apiKeys.reserved, amount) })
      .where(
        and(
          eq(apiKeys.id, keyId),
          isNull(apiKeys.revokedAt),
          covers(apiKeys.budget, apiKeys.spent, needed),
          covers(apiKeys.dayBudget, spentOnDay(windows), needed),
          covers(apiKeys.monthBudget, spentInMonth(windows), needed),
        ),
      )
      .returning({ id: apiKeys.id })
    if (allowed.length === 0) {
      const [key] = await transaction.select().from(apiKeys).where(eq(apiKeys.id, keyId))
      if (!key || key.revokedAt !== null) throw new KeyRefusedError()
      throw shortageOf(key, amount, windows)
    }
    await transaction
      .update(requests)
      .set({ state: 'reserved', held: amount, quoteId })
      .where(eq(requests.id, id))
      .catch((error: unknown) => {
        throw isTaken(error) && quoteId !== null ? new QuoteUsedError(quoteId) : error
      })
  })
}

/** What a key has spent in the present day and month; nothing when its last charge was in an earlier one. */
const spentOnDay = ({ day }: Windows) =>
  sql`case when ${apiKeys.lastDay} = ${day} then ${apiKeys.spentOnDay} else 0 end`
const spentInMonth = ({ month }: Windows) =>
  sql`case when ${apiKeys.lastMonth} = ${month} then ${apiKeys.spentInMonth} else 0 end`

/** Whether a budget, if there is one, has room beside what was spent and is reserved. */
const covers = (budget: AnyPgColumn, spent: AnyPgColumn | SQL, needed: string) =>
  or(isNull(budget), sql`${budget} - (${spent}) - ${apiKeys.reserved} >= ${needed}::numeric`)

function shortageOf(key: typeof apiKeys.$inferSelect, needed: bigint, { day, month }: Windows): AccountEmptyError {
  const { budget, dayBudget, monthBudget, spent, reserved } = key
  const rooms: readonly (readonly [Shortage, bigint | null, bigint])[] = [
    ['budget', budget, spent],
    ['day', dayBudget, key.lastDay === day ? key.spentOnDay : 0n],
    ['month', monthBudget, key.lastMonth === month ? key.spentInMonth : 0n],
  ]
  const left = rooms.flatMap(([what, limit, used]) =>
    limit === null ? [] : [{ what, available: limit - used - reserved }],
  )
  const least = left.reduce(
    (a, b) => (b.available < a.available ? b : a),
    left[0] ?? { what: 'budget' as const, available: 0n },
  )
  return new AccountEmptyError({ ...least, needed })
}

/** Whether the database refuses a row because another has what only one may have. */
function isTaken(error: unknown): boolean {
  const { code, cause } = error as { readonly code?: unknown; readonly cause?: unknown }
  return code === '23505' || (cause instanceof Error && isTaken(cause))
}

/** Notes which quote or order a request became, before and after it is placed. */
export async function notePlaced(
  database: Database,
  options: { readonly id: string; readonly quoteId?: Hex; readonly orderHash?: Hex | null },
): Promise<void> {
  const { id, ...placed } = options
  await database.update(requests).set(placed).where(eq(requests.id, id))
}

async function closeRequest(
  transaction: Transaction,
  id: string,
  change: { readonly price: bigint } & Partial<PaidRequest>,
  now: number,
): Promise<PaidRequest | undefined> {
  const [open] = await transaction
    .select()
    .from(requests)
    .where(and(eq(requests.id, id), inArray(requests.state, ['open', 'reserved'])))
    .for('update')
  if (!open) return undefined
  const { price } = change
  if (price > open.held) throw new LilypadError('INTERNAL', 'A request costs more than was set aside for it.')
  const windows = windowsOf(now)
  await transaction
    .update(accounts)
    .set({ balance: plus(accounts.balance, -price), reserved: plus(accounts.reserved, -open.held) })
    .where(eq(accounts.id, open.accountId))
  await transaction
    .update(apiKeys)
    .set({
      spent: plus(apiKeys.spent, price),
      reserved: plus(apiKeys.reserved, -open.held),
      spentOnDay: sql`${spentOnDay(windows)} + ${price.toString()}::numeric`,
      spentInMonth: sql`${spentInMonth(windows)} + ${price.toString()}::numeric`,
      lastDay: windows.day,
      lastMonth: windows.month,
    })
    .where(eq(apiKeys.id, open.keyId))
  await transaction
    .update(requests)
    .set({ ...change, settledAt: now })
    .where(eq(requests.id, id))
  return open
}

/**
 * Charges a request and frees what was set aside beyond that. A request is charged or released once: what comes second
 * changes nothing. Returns whether this call did it.
 */
export async function chargeRequest(
  database: Database,
  options: {
    readonly id: string
    /** At most what was set aside. */
    readonly price: bigint
    readonly receipt: Hex
    readonly inputUnits: number
    readonly outputUnits: number
    /** What is answered, for a repeat of the request; kept only where it came with an idempotency key. */
    readonly answer?: string | undefined
    readonly now: number
  },
): Promise<boolean> {
  const { id, price, receipt, inputUnits, outputUnits, answer, now } = options
  return database.transaction(async (transaction) => {
    const facts = { state: 'charged' as const, price, receipt, inputUnits, outputUnits }
    const closed = await closeRequest(transaction, id, facts, now)
    if (closed?.idempotencyKey != null && answer !== undefined)
      await transaction.update(requests).set({ answer }).where(eq(requests.id, id))
    if (closed && price > 0n)
      await transaction
        .insert(ledgerEntries)
        .values({ accountId: closed.accountId, source: 'job', amount: -price, requestId: id, createdAt: now })
    return closed !== undefined
  })
}

/** Gives back all that was set aside. Returns whether this call did it. */
export async function releaseRequest(
  database: Database,
  options: { readonly id: string; readonly errorCode: string; readonly now: number },
): Promise<boolean> {
  const { id, errorCode, now } = options
  return database.transaction(
    async (transaction) =>
      (await closeRequest(transaction, id, { state: 'released', price: 0n, errorCode }, now)) !== undefined,
  )
}

/** Forgets answers that nobody repeats any more; the requests stay. */
export async function forgetAnswers(database: Database, options: { readonly before: number }) {
  await database
    .update(requests)
    .set({ answer: null })
    .where(and(sql`${requests.answer} is not null`, lt(requests.settledAt, options.before)))
}

/** Requests of a gateway that are neither charged nor released. */
export function listUnsettled(database: Database, replica: string): Promise<readonly PaidRequest[]> {
  return database
    .select()
    .from(requests)
    .where(and(eq(requests.replica, replica), inArray(requests.state, ['open', 'reserved'])))
    .orderBy(requests.createdAt)
    .limit(1000)
}

/** The request that a quote was ordered for, whoever's it is. */
export async function findRequestByQuote(database: Database, quoteId: Hex): Promise<PaidRequest | undefined> {
  const [found] = await database.select().from(requests).where(eq(requests.quoteId, quoteId))
  return found
}

/** Requests of an account that placed an order of their own, newest first. */
export function listJobRequests(
  database: Database,
  options: { readonly accountId: string; readonly kind: string; readonly limit: number },
): Promise<readonly PaidRequest[]> {
  const { accountId, kind, limit } = options
  return database
    .select()
    .from(requests)
    .where(and(eq(requests.accountId, accountId), eq(requests.kind, kind), isNotNull(requests.orderHash)))
    .orderBy(desc(requests.createdAt), desc(requests.id))
    .limit(limit)
}

/** The request of an account that placed an order. */
export async function findRequestByOrder(
  database: Database,
  options: { readonly accountId: string; readonly orderHash: Hex },
): Promise<PaidRequest | undefined> {
  const [found] = await database
    .select()
    .from(requests)
    .where(and(eq(requests.accountId, options.accountId), eq(requests.orderHash, options.orderHash)))
  return found
}
