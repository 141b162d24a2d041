import { randomUUID } from 'node:crypto'
import { and, desc, eq, isNull, sql } from 'drizzle-orm'
import { LilypadError } from '@lilypad-agents/protocol'
import { enterChange } from '../account/account.ts'
import type { Database, Transaction } from '../db/open-database.ts'
import { auditLog, cardEvents, cardReversals, topUps } from '../db/schema.ts'
import type { CardEvent } from './card-event.ts'
import type { CardProcessor } from './card-processor.ts'

export type TopUp = typeof topUps.$inferSelect

const wad = 10n ** 18n
const currency = 'usd'

/** LILY that dollars buy at a rate, in base units, rounded down. */
export function toCredit(usdCents: number, usdPerLilyWad: bigint): bigint {
  if (usdPerLilyWad <= 0n) throw new LilypadError('CONFIG_INVALID', 'Without a rate in dollars no credit can be sold.')
  return (BigInt(usdCents) * wad * wad) / (100n * usdPerLilyWad)
}

/**
 * Notes a top-up at the present rate, then makes the page where it is paid. The same idempotency key again gives the same page, whatever
 * happened between the two.
 * @throws LilypadError STATE_CONFLICT when the key came with another amount; CardProcessorError
 */
export async function openTopUp(
  database: Database,
  cards: CardProcessor,
  options: {
    readonly accountId: string
    readonly usdCents: number
    readonly usdPerLilyWad: bigint
    readonly idempotencyKey?: string | undefined
    readonly now: number
  },
): Promise<TopUp> {
  const { accountId, usdCents, usdPerLilyWad, idempotencyKey, now } = options
  const noted = await database
    .insert(topUps)
    .values({
      id: `topup_${randomUUID().replaceAll('-', '')}`,
      accountId,
      state: 'open',
      usdCents,
      credit: toCredit(usdCents, usdPerLilyWad),
      usdPerLilyWad,
      credited: 0n,
      idempotencyKey: idempotencyKey ?? null,
      createdAt: now,
    })
    .onConflictDoNothing({ target: [topUps.accountId, topUps.idempotencyKey] })
    .returning()
  const topUp = noted[0] ?? (await findByIdempotencyKey(database, accountId, idempotencyKey))
  if (topUp.usdCents !== usdCents)
    throw new LilypadError('STATE_CONFLICT', 'This idempotency key came before, with another amount.', {
      hint: 'use a new key for each new top-up',
    })
  if (topUp.sessionId !== null) return topUp
  const { sessionId, url } = await cards.openPage(topUp)
  await database
    .update(topUps)
    .set({ sessionId, url })
    .where(and(eq(topUps.id, topUp.id), isNull(topUps.sessionId)))
  return findTopUp(database, { accountId, id: topUp.id })
}

async function findByIdempotencyKey(database: Database, accountId: string, key = ''): Promise<TopUp> {
  const [found] = await database
    .select()
    .from(topUps)
    .where(and(eq(topUps.accountId, accountId), eq(topUps.idempotencyKey, key)))
  if (!found) throw new LilypadError('INTERNAL', 'A top-up was neither noted nor there.')
  return found
}

/** @throws LilypadError NOT_FOUND, also for one of another account */
export async function findTopUp(
  database: Database,
  options: { readonly accountId: string; readonly id: string },
): Promise<TopUp> {
  const [found] = await database
    .select()
    .from(topUps)
    .where(and(eq(topUps.accountId, options.accountId), eq(topUps.id, options.id)))
  if (!found) throw new LilypadError('NOT_FOUND', 'There is no such top-up.')
  return found
}

/** Top-ups of an account, newest first. */
export function listTopUps(database: Database, options: { readonly accountId: string; readonly limit: number }) {
  return database
    .select()
    .from(topUps)
    .where(eq(topUps.accountId, options.accountId))
    .orderBy(desc(topUps.createdAt), desc(topUps.id))
    .limit(options.limit)
}

/** What an event did. `strange`: it names a top-up of ours, but something of it is not as it was asked for. */
export type CardOutcome = 'entered' | 'repeated' | 'unknown' | 'strange'

/**
 * Takes in what the processor tells, in any order and as often as it does: from all that is known of a payment follows what its top-up
 * has to bring, and the difference to what it has brought is entered. Account and amount are the stored ones, never the event's.
 */
export async function applyCardEvent(
  database: Database,
  event: CardEvent,
  options: { readonly now: number },
): Promise<CardOutcome> {
  const { now } = options
  return database.transaction(async (transaction) => {
    const isFirst = await transaction
      .insert(cardEvents)
      .values({ id: event.id, type: event.type, receivedAt: now })
      .onConflictDoNothing()
      .returning({ id: cardEvents.id })
    if (isFirst.length === 0) return 'repeated'
    if (event.kind === 'expired') {
      const expired = await transaction
        .update(topUps)
        .set({ state: 'expired' })
        .where(and(eq(topUps.sessionId, event.sessionId), eq(topUps.state, 'open')))
        .returning({ id: topUps.id })
      return expired.length > 0 ? 'entered' : 'unknown'
    }
    // A refund that comes in beside its payment must see it, or be seen.
    await transaction.execute(sql`select pg_advisory_xact_lock(hashtextextended(${event.paymentId}, 0))`)
    if (event.kind === 'paid') {
      const outcome = await notePaid(transaction, event, now)
      if (outcome !== undefined) return outcome
    } else await noteReversal(transaction, event)
    return (await settleTopUp(transaction, event, now)) ? 'entered' : 'unknown'
  })
}

/** Notes which payment a top-up was paid with. Returns what happened when that is all. */
async function notePaid(
  transaction: Transaction,
  event: CardEvent & { readonly kind: 'paid' },
  now: number,
): Promise<CardOutcome | undefined> {
  const { sessionId, paymentId, cents } = event
  const [topUp] = await transaction.select().from(topUps).where(eq(topUps.sessionId, sessionId)).for('update')
  if (!topUp) return 'unknown'
  const isAsAsked =
    cents === topUp.usdCents &&
    event.currency.toLowerCase() === currency &&
    event.topUpId === topUp.id &&
    event.accountId === topUp.accountId &&
    (topUp.paymentId === null || topUp.paymentId === paymentId)
  if (isAsAsked) {
    await transaction.update(topUps).set({ state: 'paid', paymentId, paidAt: now }).where(eq(topUps.id, topUp.id))
    return undefined
  }
  if (topUp.state !== 'paid') await transaction.update(topUps).set({ state: 'refused' }).where(eq(topUps.id, topUp.id))
  const details = JSON.stringify({
    event: event.id,
    cents,
    currency: event.currency.slice(0, 10),
    expected: topUp.usdCents,
  })
  await transaction.insert(auditLog).values({ action: 'top-up.refused', subject: topUp.id, details, createdAt: now })
  return 'strange'
}

async function noteReversal(transaction: Transaction, event: CardEvent & { readonly kind: 'reversal' }): Promise<void> {
  const { reversalId: id, reversal: kind, paymentId, isStanding, isFinal, at: toldAt } = event
  const [known] = await transaction.select().from(cardReversals).where(eq(cardReversals.id, id)).for('update')
  // Of two the one that says more counts: the end, then what was told later; a total only grows.
  const isOlder = known && (known.isFinal || (!isFinal && known.toldAt > toldAt))
  if (isOlder) return
  const told = event.currency.toLowerCase() === currency ? event.cents : wholePayment
  const usdCents = kind === 'refund-total' ? Math.max(told, known?.usdCents ?? 0) : told
  const facts = { paymentId, kind, usdCents, isStanding, isFinal, toldAt }
  await transaction
    .insert(cardReversals)
    .values({ id, ...facts })
    .onConflictDoUpdate({ target: cardReversals.id, set: facts })
}

/** In a currency that was not asked for all of the payment counts as taken back. */
const wholePayment = 2 ** 31 - 1

/** Enters the difference between what a paid top-up has to bring and what it has brought. Returns whether there is one. */
async function settleTopUp(
  transaction: Transaction,
  event: { readonly id: string; readonly paymentId: string },
  now: number,
): Promise<boolean> {
  const { id, paymentId } = event
  const [topUp] = await transaction.select().from(topUps).where(eq(topUps.paymentId, paymentId)).for('update')
  if (topUp?.state !== 'paid') return false
  const reversals = await transaction.select().from(cardReversals).where(eq(cardReversals.paymentId, paymentId))
  const sum = (kind: string) =>
    reversals
      .filter((reversal) => reversal.kind === kind && reversal.isStanding)
      .reduce((total, { usdCents }) => total + usdCents, 0)
  // A charge tells the total of its refunds, but not when one of them failed: refunds by themselves know more.
  const refunded = reversals.some(({ kind }) => kind === 'refund') ? sum('refund') : sum('refund-total')
  const kept = Math.max(0, topUp.usdCents - refunded - sum('dispute'))
  const credited = (topUp.credit * BigInt(kept)) / BigInt(topUp.usdCents)
  const amount = credited - topUp.credited
  if (amount === 0n) return true
  const { accountId } = topUp
  await enterChange(transaction, { accountId, source: 'card', amount, reference: `card:${topUp.id}:${id}`, now })
  await transaction.update(topUps).set({ credited }).where(eq(topUps.id, topUp.id))
  const details = JSON.stringify({ event: id, amount: amount.toString() })
  await transaction.insert(auditLog).values({ action: 'top-up.entered', subject: topUp.id, details, createdAt: now })
  return true
}
