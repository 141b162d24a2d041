import { z } from 'zod'
import { approvalFacts } from '../approval/approval-facts.ts'
import { JobResult, toJobResult } from '../job/job-result.ts'
import { defineTool } from '../tool/define-tool.ts'
import { Handle } from './module-reference.ts'
import { waitSeconds, withReports } from './wait-seconds.ts'

/** Orders a quoted job. */
export const runJob = defineTool({
  name: 'lilypad_run_job',
  title: 'Run a quoted job',
  description:
    'Buy the job of a quote: spends up to its max_charge, within limits, and only if the result verifies. The user may be asked first. The same quote_id again is the same job, never a second charge. Returns after wait_s; follow an unfinished job with lilypad_get_job.',
  input: z.strictObject({ quote_id: Handle, wait_s: waitSeconds(25) }),
  output: JobResult,
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: true },
  needsKey: true,
  example: { quote_id: `0x${'5a'.repeat(32)}`, wait_s: 25 },
  showsJob: true,
  async handle({ quote_id, wait_s }, context) {
    const check = await context.lilypad.checkOrder(quote_id)
    if (check.job === undefined && check.needsApproval) {
      const { offer, approval, left } = check
      const { lilypad, approvals, asking } = context
      const facts = approvalFacts(offer, { network: lilypad.network, payer: lilypad.payer, left })
      const question = await approvals.ask(facts, { approval, left, asking })
      if (question) return { question }
    }
    const kept = context.keeper.run(quote_id, wait_s, context.signal)
    return { result: await toJobResult(await withReports(kept, () => 'waiting for the job', context), context) }
  },
})
