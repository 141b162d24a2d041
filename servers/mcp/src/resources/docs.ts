import { errorCodes, errorTable } from '@lilypad-agents/protocol'
import { maySpend, type McpConfig } from '../config/config.ts'
import { type ApprovalMode, enforcedPolicy } from '../config/policy.ts'
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

const list = (items: readonly string[] | undefined, none: string) => items?.join(', ') ?? none

/** What each way to approve means. */
const approvalTexts: { readonly [mode in ApprovalMode]: (from: string) => string } = {
  host: () => 'Within them nobody is asked here: the prompt of the host is the approval (`--approval host`).',
  elicit: (from) =>
    `What can cost ${from} or more (\`--auto-approve-under\`) a person approves in a form of the client, or with \`lilypad-mcp approve\` in a terminal where the client has no forms.`,
  url: (from) =>
    `What can cost ${from} or more (\`--auto-approve-under\`) a person approves on a page of this machine, or with \`lilypad-mcp approve\` in a terminal.`,
  cli: (from) =>
    `What can cost ${from} or more (\`--auto-approve-under\`) a person approves with \`lilypad-mcp approve\` in a terminal.`,
  deny: (from) => `What can cost ${from} or more (\`--auto-approve-under\`) is never approved (\`--approval deny\`).`,
}

/** What this server may spend, as Markdown. */
export function policyText(config: Pick<McpConfig, 'policy' | 'approval' | 'signer' | 'grant' | 'selection'>): string {
  const { signer, grant, approval = 'elicit' } = config
  const policy = enforcedPolicy(config)
  if (!maySpend(config)) {
    const why = signer ? 'This server was started with `--read-only`' : 'This server has no key'
    return `# Policy\n\n${why}. It reads; nothing it can be asked to do spends anything.\n`
  }
  const who = grant ? 'a session key within the grant of its payer' : "the payer's own key"
  return [
    '# Policy',
    '',
    `Orders are signed with ${who}, only by \`lilypad_run_job\`, and only within all of these:`,
    '',
    `- one job: ${withToken(policy.perJob)} (\`--max-per-job\`)`,
    `- any 24 hours: ${withToken(policy.perDay)} (\`--max-per-day\`)`,
    `- ever, with this state folder: ${withToken(policy.total)} (\`--max-total\`)`,
    ...(policy.perSession === undefined
      ? []
      : [`- one run of the server: ${withToken(policy.perSession)} (\`--max-per-session\`)`]),
    ...(policy.jobsPerHour === undefined ? [] : [`- any hour: ${policy.jobsPerHour} jobs (\`--max-jobs-per-hour\`)`]),
    ...(policy.concurrentJobs === undefined
      ? []
      : [`- open at once: ${policy.concurrentJobs} jobs (\`--max-concurrent\`)`]),
    `- modules: ${list(policy.modules, 'all')} (\`--allow-module\`), never ${list(policy.deniedModules, 'none')} (\`--deny-module\`)`,
    `- publishers: ${list(policy.publishers, 'all')} (\`--allow-publisher\`), never ${list(policy.deniedPublishers, 'none')} (\`--deny-publisher\`)`,
    '',
    approvalTexts[approval](withToken(policy.approveFrom ?? 0n)),
    '',
    ...(policy.stopAfter === undefined
      ? []
      : [
          `Spending stops after ${policy.stopAfter.failures} orders in a row that held or cost money and gave no result (\`--stop-after\`), or`,
          `${policy.stopAfter.unknown} payments whose fate is unknown, until the user runs \`lilypad-mcp resume\`.`,
          '',
        ]),
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
