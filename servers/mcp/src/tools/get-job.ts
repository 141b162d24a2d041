import { z } from 'zod'
import { JobResult, toJobResult } from '../job/job-result.ts'
import { defineTool } from '../tool/define-tool.ts'
import { Handle } from './module-reference.ts'
import { waitSeconds, withReports } from './wait-seconds.ts'

/** Reads a job, waiting for its end if asked to. */
export const getJob = defineTool({
  name: 'lilypad_get_job',
  title: 'Get job',
  description:
    'Read the state of a job, waiting up to wait_s for its end. Call again while done is false; the job goes on meanwhile. log_lines shows the end of its log under untrusted. Free.',
  input: z.strictObject({
    job_id: Handle,
    wait_s: waitSeconds(0),
    log_lines: z.int().min(0).max(200).default(0),
  }),
  output: JobResult,
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  example: { job_id: `0x${'a1'.repeat(32)}`, wait_s: 50 },
  showsJob: true,
  async handle({ job_id, wait_s, log_lines }, context) {
    const kept = context.keeper.wait(job_id, wait_s, context.signal)
    const stage = () => context.watch.find(job_id)?.moves.at(-1)?.state ?? 'waiting for the job'
    const job = wait_s > 0 ? await withReports(kept, stage, context) : await kept
    return { result: await toJobResult(job, context, { logLines: log_lines, withEvents: true }) }
  },
})
