import type { StoredJob } from '@lilypad-agents/sdk'
import { z } from 'zod'
import { isDone } from '../job/job-keeper.ts'
import { chargedOf, paymentOf, payments, stateOf } from '../job/job-result.ts'
import { Amount, currencyShape, formatAmount, tokenSymbol, withToken } from '../money/token.ts'
import { count } from '../text/count.ts'
import { CursorError, readCursor, toCursor } from '../text/cursor.ts'
import { defineTool } from '../tool/define-tool.ts'

const groups = ['open', 'paid', 'unpaid'] as const
const Key = z.tuple([z.int(), z.string()])

/** Lists the newest jobs of this server. */
export const listJobs = defineTool({
  name: 'lilypad_list_jobs',
  title: 'List jobs',
  description:
    'List the jobs ordered here, newest first, as last known. Use it to find a job_id again or to see what was spent. Free.',
  input: z.strictObject({
    status: z.enum(groups).optional().describe('open: not done'),
    since: z
      .string()
      .refine((text) => !Number.isNaN(Date.parse(text)), 'expected a date such as "2026-11-22"')
      .optional(),
    limit: z.int().min(1).max(50).default(10),
    cursor: z.string().max(400).optional(),
  }),
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
    spend_total: Amount.describe('of all that fit'),
    next_cursor: z.string().nullable(),
    ...currencyShape,
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  example: { status: 'open', limit: 10 },
  async handle({ status, since, limit, cursor }, { lilypad }) {
    const from = since === undefined ? 0 : Date.parse(since) / 1000
    const fitting = (await lilypad.listJobs())
      .filter((job) => job.orderedAt >= from && (status === undefined || groupOf(job) === status))
      .sort(newestFirst)
    const after = cursor === undefined ? undefined : Key.safeParse(readCursor(cursor))
    if (after && !after.success) throw new CursorError()
    const rest = after ? fitting.filter((job) => newestFirst(after.data, job) < 0) : fitting
    const shown = rest.slice(0, limit)
    const last = shown.at(-1)
    const spent = fitting.reduce((sum, job) => sum + chargedOf(job), 0n)
    const more = rest.length > shown.length ? ' There are more: pass next_cursor as cursor.' : ''
    return {
      result: {
        summary: `${shown.length} of ${count(fitting.length, 'job')}, ${withToken(spent)} in all. Read one with lilypad_get_job.${more}`,
        jobs: shown.map((job) => ({
          job_id: job.orderHash,
          module: job.module.name,
          state: stateOf(job),
          payment: paymentOf(job),
          charged: formatAmount(chargedOf(job)),
          ordered_at: new Date(job.orderedAt * 1000).toISOString(),
        })),
        spend_total: formatAmount(spent),
        next_cursor: last && more ? toCursor(keyOf(last)) : null,
        token: tokenSymbol,
        chain_id: lilypad.network.chainId,
      },
    }
  },
})

const groupOf = (job: StoredJob) => (!isDone(job) ? 'open' : job.acknowledgement ? 'paid' : 'unpaid')

type Placed = StoredJob | z.output<typeof Key>
const keyOf = (job: Placed): z.output<typeof Key> => ('orderHash' in job ? [job.orderedAt, job.orderHash] : job)

/** Jobs of one second stand in the order of their ids, so that a walk through the pages skips and repeats none. */
function newestFirst(a: Placed, b: Placed): number {
  const [[atA, idA], [atB, idB]] = [keyOf(a), keyOf(b)]
  return atB - atA || (idA < idB ? -1 : idA > idB ? 1 : 0)
}
