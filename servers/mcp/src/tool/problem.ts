import { type ErrorCode, type LilypadError, toLilypadError } from '@lilypad-agents/protocol'
import { z } from 'zod'
import { failureFacts, type Logger } from '../log/logger.ts'
import { cleanLine, cleanText } from '../text/clean-text.ts'

/** What to do about an error, in terms of the tools here. Codes that are missing take the hint of the error itself. */
const fixes: { readonly [code in ErrorCode]?: string } = {
  INVALID_REQUEST: 'correct the arguments named in the message and call again',
  INPUTS_INVALID: 'correct the inputs named in the message (lilypad_get_module shows the schema) and quote again',
  MODULE_UNKNOWN: 'find the exact name with lilypad_search_modules',
  QUOTE_UNKNOWN: 'call lilypad_quote_job and use the quote_id it returns',
  QUOTE_EXPIRED: 'call lilypad_quote_job again and run the new quote_id',
  ORDER_EXPIRED: 'call lilypad_quote_job again and run the new quote_id',
  JOB_UNKNOWN: 'lilypad_list_jobs shows the job ids',
  OUTPUT_UNKNOWN: 'call lilypad_get_outputs without path to see the paths',
  OVER_JOB_LIMIT: 'choose a cheaper job, or ask the user to restart this server with a higher --max-per-job',
  OVER_DAY_LIMIT: 'wait, or ask the user to restart this server with a higher --max-per-day',
  OVER_TOTAL_LIMIT: 'ask the user to restart this server with a higher --max-total',
  MODULE_NOT_ALLOWED: 'use a module that lilypad_get_wallet lists as allowed, or ask the user to add --allow-module',
  PRICE_OVER_CAP: 'raise max_price, or choose another module',
  INSUFFICIENT_BALANCE:
    'ask the user to deposit LILY for the payer that lilypad_get_wallet shows, then run the quote again or ask for a new one',
  GUARDIAN_MISMATCH:
    'ask the user which solver guards the account (`lilypad wallet show`): order through it, or change it and wait',
  GRANT_INVALID: 'ask the user to renew the grant of this server (--grant-file)',
  READ_ONLY: 'ask the user to start this server with --key-file and without --read-only; as it is, it only reads',
  SOLVER_UNREACHABLE:
    'try again in a few seconds (repeating cannot pay twice); if it stays, ask the user whether the network runs',
  RPC_UNREACHABLE:
    'try again in a few seconds; if it stays, ask the user to check the RPC endpoint of the network file',
  WRONG_CHAIN: 'ask the user to correct the network file; nothing can be ordered until then',
  NO_PROVIDER_AVAILABLE: 'try again in a minute, or choose another module',
  JOB_DECLINED: 'ask for a new quote; nothing is paid for this job',
  JOB_EXPIRED: 'ask for a new quote; nothing is paid for this job',
  JOB_FAILED: 'read the log under untrusted, correct the inputs, ask for a new quote',
  VERIFICATION_FAILED: 'do not rely on this result; it is not paid; order again, from a new quote',
  TIMED_OUT: 'call lilypad_get_job with the job_id and wait_s up to 50; the job goes on meanwhile',
  MODULE_DEPRECATED: 'use a newer version (lilypad_search_modules)',
}

/** What to do about a code, where the tools here can do something about it. */
export const fixOf = (code: ErrorCode): string | undefined => fixes[code]

/** Codes whose facts quote another party, whoever composed the error. */
const quoting: ReadonlySet<ErrorCode> = new Set([
  'JOB_DECLINED',
  'JOB_EXPIRED',
  'VERIFICATION_FAILED',
  'CONTRACT_REVERTED',
])

/** An error as a model sees it. */
export const Problem = z.object({
  code: z.string(),
  message: z.string(),
  charged: z.string(),
  retryable: z.boolean(),
  fix: z.string(),
  docs: z.string(),
})
export type Problem = z.output<typeof Problem>

/** A problem, with what another party said about it kept apart. */
export type ToldProblem = {
  readonly problem: Problem
  readonly untrusted: { readonly details: readonly string[] } | undefined
}

/**
 * Tells an error to a model: our words as the message, the words of others apart, what to do in terms of the tools.
 * An internal error shows a reference; the log has the rest under it.
 */
export function tellProblem(error: unknown, logger: Logger): ToldProblem {
  const failure = toLilypadError(error)
  const { code, row, charged, retryable, docsPath, hint } = failure
  if (row.mcp === 'reference') {
    const reference = crypto.randomUUID()
    logger.error({ reference, ...failureFacts(failure) }, 'internal error')
    const message = `Something went wrong inside this server. Reference: ${reference}`
    return {
      problem: {
        code,
        message,
        charged,
        retryable,
        fix: 'tell the user the reference; the log of this server says more',
        docs: docsPath,
      },
      untrusted: undefined,
    }
  }
  const fix = fixes[code] ?? (isOurs(failure) && hint ? hint : 'tell the user; nothing more can be done from here')
  const facts = failure.details.slice(0, 10).map((detail) => cleanLine(detail, 300))
  if (isOurs(failure)) {
    const isQuoting = quoting.has(code)
    const message = cleanText([failure.shortMessage, ...(isQuoting ? [] : facts)].join('\n'), 2000)
    return {
      problem: { code, message, charged, retryable, fix, docs: docsPath },
      untrusted: isQuoting && facts.length > 0 ? { details: facts } : undefined,
    }
  }
  const details = [cleanLine(failure.shortMessage, 300), ...facts]
  return {
    problem: {
      code,
      message: `The call was refused with ${code}; the words of the one that refused are under untrusted.`,
      charged,
      retryable,
      fix,
      docs: docsPath,
    },
    untrusted: { details },
  }
}

// An error of a class of its own was composed in this process; one that came over the wire has only the base class.
const isOurs = (error: LilypadError): boolean => error.name !== 'LilypadError'
