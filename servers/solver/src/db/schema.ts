import {
  bigint,
  boolean,
  customType,
  index,
  integer,
  pgTable,
  primaryKey,
  text,
  uniqueIndex,
} from 'drizzle-orm/pg-core'
import { sql } from 'drizzle-orm'
import type { Hex, JobState } from '@lilypad-agents/protocol'

// Signed objects are kept as the JSON text that travelled: what was signed is never rebuilt from columns. The columns
// beside it repeat only what queries need.

/** Amount of a token: `bigint` in memory, exact in the database. */
const amount = customType<{ data: bigint; driverData: string }>({
  dataType: () => 'numeric(39,0)',
  toDriver: (value) => value.toString(),
  fromDriver: (value) => BigInt(value),
})
const hex = (name: string) => text(name).$type<Hex>()
const seconds = (name: string) => bigint(name, { mode: 'number' })

/** Published module versions. */
export const modules = pgTable(
  'modules',
  {
    moduleVersion: hex('module_version').primaryKey(),
    name: text('name').notNull(),
    author: hex('author').notNull(),
    manifestDigest: hex('manifest_digest').notNull(),
    feeBips: integer('fee_bips').notNull(),
    deprecated: boolean('deprecated').notNull().default(false),
    publishedAtBlock: bigint('published_at_block', { mode: 'number' }).notNull(),
    manifest: text('manifest').notNull(),
    createdAt: seconds('created_at').notNull(),
  },
  (table) => [index('modules_name').on(table.name)],
)

/** Every job, one row by order hash. */
export const jobs = pgTable(
  'jobs',
  {
    orderHash: hex('order_hash').primaryKey(),
    state: text('state').$type<JobState>().notNull(),
    payer: hex('payer').notNull(),
    key: hex('key').notNull(),
    provider: hex('provider').notNull(),
    token: hex('token').notNull(),
    moduleVersion: hex('module_version').notNull(),
    laneId: hex('lane_id').notNull(),
    nonce: bigint('nonce', { mode: 'number' }).notNull(),
    startBy: seconds('start_by').notNull(),
    deliverBy: seconds('deliver_by').notNull(),
    /** OrderRequest, as it came. */
    request: text('request').notNull(),
    /** JobOrder alone, for views. */
    order: text('order').notNull(),
    /** SignedReservation. */
    reservation: text('reservation').notNull(),
    missingInputs: integer('missing_inputs').notNull(),
    acceptedAt: seconds('accepted_at'),
    progressFraction: text('progress_fraction'),
    progressText: text('progress_text'),
    /** Delivery. */
    delivery: text('delivery'),
    receiptHash: hex('receipt_hash'),
    price: amount('price'),
    runMilliseconds: bigint('run_milliseconds', { mode: 'number' }),
    /** SignedVoucher that acknowledged the job. */
    acknowledgement: text('acknowledgement'),
    acknowledgementIndex: bigint('acknowledgement_index', { mode: 'number' }),
    /** The provider has the voucher on its disk. */
    acknowledgementReceived: boolean('acknowledgement_received').notNull().default(false),
    /** StepAcknowledgement: the newest step that was acknowledged while the job streamed. */
    step: text('step'),
    stepHash: hex('step_hash'),
    stepPrice: amount('step_price'),
    /** Last second of the newest approval of a settlement with this job in it. Until then its money may leave. */
    approvedUntil: seconds('approved_until'),
    settlementTransaction: hex('settlement_transaction'),
    settlementBlock: bigint('settlement_block', { mode: 'number' }),
    settlementPrice: amount('settlement_price'),
    reasonCode: text('reason_code'),
    reasonMessage: text('reason_message'),
    eventSequence: bigint('event_sequence', { mode: 'number' }).notNull().default(0),
    createdAt: seconds('created_at').notNull(),
    updatedAt: seconds('updated_at').notNull(),
  },
  (table) => [
    uniqueIndex('jobs_lane_nonce').on(table.laneId, table.nonce),
    index('jobs_provider_state').on(table.provider, table.state),
    index('jobs_state_updated').on(table.state, table.updatedAt),
    index('jobs_settlement_block').on(table.settlementBlock),
    index('jobs_module').on(table.moduleVersion, table.updatedAt),
    index('jobs_approved_late')
      .on(table.approvedUntil)
      .where(sql`state in ('expired', 'failed') and settlement_transaction is null`),
  ],
)

/** Hash chain of reservations, per payer and token. */
export const reservations = pgTable(
  'reservations',
  {
    payer: hex('payer').notNull(),
    token: hex('token').notNull(),
    sequence: bigint('sequence', { mode: 'number' }).notNull(),
    orderHash: hex('order_hash').notNull().unique(),
    key: hex('key').notNull(),
    previous: hex('previous').notNull(),
    hash: hex('hash').notNull(),
    amount: amount('amount').notNull(),
    /** What of the amount still counts against the payer; zero once released. */
    held: amount('held').notNull(),
    reservedAt: seconds('reserved_at').notNull(),
    releasedAt: seconds('released_at'),
  },
  (table) => [
    primaryKey({ columns: [table.payer, table.token, table.sequence] }),
    // Each order adds up what is held, and most of what was ever reserved is held no more.
    index('reservations_key').on(table.payer, table.key, table.token).where(sql`held > 0`),
  ],
)

/** Head of each chain of reservations. Its row lock puts the orders of one payer in sequence. */
export const ledgers = pgTable(
  'ledgers',
  {
    payer: hex('payer').notNull(),
    token: hex('token').notNull(),
    sequence: bigint('sequence', { mode: 'number' }).notNull(),
    head: hex('head').notNull(),
    outstanding: amount('outstanding').notNull(),
    /** Rises with each settlement seen, so that a balance read before it is noticed to be old. */
    settlements: bigint('settlements', { mode: 'number' }).notNull().default(0),
  },
  (table) => [primaryKey({ columns: [table.payer, table.token] })],
)

/** Newest acknowledgement of each lane. */
export const lanes = pgTable('lanes', {
  laneId: hex('lane_id').primaryKey(),
  jobs: bigint('jobs', { mode: 'number' }).notNull(),
  cumulativeAmount: amount('cumulative_amount').notNull(),
  recordsHash: hex('records_hash').notNull(),
})

/** Files of a job. An input counts only once its own requester has sent it, whoever else sent the same bytes. */
export const jobFiles = pgTable(
  'job_files',
  {
    orderHash: hex('order_hash').notNull(),
    direction: text('direction').$type<'input' | 'output'>().notNull(),
    sha256: hex('sha256').notNull(),
    bytes: bigint('bytes', { mode: 'number' }).notNull(),
    present: boolean('present').notNull(),
  },
  (table) => [primaryKey({ columns: [table.orderHash, table.direction, table.sha256] })],
)

/** What happened to a job, in order. */
export const jobEvents = pgTable(
  'job_events',
  {
    orderHash: hex('order_hash').notNull(),
    sequence: bigint('sequence', { mode: 'number' }).notNull(),
    /** JobEvent without its sequence. */
    event: text('event').notNull(),
  },
  (table) => [primaryKey({ columns: [table.orderHash, table.sequence] })],
)

/** Settlements that leave without a guardian's consent after a delay. */
export const announcements = pgTable(
  'announcements',
  {
    settlementHash: hex('settlement_hash').primaryKey(),
    payer: hex('payer').notNull(),
    token: hex('token').notNull(),
    amount: amount('amount').notNull(),
    expiresAt: seconds('expires_at').notNull(),
    blockNumber: bigint('block_number', { mode: 'number' }).notNull(),
    /** SettlementLanes, where the announcing transaction shows it. */
    settlement: text('settlement'),
  },
  (table) => [
    index('announcements_payer').on(table.payer, table.token),
    index('announcements_block').on(table.blockNumber),
  ],
)

/** What providers said of their sandboxes. */
export const attestations = pgTable(
  'attestations',
  {
    digest: hex('digest').primaryKey(),
    provider: hex('provider').notNull(),
    /** SignedAttestation. */
    attestation: text('attestation').notNull(),
    receivedAt: seconds('received_at').notNull(),
  },
  (table) => [
    index('attestations_provider').on(table.provider, table.receivedAt),
    index('attestations_received').on(table.receivedAt),
  ],
)

/** How far the chain has been read. */
export const chainCursors = pgTable('chain_cursors', {
  name: text('name').primaryKey(),
  blockNumber: bigint('block_number', { mode: 'number' }).notNull(),
})
