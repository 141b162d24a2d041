import { bigint, bigserial, customType, index, integer, pgTable, text, uniqueIndex } from 'drizzle-orm/pg-core'
import { sql } from 'drizzle-orm'
import type { Hex } from '@lilypad-agents/protocol'

/** Amount of LILY in base units: `bigint` in memory, exact in the database. */
export const amount = customType<{ data: bigint; driverData: string }>({
  dataType: () => 'numeric(39,0)',
  toDriver: (value) => value.toString(),
  fromDriver: (value) => BigInt(value),
})
export const hex = (name: string) => text(name).$type<Hex>()
export const seconds = (name: string) => bigint(name, { mode: 'number' })

/** Prepaid money of one customer. What may be spent is `balance - reserved`. */
export const accounts = pgTable('accounts', {
  id: text('id').primaryKey(),
  name: text('name').notNull().unique(),
  /** All credits less all charges: the sum of the account's ledger entries. */
  balance: amount('balance').notNull(),
  /** What open requests may still cost. */
  reserved: amount('reserved').notNull(),
  createdAt: seconds('created_at').notNull(),
})

/** Keys of an account. A key itself is shown once and kept nowhere. */
export const apiKeys = pgTable(
  'api_keys',
  {
    id: text('id').primaryKey(),
    accountId: text('account_id')
      .notNull()
      .references(() => accounts.id),
    name: text('name').notNull(),
    /** SHA-256 of the key: it has 256 random bits, so nothing slower is needed. */
    hash: text('hash').notNull().unique(),
    /** The last characters, to tell keys apart. */
    hint: text('hint').notNull(),
    /** Most the key may ever spend; null for as much as the account has. */
    budget: amount('budget'),
    spent: amount('spent').notNull(),
    reserved: amount('reserved').notNull(),
    requestsPerMinute: integer('requests_per_minute'),
    revokedAt: seconds('revoked_at'),
    createdAt: seconds('created_at').notNull(),
  },
  (table) => [index('api_keys_account').on(table.accountId)],
)

/** Every paid request, from before it was priced until it was charged or released. */
export const requests = pgTable(
  'requests',
  {
    id: text('id').primaryKey(),
    accountId: text('account_id')
      .notNull()
      .references(() => accounts.id),
    keyId: text('key_id')
      .notNull()
      .references(() => apiKeys.id),
    /** The gateway whose client store has the job. */
    replica: text('replica').notNull(),
    state: text('state').$type<'open' | 'reserved' | 'charged' | 'released'>().notNull(),
    /** Dialect or route. */
    kind: text('kind').notNull(),
    model: text('model').notNull(),
    /** Held while reserved. */
    held: amount('held').notNull(),
    price: amount('price'),
    quoteId: hex('quote_id'),
    orderHash: hex('order_hash'),
    receipt: hex('receipt'),
    inputUnits: bigint('input_units', { mode: 'number' }),
    outputUnits: bigint('output_units', { mode: 'number' }),
    idempotencyKey: text('idempotency_key'),
    /** SHA-256 of the request's body. */
    requestDigest: text('request_digest').notNull(),
    /** What was answered, as JSON, for a repeat of the request; only where it came with an idempotency key. */
    answer: text('answer'),
    errorCode: text('error_code'),
    createdAt: seconds('created_at').notNull(),
    settledAt: seconds('settled_at'),
  },
  (table) => [
    uniqueIndex('requests_idempotency').on(table.keyId, table.idempotencyKey),
    uniqueIndex('requests_order').on(table.orderHash),
    uniqueIndex('requests_quote').on(table.quoteId),
    index('requests_account').on(table.accountId, table.createdAt),
    index('requests_unsettled').on(table.replica).where(sql`state in ('open', 'reserved')`),
    index('requests_answers').on(table.settledAt).where(sql`answer is not null`),
  ],
)

/** Every change of a balance, in order. Never altered. */
export const ledgerEntries = pgTable(
  'ledger_entries',
  {
    id: bigserial('id', { mode: 'number' }).primaryKey(),
    accountId: text('account_id')
      .notNull()
      .references(() => accounts.id),
    /** Above zero for a credit, below for a charge. */
    amount: amount('amount').notNull(),
    requestId: text('request_id').unique(),
    /** What a credit is for: a deposit's transaction, an invoice. The same one counts once. */
    reference: text('reference').unique(),
    createdAt: seconds('created_at').notNull(),
  },
  (table) => [index('ledger_entries_account').on(table.accountId, table.id)],
)

/** What operators did. Never altered. */
export const auditLog = pgTable('audit_log', {
  id: bigserial('id', { mode: 'number' }).primaryKey(),
  action: text('action').notNull(),
  subject: text('subject').notNull(),
  details: text('details').notNull(),
  createdAt: seconds('created_at').notNull(),
})
