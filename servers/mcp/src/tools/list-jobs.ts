import { z } from 'zod'
import { paymentOf, payments } from '../job/job-result.ts'
import { Amount, currencyShape, formatAmount, tokenSymbol } from '../money/token.ts'
import { count } from '../text/count.ts'
import { defineTool } from '../tool/define-tool.ts'

/** Lists the newest jobs of this server. */
export const listJobs = defineTool({
  name: 'lilypad_list_jobs',
  title: 'List jobs',
  description: 'List the jobs ordered here, newest first, as last known. Use it to find a job_id again. Free.',
  input: z.strictObject({ limit: z.int().min(1).max(50).default(10) }),
  output: z.object({
    summary: z.string(),
    jobs: z.array(
      z.object({
        job_id: z.string(),
        module: z.string(),
        state: z.string(),
        payment: z.enum(payments),
        charged: Amount,
        ordered_at: z.string(),
      }),
    ),
    ...currencyShape,
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  async handle({ limit }, { lilypad }) {
    const jobs = await lilypad.listJobs()
    const shown = jobs.slice(0, limit)
    return {
      result: {
        summary: `${shown.length} of ${count(jobs.length, 'job')}. Read one with lilypad_get_job.`,
        jobs: shown.map((job) => ({
          job_id: job.orderHash,
          module: job.module.name,
          state: job.state,
          payment: paymentOf(job),
          charged: formatAmount(job.acknowledgement ? (job.price ?? 0n) : 0n),
          ordered_at: new Date(job.orderedAt * 1000).toISOString(),
        })),
        token: tokenSymbol,
        chain_id: lilypad.network.chainId,
      },
    }
  },
})
