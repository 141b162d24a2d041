import { zeroBytes32 } from '@lilypad-agents/protocol'

/** Tables of the journal. Amounts are decimal text because SQLite's integers are too small; ids are `0x` text. */
export const schemaSql = `
CREATE TABLE IF NOT EXISTS jobs (
  order_hash TEXT PRIMARY KEY,
  phase TEXT NOT NULL CHECK (phase IN ('accepted', 'finished', 'delivered', 'acknowledged', 'closed', 'declined')),
  lane_id TEXT,
  nonce INTEGER,
  payer TEXT,
  key TEXT,
  token TEXT,
  solver TEXT,
  max_price TEXT,
  deliver_by INTEGER,
  module_version TEXT,
  request TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  started_at INTEGER,
  delivery TEXT,
  receipt_hash TEXT,
  price TEXT,
  decline_code TEXT,
  decline_reason TEXT,
  accepted_at INTEGER NOT NULL
) STRICT;
-- One nonce of a lane pays one order, however many orders name it.
CREATE UNIQUE INDEX IF NOT EXISTS jobs_nonce ON jobs (lane_id, nonce) WHERE phase <> 'declined';
CREATE INDEX IF NOT EXISTS jobs_phase ON jobs (phase);
CREATE INDEX IF NOT EXISTS jobs_whole ON jobs (accepted_at) WHERE request IS NOT NULL;
CREATE INDEX IF NOT EXISTS jobs_payer ON jobs (payer, token, phase);
-- Runs that went wrong and cost nothing, without the many that may be free and go well.
CREATE INDEX IF NOT EXISTS jobs_unpaid ON jobs (payer, accepted_at) WHERE price = '0' AND json_extract(delivery, '$.receipt.status') <> 0;

CREATE TABLE IF NOT EXISTS reservations (
  solver TEXT NOT NULL,
  payer TEXT NOT NULL,
  token TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  hash TEXT NOT NULL,
  signature TEXT NOT NULL,
  PRIMARY KEY (solver, payer, token, sequence)
) STRICT, WITHOUT ROWID;

-- The solver's word for each job: without it a guarded payer cannot be claimed from.
CREATE TABLE IF NOT EXISTS job_reservations (
  order_hash TEXT PRIMARY KEY REFERENCES jobs (order_hash),
  reservation TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Delivered jobs that nobody acknowledged. A later version may add states, so they are not listed here.
CREATE TABLE IF NOT EXISTS claims (
  order_hash TEXT PRIMARY KEY REFERENCES jobs (order_hash),
  state TEXT NOT NULL,
  acknowledgement TEXT,
  finalizable_at INTEGER,
  updated_at INTEGER NOT NULL
) STRICT;

-- Of each job that is paid in steps the newest that was acknowledged. Where it is taken, it is what is paid of the job.
CREATE TABLE IF NOT EXISTS steps (
  order_hash TEXT PRIMARY KEY REFERENCES jobs (order_hash),
  price TEXT NOT NULL,
  acknowledged TEXT NOT NULL,
  is_taken INTEGER NOT NULL DEFAULT 0,
  is_void INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS grants (
  payer TEXT NOT NULL,
  key TEXT NOT NULL,
  token TEXT NOT NULL,
  grant_json TEXT NOT NULL,
  PRIMARY KEY (payer, key, token)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS lanes (
  lane_id TEXT PRIMARY KEY,
  payer TEXT NOT NULL,
  key TEXT NOT NULL,
  provider TEXT NOT NULL,
  solver TEXT NOT NULL,
  token TEXT NOT NULL,
  lane INTEGER NOT NULL,
  jobs INTEGER NOT NULL DEFAULT 0,
  cumulative_amount TEXT NOT NULL DEFAULT '0',
  records_hash TEXT NOT NULL DEFAULT '${zeroBytes32}',
  settled_jobs INTEGER NOT NULL DEFAULT 0,
  settled_amount TEXT NOT NULL DEFAULT '0',
  settled_at INTEGER NOT NULL DEFAULT 0,
  checked_at INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS lanes_payer ON lanes (payer, token);

CREATE TABLE IF NOT EXISTS acknowledgements (
  lane_id TEXT NOT NULL REFERENCES lanes (lane_id),
  position INTEGER NOT NULL,
  order_hash TEXT NOT NULL UNIQUE REFERENCES jobs (order_hash),
  receipt_hash TEXT NOT NULL,
  module_version TEXT NOT NULL,
  price TEXT NOT NULL,
  nonce INTEGER NOT NULL,
  cumulative_amount TEXT NOT NULL,
  records_hash TEXT NOT NULL,
  signature TEXT NOT NULL,
  acknowledged_at INTEGER NOT NULL,
  PRIMARY KEY (lane_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS settlements (
  transaction_hash TEXT PRIMARY KEY,
  lanes INTEGER NOT NULL,
  jobs INTEGER NOT NULL,
  sent_at INTEGER NOT NULL,
  block_number INTEGER
) STRICT;

-- Lanes whose guardian has not consented, with what was announced of them: sent again after a crash, byte for byte.
CREATE TABLE IF NOT EXISTS unapproved_lanes (
  lane_id TEXT PRIMARY KEY REFERENCES lanes (lane_id),
  since INTEGER NOT NULL,
  settled_jobs INTEGER,
  settlement TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS modules (
  module_version TEXT PRIMARY KEY,
  manifest TEXT NOT NULL
) STRICT, WITHOUT ROWID;
`
