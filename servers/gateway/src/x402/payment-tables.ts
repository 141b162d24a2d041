import { sql } from 'drizzle-orm'
import { index, integer, pgTable, text } from 'drizzle-orm/pg-core'
import { amount, apiKeys, hex, seconds } from '../db/schema.ts'

/** What one request of a stranger was offered for. Its id is random, known to who asked, and good for one payment. */
export const x402Offers = pgTable(
  'x402_offers',
  {
    id: hex('id').primaryKey(),
    /** SHA-256 of path, body and idempotency key of the request. */
    digest: text('digest').notNull(),
    /** Most the request may cost, in base units of LILY. */
    cap: amount('cap').notNull(),
    /** What comes to it for the gas, in base units of LILY. */
    fee: amount('fee').notNull(),
    /** JSON: base units by the address of the token. */
    amounts: text('amounts').notNull(),
    payTo: hex('pay_to').notNull(),
    expiresAt: seconds('expires_at').notNull(),
  },
  (table) => [index('x402_offers_expires').on(table.expiresAt)],
)

/**
 * `taken`: written down, not known to be on chain; `settled`: on chain and credited, its request may run; `returning`: the request is over,
 * and what it did not cost is on its way back; `closed`: nothing more happens; `void`: the money never moved and never will.
 */
const paymentStates = ['taken', 'settled', 'returning', 'closed', 'void'] as const

/** Payments of strangers, each for one request. Written before anything follows from them. */
export const x402Payments = pgTable(
  'x402_payments',
  {
    /** Token, account and nonce of the transfer, hashed: a token takes a nonce of an account once. */
    id: hex('id').primaryKey(),
    offerId: hex('offer_id').notNull().unique(),
    state: text('state', { enum: paymentStates }).notNull(),
    /** SHA-256 of the address that asked, to tell a retry from another's request. */
    caller: text('caller').notNull(),
    digest: text('digest').notNull(),
    payer: hex('payer').notNull(),
    asset: hex('asset').notNull(),
    payTo: hex('pay_to').notNull(),
    /** Base units of the asset. */
    value: amount('value').notNull(),
    cap: amount('cap').notNull(),
    fee: amount('fee').notNull(),
    /** The signed transfer, as JSON. */
    transfer: text('transfer').notNull(),
    fromBlock: integer('from_block').notNull(),
    transaction: hex('transaction'),
    /** The key that its request is charged to, with the cap as its budget; there from `settled` on. */
    keyId: text('key_id').references(() => apiKeys.id),
    /** Base units of the asset that go back. */
    change: amount('change'),
    /** The signed transfer of the change, as JSON: anybody may send it. */
    changeTransfer: text('change_transfer'),
    changeFromBlock: integer('change_from_block'),
    changeTransaction: hex('change_transaction'),
    takenAt: seconds('taken_at').notNull(),
    closedAt: seconds('closed_at'),
  },
  (table) => [
    index('x402_payments_open').on(table.state, table.takenAt).where(sql`state in ('taken', 'settled', 'returning')`),
    index('x402_payments_digest').on(table.digest),
  ],
)

export type X402Offer = typeof x402Offers.$inferSelect
export type X402Payment = typeof x402Payments.$inferSelect
