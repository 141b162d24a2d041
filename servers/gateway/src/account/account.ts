import { randomUUID } from 'node:crypto'
import { eq, sql } from 'drizzle-orm'
import { LilypadError } from '@lilypad-agents/protocol'
import type { Database, Transaction } from '../db/open-database.ts'
import { accounts, auditLog, ledgerEntries, type LedgerSource } from '../db/schema.ts'
import { AccountUnknownError } from './account-errors.ts'

/** Amounts in base units of LILY. */
export type AccountBalance = { readonly balance: bigint; readonly reserved: bigint }

/** @throws LilypadError STATE_CONFLICT when there is one of this name */
export async function createAccount(
  database: Database,
  options: { readonly name: string; readonly now: number },
): Promise<string> {
  const { name, now } = options
  const id = `acct_${randomUUID().replaceAll('-', '')}`
  await database.transaction(async (transaction) => {
    const created = await transaction
      .insert(accounts)
      .values({ id, name, balance: 0n, reserved: 0n, createdAt: now })
      .onConflictDoNothing()
      .returning({ id: accounts.id })
    if (created.length === 0)
      throw new LilypadError('STATE_CONFLICT', 'There is an account of this name.', { hint: 'choose another name' })
    await transaction
      .insert(auditLog)
      .values({ action: 'account.created', subject: id, details: JSON.stringify({ name }), createdAt: now })
  })
  return id
}

/**
 * Adds money to an account, once for each reference: a repeat changes nothing and says so.
 * @throws {@link AccountUnknownError}
 */
export async function creditAccount(
  database: Database,
  options: {
    readonly account: string
    /** Base units, above zero. */
    readonly amount: bigint
    readonly reference: string
    readonly now: number
  },
): Promise<{ readonly isNew: boolean; readonly balance: bigint }> {
  const { account, amount, reference, now } = options
  if (amount <= 0n) throw new LilypadError('INVALID_REQUEST', 'A credit is an amount above zero.')
  return database.transaction(async (transaction) => {
    const [owner] = await transaction.select().from(accounts).where(eq(accounts.name, account))
    if (!owner) throw new AccountUnknownError(account)
    const balance = await enterChange(transaction, { accountId: owner.id, source: 'operator', amount, reference, now })
    if (balance === undefined) return { isNew: false, balance: (await getBalance(transaction, owner.id)).balance }
    const details = JSON.stringify({ amount: amount.toString(), reference })
    await transaction
      .insert(auditLog)
      .values({ action: 'account.credited', subject: owner.id, details, createdAt: now })
    return { isNew: true, balance }
  })
}

/**
 * Enters a change of a balance with where its other side is, once for each reference. It may leave less than nothing: credit that is
 * taken back may be spent already.
 * @returns the balance after it, or undefined when the reference was entered before
 */
export async function enterChange(
  transaction: Transaction,
  change: {
    readonly accountId: string
    readonly source: Exclude<LedgerSource, 'job'>
    /** Base units. */
    readonly amount: bigint
    readonly reference: string
    readonly now: number
  },
): Promise<bigint | undefined> {
  const { accountId, source, amount, reference, now } = change
  const entered = await transaction
    .insert(ledgerEntries)
    .values({ accountId, source, amount, reference, createdAt: now })
    .onConflictDoNothing({ target: ledgerEntries.reference })
    .returning({ id: ledgerEntries.id })
  if (entered.length === 0) return undefined
  const [changed] = await transaction
    .update(accounts)
    .set({ balance: sql`${accounts.balance} + ${amount.toString()}::numeric` })
    .where(eq(accounts.id, accountId))
    .returning({ balance: accounts.balance })
  if (!changed) throw new AccountUnknownError(accountId)
  return changed.balance
}

/** @throws {@link AccountUnknownError} */
export async function getBalance(database: Database | Transaction, accountId: string): Promise<AccountBalance> {
  const [found] = await database
    .select({ balance: accounts.balance, reserved: accounts.reserved })
    .from(accounts)
    .where(eq(accounts.id, accountId))
  if (!found) throw new AccountUnknownError(accountId)
  return found
}

/** Every account, by name. */
export function listAccounts(database: Database) {
  return database
    .select({ id: accounts.id, name: accounts.name, balance: accounts.balance, reserved: accounts.reserved })
    .from(accounts)
    .orderBy(accounts.name)
}
