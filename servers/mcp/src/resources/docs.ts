import { errorCodes, errorTable } from '@lilypad-agents/protocol'
import type { McpConfig } from '../config/config.ts'
import { withToken } from '../money/token.ts'
import { fixOf } from '../tool/problem.ts'

/** Every error code, and what to do about it, as Markdown. */
export function errorsText(): string {
  const rows = errorCodes.map((code) => {
    const again = errorTable[code].retryable ? 'the same call may succeed later' : 'the same call fails again'
    return `- \`${code}\`: ${fixOf(code)} (${again})`
  })
  return [
    '# Errors',
    '',
    'A refused call is a result with `isError` and `{ error: { code, message, charged, retryable, fix, docs } }`.',
    '`charged` is `none`, `reserved` (it comes back by itself), an amount, or `unknown` until the job is read again.',
    '',
    ...rows,
    '',
  ].join('\n')
}

/** What this server may spend, as Markdown. */
export function policyText({ policy, signer, grant }: Pick<McpConfig, 'policy' | 'signer' | 'grant'>): string {
  if (!signer) return '# Policy\n\nThis server has no key. It reads; nothing it can be asked to do spends anything.\n'
  const who = grant ? 'a session key within the grant of its payer' : "the payer's own key"
  return [
    '# Policy',
    '',
    `Orders are signed with ${who}, only by \`lilypad_run_job\`, and only within all of these:`,
    '',
    `- one job: ${withToken(policy.perJob)} (\`--max-per-job\`)`,
    `- any 24 hours: ${withToken(policy.perDay)} (\`--max-per-day\`)`,
    `- ever, with this state folder: ${withToken(policy.total)} (\`--max-total\`)`,
    `- modules: ${policy.modules ? policy.modules.join(', ') : 'all'} (\`--allow-module\`)`,
    '',
    'An order counts with its maximum until its price is known. One that was cancelled or expired counts until nobody can deliver it',
    'any more. No argument, text, answer or header changes a limit: only the person who starts the server does.',
    '',
  ].join('\n')
}

/** What is checked of a result, as Markdown. */
export function verificationText(): string {
  return [
    '# Verification',
    '',
    'Before a job is paid, and again with `lilypad_verify_job`:',
    '',
    '- the signatures of order, grant, reservation, receipt and manifest, and that each fits the others',
    '- the SHA-256 of every output file against the manifest, and their root against the receipt',
    '- the price: metered units times the ask, not over the maximum of the order',
    '- with `lilypad_verify_job` also the chain: the module version is registered, the job is settled with this digest and price',
    '',
    'A job that does not pass is not acknowledged and not paid. Not checked here: whether the program is right, or whether it really ran;',
    'mediators run a sample of jobs again, and a provider that is proven wrong loses its stake.',
    '',
  ].join('\n')
}
