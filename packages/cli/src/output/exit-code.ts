import { type ErrorCode, toLilypadError } from '@lilypad-agents/protocol'

/** What the exit code of the command says. */
export const exitCodes = { ok: 0, failed: 1, usage: 2, notVerified: 3, overLimit: 4, unavailable: 5 } as const

const byCode: { readonly [code in ErrorCode]?: number } = {
  INVALID_REQUEST: exitCodes.usage,
  INPUTS_INVALID: exitCodes.usage,
  CONFIG_INVALID: exitCodes.usage,
  VERIFICATION_FAILED: exitCodes.notVerified,
  DIGEST_MISMATCH: exitCodes.notVerified,
  SIGNATURE_INVALID: exitCodes.notVerified,
  OVER_JOB_LIMIT: exitCodes.overLimit,
  OVER_DAY_LIMIT: exitCodes.overLimit,
  OVER_TOTAL_LIMIT: exitCodes.overLimit,
  OVER_SESSION_LIMIT: exitCodes.overLimit,
  OVER_HOUR_LIMIT: exitCodes.overLimit,
  OVER_CONCURRENT_LIMIT: exitCodes.overLimit,
  MODULE_NOT_ALLOWED: exitCodes.overLimit,
  PUBLISHER_NOT_ALLOWED: exitCodes.overLimit,
  APPROVAL_REQUIRED: exitCodes.overLimit,
  APPROVAL_DECLINED: exitCodes.overLimit,
  APPROVAL_EXPIRED: exitCodes.overLimit,
  APPROVAL_INVALID: exitCodes.overLimit,
  SPENDING_STOPPED: exitCodes.overLimit,
  PRICE_OVER_CAP: exitCodes.overLimit,
  INSUFFICIENT_BALANCE: exitCodes.overLimit,
  PAYMENT_REQUIRED: exitCodes.overLimit,
  PAYMENT_REFUSED: exitCodes.overLimit,
  NO_PROVIDER_AVAILABLE: exitCodes.unavailable,
  PROVIDER_GONE: exitCodes.unavailable,
  UPSTREAM_FAILED: exitCodes.unavailable,
  SOLVER_UNREACHABLE: exitCodes.unavailable,
  RPC_UNREACHABLE: exitCodes.unavailable,
  PAID_SERVER_UNREACHABLE: exitCodes.unavailable,
  PAYMENT_UNKNOWN: exitCodes.unavailable,
  TIMED_OUT: exitCodes.unavailable,
  EXECUTOR_UNAVAILABLE: exitCodes.unavailable,
}

/** Exit code for an error. */
export function toExitCode(error: unknown): number {
  return byCode[toLilypadError(error).code] ?? exitCodes.failed
}
