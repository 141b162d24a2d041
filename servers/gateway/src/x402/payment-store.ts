import { randomUUID } from 'node:crypto'
import { and, asc, eq, inArray, isNull, lt, or, sql } from 'drizzle-orm'
import { type Address, type Bytes32, type Hex, LilypadError, Signature } from '@lilypad-agents/protocol'
import { TransferAuthorization } from '@lilypad-agents/sdk/x402'
import { z } from 'zod'
import type { Database, Transaction } from '../db/open-database.ts'
import { accounts, apiKeys, ledgerEntries, requests } from '../db/schema.ts'
import { type X402Offer, type X402Payment, x402Offers, x402Payments } from './payment-tables.ts'

/** A signed EIP-3009 transfer, as it is kept and shown. */
export const SignedTransfer = z.strictObject({ authorization: TransferAuthorization, signature: Signature })
export type SignedTransfer = z.output<typeof SignedTransfer>

export const encodeTransfer = (transfer: SignedTransfer): string => JSON.stringify(z.encode(SignedTransfer, transfer))
export const decodeTransfer = (text: string): SignedTransfer => SignedTransfer.parse(JSON.parse(text))

const unfinished = ['open', 'reserved'] as const

/** What a payment gets later. */
type Later =
  | 'transaction'
  | 'keyId'
  | 'change'
  | 'changeTransfer'
  | 'changeFromBlock'
  | 'changeTransaction'
  | 'closedAt'

/** Keeps an offer, and forgets those that are long over. */
export async function putOffer(database: Database, offer: X402Offer, now: number): Promise<void> {
  await database.delete(x402Offers).where(lt(x402Offers.expiresAt, now - 3600))
  await database.insert(x402Offers).values(offer)
}

export async function findOffer(database: Database, id: Hex): Promise<X402Offer | undefined> {
  const [found] = await database.select().from(x402Offers).where(eq(x402Offers.id, id))
  return found
}

export async function findPayment(database: Database, id: Hex): Promise<X402Payment | undefined> {
  const [found] = await database.select().from(x402Payments).where(eq(x402Payments.id, id))
  return found
}

/**
 * A payment of this very call whose request is not answered yet. Its caller would sign a second one if it were told a second price.
 * @param since Unix second; one that was taken before no longer stands in the way
 */
export async function findOpenPayment(
  database: Database,
  call: { readonly caller: string; readonly digest: string; readonly since: number },
): Promise<X402Payment | undefined> {
  const [found] = await database
    .select({ payment: x402Payments })
    .from(x402Payments)
    .leftJoin(requests, eq(requests.keyId, x402Payments.keyId))
    .where(
      and(
        eq(x402Payments.digest, call.digest),
        eq(x402Payments.caller, call.caller),
        sql`${x402Payments.takenAt} >= ${call.since}`,
        inArray(x402Payments.state, ['taken', 'settled']),
        or(isNull(requests.id), inArray(requests.state, [...unfinished])),
      ),
    )
    .limit(1)
  return found?.payment
}

/**
 * Writes a payment down, before any of its money moves. Returns whether this call did it: the same payment comes once, and an offer is
 * good for one.
 * @throws LilypadError STATE_CONFLICT when another payment came for the offer
 */
export async function takePayment(database: Database, payment: Omit<X402Payment, 'state' | Later>): Promise<boolean> {
  const taken = await database
    .insert(x402Payments)
    .values({ ...payment, state: 'taken' })
    .onConflictDoNothing()
    .returning({ id: x402Payments.id })
  if (taken.length > 0) return true
  if (await findPayment(database, payment.id)) return false
  throw new LilypadError('STATE_CONFLICT', 'Another payment came for this offer.', {
    hint: 'send the payment that was sent first; nothing was taken for this one',
  })
}

async function lock(transaction: Transaction, id: Hex): Promise<X402Payment> {
  const [payment] = await transaction.select().from(x402Payments).where(eq(x402Payments.id, id)).for('update')
  if (!payment) throw new LilypadError('INTERNAL', 'There is no such payment.')
  return payment
}

const change = (payment: X402Payment, set: Partial<X402Payment>, transaction: Transaction) =>
  transaction.update(x402Payments).set(set).where(eq(x402Payments.id, payment.id))

/** Enters an amount in an account, above zero or below. A reference counts once. */
async function enter(
  transaction: Transaction,
  entry: { readonly accountId: string; readonly amount: bigint; readonly reference: string; readonly now: number },
): Promise<void> {
  const { accountId, amount, reference, now } = entry
  if (amount === 0n) return
  await transaction.insert(ledgerEntries).values({ accountId, amount, source: 'x402', reference, createdAt: now })
  await transaction
    .update(accounts)
    .set({ balance: sql`${accounts.balance} + ${amount.toString()}::numeric` })
    .where(eq(accounts.id, accountId))
}

/**
 * Credits a payment that is on chain to the account of its payer, with a key that may spend it and nothing else. Nobody is told that key:
 * whoever has the payment acts through it.
 */
export async function creditPayment(
  database: Database,
  made: { readonly id: Hex; readonly transaction: Hex; readonly now: number },
): Promise<void> {
  const { id, now } = made
  await database.transaction(async (transaction) => {
    const payment = await lock(transaction, id)
    if (payment.state !== 'taken') return
    const name = `x402:${payment.payer}`
    await transaction
      .insert(accounts)
      .values({ id: `acct_${randomUUID().replaceAll('-', '')}`, name, balance: 0n, reserved: 0n, createdAt: now })
      .onConflictDoNothing()
    const [owner] = await transaction.select({ id: accounts.id }).from(accounts).where(eq(accounts.name, name))
    if (!owner) throw new LilypadError('INTERNAL', 'The account of a payer was not made.')
    const keyId = `x402_${id.slice(2)}`
    await transaction.insert(apiKeys).values({
      id: keyId,
      accountId: owner.id,
      name: 'x402',
      // The hash of no key: it is no SHA-256.
      hash: keyId,
      hint: '',
      budget: payment.cap,
      spent: 0n,
      reserved: 0n,
      createdAt: now,
    })
    await enter(transaction, {
      ...{ accountId: owner.id, amount: payment.cap + payment.fee, now },
      reference: `x402:${id}`,
    })
    await change(payment, { state: 'settled', transaction: made.transaction, keyId }, transaction)
  })
}

/** Notes that a payment was never made and never will be. */
export async function voidPayment(database: Database, id: Hex, now: number): Promise<void> {
  await database
    .update(x402Payments)
    .set({ state: 'void', closedAt: now })
    .where(and(eq(x402Payments.id, id), eq(x402Payments.state, 'taken')))
}

/** Whether the request that was just opened for a payment may run: not when its money is already on its way back. */
export async function isStillPaid(database: Database, id: Hex): Promise<boolean> {
  return database.transaction(async (transaction) => (await lock(transaction, id)).state === 'settled')
}

/**
 * Ends a payment whose request is over: what it did not cost is taken out of the account and goes back by a transfer that is signed here.
 * Nothing happens while the request runs, or while one may still come.
 * @param options.idleSince a settled payment without a request since then gets none any more
 */
export async function closePayment(
  database: Database,
  options: {
    readonly id: Hex
    readonly idleSince: number
    readonly now: number
    /** Signs the transfer of so much of the asset back to the payer. */
    readonly sign: (payment: X402Payment, change: bigint) => SignedTransfer
    /** Base units of the asset for base units of LILY that were not spent. */
    readonly toChange: (payment: X402Payment, unspent: bigint) => bigint
    readonly fromBlock: number
  },
): Promise<X402Payment | undefined> {
  const { id, idleSince, now, sign, toChange, fromBlock } = options
  return database.transaction(async (transaction) => {
    const payment = await lock(transaction, id)
    const { keyId } = payment
    if (payment.state !== 'settled' || keyId === null) return undefined
    const found = await transaction
      .select({ state: requests.state, price: requests.price })
      .from(requests)
      .where(eq(requests.keyId, keyId))
    if (found.some(({ state }) => state === 'open' || state === 'reserved')) return undefined
    if (found.length === 0 && payment.takenAt > idleSince) return undefined
    const price = found.reduce((sum, request) => sum + (request.price ?? 0n), 0n)
    const fee = price > 0n ? payment.fee : 0n
    const unspent = payment.cap + payment.fee - price - fee
    const account = await transaction.select().from(apiKeys).where(eq(apiKeys.id, keyId))
    const accountId = account[0]?.accountId
    if (accountId === undefined) throw new LilypadError('INTERNAL', 'A payment has no account.')
    await enter(transaction, { accountId, amount: -fee, reference: `x402-fee:${id}`, now })
    await enter(transaction, { accountId, amount: -unspent, reference: `x402-change:${id}`, now })
    const back = toChange(payment, unspent)
    const set =
      back === 0n
        ? { state: 'closed' as const, change: 0n, closedAt: now }
        : {
            state: 'returning' as const,
            change: back,
            changeTransfer: encodeTransfer(sign(payment, back)),
            changeFromBlock: fromBlock,
          }
    await change(payment, set, transaction)
    return { ...payment, ...set }
  })
}

/** Notes where the change was sent; null: it was left to the payer to send. */
export async function noteChange(
  database: Database,
  options: { readonly id: Hex; readonly transaction: Bytes32 | null; readonly now: number },
): Promise<void> {
  const { id, transaction, now } = options
  await database
    .update(x402Payments)
    .set({ state: 'closed', changeTransaction: transaction, closedAt: now })
    .where(and(eq(x402Payments.id, id), eq(x402Payments.state, 'returning')))
}

/** Some of the payments to an account that are not over, oldest first; those that follow one. */
export function listOpenPayments(
  database: Database,
  payTo: Address,
  after?: Pick<X402Payment, 'takenAt' | 'id'>,
): Promise<readonly X402Payment[]> {
  return database
    .select()
    .from(x402Payments)
    .where(
      and(
        eq(x402Payments.payTo, payTo),
        inArray(x402Payments.state, ['taken', 'settled', 'returning']),
        after && sql`(${x402Payments.takenAt}, ${x402Payments.id}) > (${after.takenAt}, ${after.id})`,
      ),
    )
    .orderBy(asc(x402Payments.takenAt), asc(x402Payments.id))
    .limit(500)
}
