import { bigint, bigserial, boolean, customType, index, integer, pgTable, text, uniqueIndex } from 'drizzle-orm/pg-core'
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
  /** Where its customer sends tokens: see DepositAddress. Null until somebody asks for it. */
  depositAddress: hex('deposit_address').unique(),
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
    /** Most it may spend in a UTC day, and in a UTC month; what is reserved counts for the present one. */
    dayBudget: amount('day_budget'),
    monthBudget: amount('month_budget'),
    /** What was spent in the day and month of the last charge, each counted from 1970-01. */
    spentOnDay: amount('spent_on_day').notNull().default(sql`0`),
    spentInMonth: amount('spent_in_month').notNull().default(sql`0`),
    lastDay: integer('last_day').notNull().default(0),
    lastMonth: integer('last_month').notNull().default(0),
    requestsPerMinute: integer('requests_per_minute'),
    /** Models and modules it may use; null for all. */
    models: text('models').array(),
    expiresAt: seconds('expires_at'),
    disabledAt: seconds('disabled_at'),
    /** After a rotation the key before it is good until then. */
    previousHash: text('previous_hash').unique(),
    previousUntil: seconds('previous_until'),
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

/** Where the other side of an entry is: on chain, at the card processor, with the operator, or in a job that was paid. */
export const ledgerSources = ['operator', 'deposit', 'card', 'x402', 'job'] as const
export type LedgerSource = (typeof ledgerSources)[number]

/** Every change of a balance, in order. Never altered. */
export const ledgerEntries = pgTable(
  'ledger_entries',
  {
    id: bigserial('id', { mode: 'number' }).primaryKey(),
    accountId: text('account_id')
      .notNull()
      .references(() => accounts.id),
    /** Above zero for a credit, below for a charge and for a credit that is taken back. */
    amount: amount('amount').notNull(),
    source: text('source').$type<LedgerSource>().notNull().default('operator'),
    requestId: text('request_id').unique(),
    /** What a credit is for: a deposit's transaction, an invoice. The same one counts once. */
    reference: text('reference').unique(),
    createdAt: seconds('created_at').notNull(),
  },
  (table) => [
    index('ledger_entries_account').on(table.accountId, table.id),
    index('ledger_entries_source').on(table.source),
  ],
)

/** Credit that a customer buys by card: what it costs and brings is fixed when it is asked for. */
export const topUps = pgTable(
  'top_ups',
  {
    id: text('id').primaryKey(),
    accountId: text('account_id')
      .notNull()
      .references(() => accounts.id),
    /** `refused`: what was paid is not what was asked for. */
    state: text('state').$type<'open' | 'paid' | 'expired' | 'refused'>().notNull(),
    usdCents: integer('usd_cents').notNull(),
    /** What it brings when it is paid whole, and the rate that says so: dollars per LILY times 10^18. */
    credit: amount('credit').notNull(),
    usdPerLilyWad: amount('usd_per_lily_wad').notNull(),
    /** What of it is in the account now: less when it was paid back or is disputed. */
    credited: amount('credited').notNull(),
    /** Names of the processor: of the page where it is paid, and of the payment. */
    sessionId: text('session_id').unique(),
    url: text('url'),
    paymentId: text('payment_id').unique(),
    idempotencyKey: text('idempotency_key'),
    createdAt: seconds('created_at').notNull(),
    paidAt: seconds('paid_at'),
  },
  (table) => [
    uniqueIndex('top_ups_idempotency').on(table.accountId, table.idempotencyKey),
    index('top_ups_account').on(table.accountId, table.createdAt),
  ],
)

/** Refunds and disputes of card payments, by the processor's name of each. They may come before the payment itself. */
export const cardReversals = pgTable(
  'card_reversals',
  {
    id: text('id').primaryKey(),
    paymentId: text('payment_id').notNull(),
    kind: text('kind').$type<'refund' | 'refund-total' | 'dispute'>().notNull(),
    usdCents: integer('usd_cents').notNull(),
    /** Whether the money is away. */
    isStanding: boolean('is_standing').notNull(),
    /** Whether this is its end; what comes after it was sent before. */
    isFinal: boolean('is_final').notNull(),
    toldAt: seconds('told_at').notNull(),
  },
  (table) => [index('card_reversals_payment').on(table.paymentId)],
)

/** Events of the card processor that were taken in: each counts once. */
export const cardEvents = pgTable('card_events', {
  id: text('id').primaryKey(),
  type: text('type').notNull(),
  receivedAt: seconds('received_at').notNull(),
})

/** How far a chain was read; the hash tells whether that block is still there. */
export const chainCursors = pgTable('chain_cursors', {
  /** Chain, vault and payer. */
  name: text('name').primaryKey(),
  startBlock: bigint('start_block', { mode: 'bigint' }).notNull(),
  blockNumber: bigint('block_number', { mode: 'bigint' }).notNull(),
  blockHash: hex('block_hash').notNull(),
})

/** Work that one replica does at a time. */
export const leases = pgTable('leases', {
  name: text('name').primaryKey(),
  holder: text('holder').notNull(),
  until: seconds('until').notNull(),
})

/** Gateways that share this database. */
export const replicas = pgTable('replicas', {
  id: text('id').primaryKey(),
  /** Where the others reach it. */
  url: text('url').notNull(),
  seenAt: seconds('seen_at').notNull(),
})

/** Which gateway has a quote that was asked for by itself. */
export const quoteOwners = pgTable(
  'quote_owners',
  {
    quoteId: hex('quote_id').primaryKey(),
    replica: text('replica').notNull(),
    expiresAt: seconds('expires_at').notNull(),
  },
  (table) => [index('quote_owners_expiry').on(table.expiresAt)],
)

/** What operators did. Never altered. */
export const auditLog = pgTable('audit_log', {
  id: bigserial('id', { mode: 'number' }).primaryKey(),
  action: text('action').notNull(),
  subject: text('subject').notNull(),
  details: text('details').notNull(),
  createdAt: seconds('created_at').notNull(),
})
