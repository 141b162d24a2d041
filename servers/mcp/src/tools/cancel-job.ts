import { z } from 'zod'
import { JobResult, toJobResult } from '../job/job-result.ts'
import { defineTool } from '../tool/define-tool.ts'
import { Handle } from './module-reference.ts'

const waitSecondsForTheEnd = 10

/** Ends a job before it is delivered. */
export const cancelJob = defineTool({
  name: 'lilypad_cancel_job',
  title: 'Cancel job',
  description:
    'Stop a job that is not delivered yet. A cancelled job costs nothing and gives no result. A job that was faster stays, and its price is owed. Ask the user first unless they want it stopped.',
  input: z.strictObject({ job_id: Handle }),
  output: JobResult.pick({
    summary: true,
    job_id: true,
    state: true,
    done: true,
    payment: true,
    charged: true,
    token: true,
    chain_id: true,
    next: true,
  }),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: true },
  needsKey: true,
  example: { job_id: `0x${'a1'.repeat(32)}` },
  async handle({ job_id }, context) {
    const kept = await context.keeper.cancel(job_id, waitSecondsForTheEnd, context.signal)
    const job = await toJobResult(kept, context)
    const isAsked = !job.done && job.payment === 'reserved'
    const { summary, state, done, payment, charged, token, chain_id, next } = job
    return {
      result: {
        summary: isAsked ? `The provider is asked to stop. ${summary}` : summary,
        job_id,
        state,
        done,
        payment,
        charged,
        token,
        chain_id,
        ...(next ? { next } : {}),
      },
    }
  },
})
