import { type Bytes32, LilypadError } from '@lilypad-agents/protocol'
import type { StoredJob } from '@lilypad-agents/sdk'
import type { CallToolResult } from '@modelcontextprotocol/server'
import { isDone } from '../job/job-keeper.ts'
import { isCancelled } from '../job/job-result.ts'
import { withToken } from '../money/token.ts'
import { failureFacts } from '../log/logger.ts'
import type { ToolContext } from '../tool/tool-context.ts'
import { getJob } from '../tools/get-job.ts'
import { Handle } from '../tools/module-reference.ts'
import type { Task, TaskSource } from './task.ts'

// Jobs stay in the store; this is how long a client can count on it, longer than any order may take.
const ttlMs = 30 * 86_400_000
const pollMs = { first: 1000, last: 15_000 }

/** Poll soon while the job is young, and ever more seldom. */
export function pollIntervalMs(elapsedMs: number): number {
  return Math.min(pollMs.last, Math.max(pollMs.first, Math.round(elapsedMs / 10)))
}

/**
 * Jobs as tasks. A task is its job: the id is the job's, the store is the one in which the order was before it left, so tasks survive
 * what jobs survive, and a client without tasks sees the same with `lilypad_get_job`.
 */
export function createJobTasks(context: ToolContext): TaskSource {
  const { keeper, lilypad, watch, logger } = context
  const never = new AbortController().signal
  const takingUp = new Set<Bytes32>()

  async function findJob(taskId: string): Promise<StoredJob | undefined> {
    const id = Handle.safeParse(taskId)
    if (!id.success) return undefined
    return lilypad.getStoredJob(id.data).catch((error: unknown) => {
      if (LilypadError.is(error) && error.code === 'JOB_UNKNOWN') return undefined
      throw error
    })
  }

  /** Reading takes up a job that an earlier process left, as lilypad_get_job does; once, however many ask meanwhile. */
  function takeUp(orderHash: Bytes32): void {
    if (takingUp.has(orderHash)) return
    takingUp.add(orderHash)
    void keeper
      .wait(orderHash, 0, never)
      .catch(() => undefined)
      .finally(() => takingUp.delete(orderHash))
  }

  return {
    async find(taskId) {
      const job = await findJob(taskId)
      if (!job) return undefined
      if (!isDone(job)) takeUp(job.orderHash)
      return toTask(job, watch, async () => getJob.call({ job_id: job.orderHash }, { ...context, signal: never }))
    },
    async cancel(taskId) {
      const job = await findJob(taskId)
      if (!job) return false
      await keeper.cancel(job.orderHash, 0, never).catch((error: unknown) => {
        // The answer only says that the wish is known; the state tells what came of it.
        logger.info({ jobId: job.orderHash, ...failureFacts(error) }, 'job not cancelled')
      })
      return true
    },
    // Nothing is ever asked while a job runs, so there is nothing to answer.
    update: async (taskId) => (await findJob(taskId)) !== undefined,
  }
}

/** The job as a task. */
export async function toTask(
  job: StoredJob,
  watch: ToolContext['watch'],
  readResult: () => Promise<CallToolResult>,
): Promise<Task> {
  const { orderHash, orderedAt, delivery, order } = job
  const sight = watch.find(orderHash)
  const updatedAt = delivery?.receipt.finishedAt ?? sight?.moves.at(-1)?.at ?? orderedAt
  const status = !isDone(job) ? 'working' : isCancelled(job) ? 'cancelled' : 'completed'
  const percent = sight?.progress ? `, ${Math.round(sight.progress.fraction * 100)} %` : ''
  return {
    taskId: orderHash,
    status,
    statusMessage:
      status === 'working' ? `${job.state}${percent}, at most ${withToken(order.maxPrice)}` : `job ${status}`,
    createdAt: new Date(orderedAt * 1000).toISOString(),
    lastUpdatedAt: new Date(Math.max(updatedAt, orderedAt) * 1000).toISOString(),
    ttlMs,
    pollIntervalMs: pollIntervalMs(Date.now() - orderedAt * 1000),
    ...(status === 'completed' ? { result: await readResult() } : {}),
  }
}
