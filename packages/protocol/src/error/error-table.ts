/** How each audience sees an error: HTTP status, OpenAI error type, what an MCP model is told, log level, whether a retry can help. */
export type ErrorRow = {
  readonly http: number
  readonly openai:
    | 'invalid_request_error'
    | 'authentication_error'
    | 'permission_error'
    | 'rate_limit_error'
    | 'server_error'
  readonly mcp: 'shown' | 'reference'
  readonly log: 'info' | 'warn' | 'error'
  readonly retryable: boolean
}

const caller = (http: number): ErrorRow => ({
  http,
  openai: 'invalid_request_error',
  mcp: 'shown',
  log: 'info',
  retryable: false,
})
const later = (http: number): ErrorRow => ({ http, openai: 'server_error', mcp: 'shown', log: 'warn', retryable: true })

/** One row per code. A code is stable: clients branch on it. */
export const errorTable = {
  INVALID_REQUEST: caller(400),
  INPUTS_INVALID: caller(400),
  SIGNATURE_INVALID: caller(400),
  WRONG_CHAIN: caller(400),
  WRONG_CONTRACT: { ...caller(400), log: 'error' },
  DIGEST_MISMATCH: caller(400),
  UNAUTHORIZED: { http: 401, openai: 'authentication_error', mcp: 'shown', log: 'info', retryable: false },
  INSUFFICIENT_BALANCE: caller(402),
  PAYMENT_REQUIRED: caller(402),
  PAYMENT_REFUSED: caller(402),
  READ_ONLY: { http: 403, openai: 'permission_error', mcp: 'shown', log: 'info', retryable: false },
  GRANT_INVALID: { http: 403, openai: 'permission_error', mcp: 'shown', log: 'info', retryable: false },
  OVER_JOB_LIMIT: { http: 403, openai: 'permission_error', mcp: 'shown', log: 'info', retryable: false },
  OVER_DAY_LIMIT: { http: 403, openai: 'permission_error', mcp: 'shown', log: 'info', retryable: false },
  OVER_TOTAL_LIMIT: { http: 403, openai: 'permission_error', mcp: 'shown', log: 'info', retryable: false },
  OVER_SESSION_LIMIT: { http: 403, openai: 'permission_error', mcp: 'shown', log: 'info', retryable: false },
  OVER_HOUR_LIMIT: { http: 429, openai: 'rate_limit_error', mcp: 'shown', log: 'info', retryable: true },
  OVER_CONCURRENT_LIMIT: { http: 429, openai: 'rate_limit_error', mcp: 'shown', log: 'info', retryable: true },
  MODULE_NOT_ALLOWED: { http: 403, openai: 'permission_error', mcp: 'shown', log: 'info', retryable: false },
  PUBLISHER_NOT_ALLOWED: { http: 403, openai: 'permission_error', mcp: 'shown', log: 'info', retryable: false },
  APPROVAL_REQUIRED: { http: 403, openai: 'permission_error', mcp: 'shown', log: 'info', retryable: false },
  APPROVAL_DECLINED: { http: 403, openai: 'permission_error', mcp: 'shown', log: 'info', retryable: false },
  APPROVAL_EXPIRED: { http: 403, openai: 'permission_error', mcp: 'shown', log: 'info', retryable: false },
  APPROVAL_INVALID: { http: 403, openai: 'permission_error', mcp: 'shown', log: 'warn', retryable: false },
  SPENDING_STOPPED: { http: 403, openai: 'permission_error', mcp: 'shown', log: 'warn', retryable: false },
  PATH_NOT_ALLOWED: { http: 403, openai: 'permission_error', mcp: 'shown', log: 'warn', retryable: false },
  ADDRESS_NOT_ALLOWED: { http: 403, openai: 'permission_error', mcp: 'shown', log: 'warn', retryable: false },
  NOT_FOUND: caller(404),
  MODULE_UNKNOWN: caller(404),
  QUOTE_UNKNOWN: caller(404),
  JOB_UNKNOWN: caller(404),
  OUTPUT_UNKNOWN: caller(404),
  PRICE_OVER_CAP: caller(409),
  QUOTE_USED: caller(409),
  NONCE_USED: caller(409),
  ACKNOWLEDGEMENT_OUT_OF_ORDER: { ...caller(409), retryable: true },
  STATE_CONFLICT: caller(409),
  GUARDIAN_MISMATCH: caller(409),
  SETTLEMENT_REFUSED: caller(409),
  QUOTE_EXPIRED: caller(410),
  ORDER_EXPIRED: caller(410),
  MODULE_DEPRECATED: caller(410),
  PAYLOAD_TOO_LARGE: caller(413),
  VERIFICATION_FAILED: { http: 422, openai: 'invalid_request_error', mcp: 'shown', log: 'warn', retryable: false },
  STREAM_BROKEN: { http: 422, openai: 'invalid_request_error', mcp: 'shown', log: 'warn', retryable: false },
  JOB_FAILED: { http: 422, openai: 'invalid_request_error', mcp: 'shown', log: 'info', retryable: false },
  JOB_DECLINED: later(503),
  JOB_EXPIRED: later(504),
  RATE_LIMITED: { http: 429, openai: 'rate_limit_error', mcp: 'shown', log: 'info', retryable: true },
  NO_PROVIDER_AVAILABLE: later(503),
  PROVIDER_GONE: later(503),
  UPSTREAM_FAILED: later(502),
  OUTPUT_UNAVAILABLE: later(503),
  EXECUTOR_UNAVAILABLE: later(503),
  RPC_UNREACHABLE: later(503),
  SOLVER_UNREACHABLE: later(503),
  PAID_SERVER_UNREACHABLE: later(503),
  PAYMENT_UNKNOWN: later(504),
  STORAGE_FULL: later(507),
  TIMED_OUT: later(504),
  CONFIG_INVALID: caller(400),
  CONTRACT_REVERTED: { http: 409, openai: 'invalid_request_error', mcp: 'shown', log: 'warn', retryable: false },
  INTERNAL: { http: 500, openai: 'server_error', mcp: 'reference', log: 'error', retryable: false },
} as const satisfies { readonly [code: string]: ErrorRow }

/** Stable name of an error, in upper snake case. */
export type ErrorCode = keyof typeof errorTable
export const errorCodes = Object.keys(errorTable) as readonly ErrorCode[]
