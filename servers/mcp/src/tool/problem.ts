import { type ErrorCode, InvalidRequestError, type LilypadError, toLilypadError } from '@lilypad-agents/protocol'
import { z } from 'zod'
import { ownCommand } from '../commands/own-command.ts'
import type { McpConfig } from '../config/config.ts'
import { OrderRefusedError } from '../job/job-keeper.ts'
import { failureFacts, type Logger } from '../log/logger.ts'
import { cleanLine, cleanText } from '../text/clean-text.ts'

/** What to do about an error, in terms of the tools here. */
const fixes: { readonly [code in ErrorCode]: string } = {
  INVALID_REQUEST: 'correct the arguments named in the message and call again',
  INPUTS_INVALID:
    'correct the inputs named in the message (lilypad_get_module shows the schema) and call lilypad_quote_job again',
  SIGNATURE_INVALID: 'ask the user whether the key and the grant of this server belong to this network',
  WRONG_CHAIN: 'ask the user to correct the network file; nothing can be ordered until then',
  WRONG_CONTRACT: 'stop ordering; tell the user that the contracts are not the ones of the network file',
  DIGEST_MISMATCH: 'call again; if it stays, tell the user that the relay sends other bytes than were delivered',
  UNAUTHORIZED: 'ask the user to check the key of this server (--key-file) and its grant (--grant-file)',
  INSUFFICIENT_BALANCE:
    'ask the user to deposit LILY for the payer that lilypad_get_wallet shows, then run the quote again or ask for a new one',
  READ_ONLY:
    'ask the user to start this server with --key-file and without --read-only or --mode read-only; as it is, it only reads',
  GRANT_INVALID: 'ask the user to renew the grant of this server (--grant-file)',
  OVER_JOB_LIMIT: 'choose a cheaper job, or ask the user to restart this server with a higher --max-per-job',
  OVER_DAY_LIMIT: 'wait, or ask the user to restart this server with a higher --max-per-day',
  OVER_TOTAL_LIMIT: 'ask the user to restart this server with a higher --max-total',
  OVER_SESSION_LIMIT: 'ask the user to restart this server, or to do so with a higher --max-per-session',
  OVER_HOUR_LIMIT: 'wait, or ask the user to restart this server with a higher --max-jobs-per-hour',
  OVER_CONCURRENT_LIMIT:
    'wait until a job of lilypad_list_jobs ends, or ask the user to restart this server with a higher --max-concurrent',
  MODULE_NOT_ALLOWED:
    'use a module that lilypad_get_wallet lists as allowed, or ask the user to change --allow-module or --deny-module',
  PUBLISHER_NOT_ALLOWED:
    'choose another module with lilypad_search_modules, or ask the user to change --allow-publisher or --deny-publisher',
  APPROVAL_REQUIRED: 'ask the user to run `lilypad-mcp approve` with the quote_id in a terminal, then call again',
  APPROVAL_DECLINED: 'tell the user that this quote was declined; call again with it only when they ask for it',
  APPROVAL_EXPIRED: 'call lilypad_quote_job again and run the new quote_id',
  APPROVAL_INVALID: 'call lilypad_run_job again with the quote_id alone, so that the user is asked anew',
  SPENDING_STOPPED: 'tell the user to look at `lilypad-mcp ledger` and to run `lilypad-mcp resume` in a terminal',
  PATH_NOT_ALLOWED: 'use another path; if there is none, ask the user',
  ADDRESS_NOT_ALLOWED: 'ask the user to check the addresses in the network file',
  NOT_FOUND:
    'lilypad_search_modules and lilypad_list_jobs show what there is; if it stays, ask the user whether the solver of the network file is the right one',
  MODULE_UNKNOWN: 'find the exact name with lilypad_search_modules',
  QUOTE_UNKNOWN: 'call lilypad_quote_job and use the quote_id it returns',
  JOB_UNKNOWN: 'lilypad_list_jobs shows the job ids',
  OUTPUT_UNKNOWN: 'call lilypad_get_outputs without path to see the paths',
  PRICE_OVER_CAP: 'raise max_price if the user agrees, or choose another module with lilypad_search_modules',
  QUOTE_USED: 'lilypad_list_jobs shows the job of this quote; for another job call lilypad_quote_job',
  NONCE_USED: 'call lilypad_quote_job again and run the new quote_id',
  ACKNOWLEDGEMENT_OUT_OF_ORDER: 'call lilypad_get_job again in a few seconds; it is put in order by itself',
  STATE_CONFLICT: 'call lilypad_get_job to see how far the job is; what is delivered cannot be taken back',
  GUARDIAN_MISMATCH:
    'ask the user which solver guards the account (`lilypad wallet show`): order through it, or change it and wait',
  SETTLEMENT_REFUSED: 'tell the user that provider and solver have to settle this between them',
  QUOTE_EXPIRED: 'call lilypad_quote_job again and run the new quote_id',
  ORDER_EXPIRED: 'call lilypad_quote_job again and run the new quote_id',
  MODULE_DEPRECATED: 'use a newer version (lilypad_search_modules)',
  PAYLOAD_TOO_LARGE:
    'make the inputs smaller and call lilypad_quote_job again; a delivery that is too large is not paid, tell the user',
  VERIFICATION_FAILED: 'do not rely on this result; it is not paid; call lilypad_quote_job again to order anew',
  STREAM_BROKEN: 'do not rely on what was shown while it ran; lilypad_get_job tells what was delivered',
  JOB_FAILED: 'read the log under untrusted, correct the inputs, and call lilypad_quote_job again',
  JOB_DECLINED: 'call lilypad_quote_job again; nothing is paid for this job',
  JOB_EXPIRED: 'call lilypad_quote_job again; nothing is paid for this job',
  RATE_LIMITED: 'wait a minute, then call again',
  NO_PROVIDER_AVAILABLE: 'try again in a minute, or choose another module with lilypad_search_modules',
  PROVIDER_GONE: 'call lilypad_get_job in a minute: the job goes on when its provider is back, or ends unpaid',
  OUTPUT_UNAVAILABLE: 'try again in a minute; if it stays, tell the user that the relay has lost the file',
  EXECUTOR_UNAVAILABLE: 'try again in a minute, or choose another module with lilypad_search_modules',
  RPC_UNREACHABLE:
    'try again in a few seconds; if it stays, ask the user to check the RPC endpoint of the network file',
  SOLVER_UNREACHABLE:
    'try again in a few seconds (repeating cannot pay twice); if it stays, ask the user whether the network runs',
  STORAGE_FULL: 'ask the user to make room on the disk, then call again',
  UPSTREAM_FAILED: 'try again in a minute, or choose another module with lilypad_search_modules',
  PAYMENT_REQUIRED: 'ask the user to check the network file: its solver asks for money, as only a gateway does',
  PAYMENT_REFUSED: 'ask the user to name another seller with --paid-server; this one cannot be paid from here',
  PAID_SERVER_UNREACHABLE: 'try again in a few seconds (the same call never pays twice); if it stays, tell the user',
  PAYMENT_UNKNOWN: 'make the same call again: it sends the same payment, which can be taken only once',
  TIMED_OUT: 'call lilypad_get_job with the job_id and wait_s up to 50; the job goes on meanwhile',
  CONFIG_INVALID: 'ask the user to correct the settings of this server',
  CONTRACT_REVERTED: 'tell the user what is under untrusted; nothing more can be done from here',
  INTERNAL: 'tell the user the reference; the log of this server says more',
}

/** What to do about a code. */
export const fixOf = (code: ErrorCode): string => fixes[code]

const unreadableFix =
  'try again; if it stays, tell the user that the solver of the network file sends what cannot be read'
// An error of these codes that was composed here knows better which of its causes it is.
const hinting: ReadonlySet<ErrorCode> = new Set([
  'INVALID_REQUEST',
  'PATH_NOT_ALLOWED',
  'PAYLOAD_TOO_LARGE',
  'APPROVAL_REQUIRED',
  'APPROVAL_DECLINED',
  'PAYMENT_REFUSED',
])

function fixFor(failure: LilypadError): string {
  const { code, hint } = failure
  if (failure instanceof InvalidRequestError) return unreadableFix
  const isOwn = isOurs(failure) && hint !== undefined && (hinting.has(code) || hint.includes('lilypad_'))
  return isOwn ? hint : fixes[code]
}

/** Codes whose facts quote another party, whoever composed the error. */
const quoting: ReadonlySet<ErrorCode> = new Set([
  'JOB_DECLINED',
  'JOB_EXPIRED',
  'VERIFICATION_FAILED',
  'CONTRACT_REVERTED',
  'INPUTS_INVALID',
  'PAYMENT_REFUSED',
  'PAYMENT_UNKNOWN',
])

const resumeFix = (config: Parameters<typeof ownCommand>[0]) =>
  `tell the user to look at \`${ownCommand(config, 'ledger')}\` and to run \`${ownCommand(config, 'resume')}\` in a terminal`

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
 * An internal error shows a reference; the log has the rest under it. With the config, commands for a terminal name this server's folder.
 */
export function tellProblem(
  error: unknown,
  logger: Logger,
  config?: Pick<McpConfig, 'stateDirectory' | 'networkFile' | 'launch'>,
): ToldProblem {
  const failure = toLilypadError(error)
  const { code, row, retryable, docsPath } = failure
  // Only what is known here can say what was charged, not who refused.
  const charged = isOurs(failure) ? failure.charged : 'none'
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
        fix: fixes[code],
        docs: docsPath,
      },
      untrusted: undefined,
    }
  }
  const fix = code === 'SPENDING_STOPPED' && config ? resumeFix(config) : fixFor(failure)
  const facts = failure.details.slice(0, 10).map((detail) => cleanLine(detail, 300))
  if (isOurs(failure)) {
    const isQuoting =
      quoting.has(code) || failure instanceof InvalidRequestError || failure instanceof OrderRefusedError
    const said = isQuoting ? facts : facts.filter((fact) => fact.startsWith('Reason given:'))
    const ours = facts.filter((fact) => !said.includes(fact))
    const shown = code === 'INPUTS_INVALID' ? namesOf(facts) : ours
    const message = cleanText([failure.shortMessage, ...shown].join('\n'), 2000)
    return {
      problem: { code, message, charged, retryable, fix, docs: docsPath },
      untrusted: said.length > 0 ? { details: said } : undefined,
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

/** Which inputs do not fit. What is expected of them quotes the schema, which is its author's. */
const namesOf = (facts: readonly string[]): readonly string[] => [
  `Inputs: ${facts.map((fact) => JSON.stringify(/^[^:]*/.exec(fact)?.[0].replace(/^"|"$/g, '').slice(0, 64))).join(', ')}; what is expected is under untrusted`,
]

// An error of a class of its own was composed in this process; one that came over the wire has only the base class.
const isOurs = (error: LilypadError): boolean => error.name !== 'LilypadError'
