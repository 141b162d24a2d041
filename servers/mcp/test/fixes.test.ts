import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ErrorCode, errorCodes, errorTable, LilypadError } from '@lilypad-agents/protocol'
import type { Client } from '@modelcontextprotocol/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { honestPlay, type StubNetwork, startStubNetwork } from '../../../packages/sdk/test/stub-network.ts'
import { sampleModule } from '../../../packages/sdk/test/sample-bundle.ts'
import { startMcpHttp } from '../src/index.ts'
import { fixOf } from '../src/tool/problem.ts'
import type { McpConfig } from '../src/config/config.ts'
import { connectHttp } from './clients.ts'
import { createPlanner } from './evals/planner.ts'
import { readFix } from './evals/read-fix.ts'
import type { Facts, Intent, Toolbox } from './evals/toolbox.ts'
import { seedConfig } from './seed-jobs.ts'

/** Where a solver refuses with the code: the call that meets it, or none when no solver sends it. */
type Place = 'quote' | 'order' | 'cancel' | 'outputs'
/** How far an agent comes that does what the `fix` says: to a paid job, or to what only the user can do, in these words. */
type End = 'done' | RegExp

/** Errors that pass: the second or third try meets none. Each code has a row; one that is added needs one. */
const rows: { readonly [code in ErrorCode]: { readonly at: Place; readonly once: End; readonly always: End } } = {
  INVALID_REQUEST: { at: 'quote', once: /correct the arguments/, always: /correct the arguments/ },
  INPUTS_INVALID: { at: 'quote', once: /correct the inputs/, always: /correct the inputs/ },
  SIGNATURE_INVALID: { at: 'order', once: /ask the user whether the key/, always: /ask the user whether the key/ },
  WRONG_CHAIN: { at: 'quote', once: /correct the network file/, always: /correct the network file/ },
  DIGEST_MISMATCH: { at: 'quote', once: 'done', always: /relay sends other bytes/ },
  UNAUTHORIZED: { at: 'order', once: /--key-file/, always: /--key-file/ },
  INSUFFICIENT_BALANCE: { at: 'order', once: /deposit LILY/, always: /deposit LILY/ },
  READ_ONLY: { at: 'order', once: /--key-file/, always: /--key-file/ },
  GRANT_INVALID: { at: 'order', once: /--grant-file/, always: /--grant-file/ },
  OVER_JOB_LIMIT: { at: 'quote', once: /--max-per-job/, always: /--max-per-job/ },
  OVER_DAY_LIMIT: { at: 'quote', once: 'done', always: /--max-per-day/ },
  OVER_TOTAL_LIMIT: { at: 'quote', once: /--max-total/, always: /--max-total/ },
  MODULE_NOT_ALLOWED: { at: 'quote', once: /--allow-module/, always: /--allow-module/ },
  PATH_NOT_ALLOWED: { at: 'quote', once: /ask the user/, always: /ask the user/ },
  ADDRESS_NOT_ALLOWED: { at: 'quote', once: /ask the user/, always: /ask the user/ },
  NOT_FOUND: { at: 'quote', once: /solver of the network file/, always: /solver of the network file/ },
  MODULE_UNKNOWN: { at: 'quote', once: /lilypad_search_modules/, always: /lilypad_search_modules/ },
  QUOTE_UNKNOWN: { at: 'order', once: 'done', always: /lilypad_quote_job/ },
  JOB_UNKNOWN: { at: 'cancel', once: 'done', always: /lilypad_list_jobs/ },
  OUTPUT_UNKNOWN: { at: 'outputs', once: 'done', always: /without path/ },
  PRICE_OVER_CAP: { at: 'quote', once: /raise max_price/, always: /raise max_price/ },
  QUOTE_USED: { at: 'order', once: 'done', always: /lilypad_list_jobs/ },
  NONCE_USED: { at: 'order', once: 'done', always: /lilypad_quote_job/ },
  ACKNOWLEDGEMENT_OUT_OF_ORDER: { at: 'quote', once: 'done', always: /by itself/ },
  STATE_CONFLICT: { at: 'cancel', once: 'done', always: /lilypad_get_job/ },
  GUARDIAN_MISMATCH: { at: 'order', once: /which solver guards/, always: /which solver guards/ },
  SETTLEMENT_REFUSED: { at: 'quote', once: /tell the user/, always: /tell the user/ },
  QUOTE_EXPIRED: { at: 'order', once: 'done', always: /lilypad_quote_job/ },
  ORDER_EXPIRED: { at: 'order', once: 'done', always: /lilypad_quote_job/ },
  MODULE_DEPRECATED: { at: 'quote', once: /newer version/, always: /newer version/ },
  PAYLOAD_TOO_LARGE: { at: 'quote', once: /inputs smaller/, always: /inputs smaller/ },
  VERIFICATION_FAILED: { at: 'quote', once: 'done', always: /do not rely/ },
  STREAM_BROKEN: { at: 'quote', once: /do not rely/, always: /do not rely/ },
  JOB_FAILED: { at: 'quote', once: /read the log/, always: /read the log/ },
  JOB_DECLINED: { at: 'quote', once: 'done', always: /lilypad_quote_job/ },
  JOB_EXPIRED: { at: 'quote', once: 'done', always: /lilypad_quote_job/ },
  RATE_LIMITED: { at: 'quote', once: 'done', always: /wait a minute/ },
  NO_PROVIDER_AVAILABLE: { at: 'quote', once: 'done', always: /another module/ },
  PROVIDER_GONE: { at: 'cancel', once: 'done', always: /lilypad_get_job/ },
  OUTPUT_UNAVAILABLE: { at: 'outputs', once: 'done', always: /the relay has lost the file/ },
  EXECUTOR_UNAVAILABLE: { at: 'quote', once: 'done', always: /another module/ },
  RPC_UNREACHABLE: { at: 'quote', once: 'done', always: /check the RPC endpoint/ },
  SOLVER_UNREACHABLE: { at: 'quote', once: 'done', always: /whether the network runs/ },
  STORAGE_FULL: { at: 'quote', once: 'done', always: /make room/ },
  TIMED_OUT: { at: 'quote', once: 'done', always: /lilypad_get_job/ },
  CONFIG_INVALID: { at: 'quote', once: /correct the settings/, always: /correct the settings/ },
  CONTRACT_REVERTED: { at: 'quote', once: /tell the user/, always: /tell the user/ },
  INTERNAL: { at: 'quote', once: /reference/, always: /reference/ },
}
void rows
