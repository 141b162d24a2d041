import { z } from 'zod'
import { JobResult, toJobResult } from '../job/job-result.ts'
import { defineTool } from '../tool/define-tool.ts'
import { Handle } from './module-reference.ts'
import { waitSeconds } from './wait-seconds.ts'

/** Reads a job, waiting for its end if asked to. */
export const getJob = defineTool({
  name: 'lilypad_get_job',
  title: 'Get job',
  description:
    'Read the state of a job, waiting up to wait_s for its end. Call again while done is false; the job goes on meanwhile. Free.',
  input: z.strictObject({ job_id: Handle, wait_s: waitSeconds(0) }),
  output: JobResult,
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  async handle({ job_id, wait_s }, context) {
    return { result: await toJobResult(await context.keeper.wait(job_id, wait_s, context.signal), context) }
  },
})
