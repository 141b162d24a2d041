import { DynamicStructuredTool } from '@langchain/core/tools'
import { z } from 'zod'
import type { Payer } from '../payer/payer.ts'

/** A tool that tells how a job of this payer stands. It spends nothing. */
export function lilypadJobStatusTool({ payer }: { readonly payer: Payer }): DynamicStructuredTool {
  return new DynamicStructuredTool({
    name: 'lilypad_job_status',
    description: 'Tells the state, cost and outputs of a Lilypad job by its id. Free: it orders and pays nothing.',
    schema: z.object({ job: z.string().max(200).describe('Id of the job') }),
    metadata: { lilypad: { spends: false } },
    async func({ job }, _manager, config) {
      const { state, verified, receipt, reason, outputs } = await payer.getJob(job, { signal: config?.signal })
      return JSON.stringify({
        state,
        verified,
        cost: receipt ? `${receipt.cost.amount} ${receipt.cost.currency}` : null,
        reason: reason ?? null,
        outputs: outputs.map(({ path, bytes }) => ({ path, bytes })),
      })
    },
  })
}
