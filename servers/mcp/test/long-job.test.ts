import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Bytes32, LilypadError } from '@lilypad-agents/protocol'
import { type Lilypad, StillRunningError, type StoredJob } from '@lilypad-agents/sdk'
import { sqliteStore } from '@lilypad-agents/sdk/node'
import { createApprovalGate } from '../src/approval/approval-gate.ts'
import { noAsking } from '../src/approval/asking.ts'
import { afterAll, afterEach, beforeEach, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { createJobKeeper } from '../src/job/job-keeper.ts'
import { createJobWatch } from '../src/job/job-watch.ts'
import { createLogger } from '../src/log/logger.ts'
import { createJobTasks } from '../src/tasks/job-tasks.ts'
import type { ToolContext } from '../src/tool/tool-context.ts'
import { getJob } from '../src/tools/get-job.ts'
import { seedConfig, seedJobs, seedNetwork } from './seed-jobs.ts'

// The promises of Node's timers do not know the clock of a test; its plain timers do.
vi.mock('node:timers/promises', () => ({
  setTimeout: (milliseconds: number, value?: unknown, { signal }: { signal?: AbortSignal } = {}) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => resolve(value), milliseconds)
      const stop = () => {
        clearTimeout(timer)
        reject(signal?.reason)
      }
      if (signal?.aborted) stop()
      signal?.addEventListener('abort', stop, { once: true })
    }),
}))

const twoHours = 7200
const startedAt = 1_800_000_000
const folder = mkdtempSync(join(tmpdir(), 'lilypad-mcp-long-'))
let folders = 0
afterAll(() => rmSync(folder, { recursive: true, force: true }))
beforeEach(() => void vi.useFakeTimers({ now: startedAt * 1000, toFake: ['setTimeout', 'clearTimeout', 'Date'] }))
afterEach(() => void vi.useRealTimers())

const now = () => Math.floor(Date.now() / 1000)
const pass = (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000)
/** Lets time pass until the work is done. */
async function drive<T>(work: Promise<T>): Promise<T> {
  let isDone = false
  const done = work.finally(() => {
    isDone = true
  })
  done.catch(() => undefined)
  while (!isDone) await pass(0.5)
  return done
}

/** Puts a job into a store that has just begun to run. @returns it as it will be in two hours */
async function beginJob(stateDirectory: string): Promise<StoredJob> {
  const [id] = await seedJobs(stateDirectory, [{ orderedAt: startedAt }])
  const store = sqliteStore(stateDirectory)
  const settled = await store.transaction((transaction) => transaction.findJob(id as Bytes32))
  if (!settled) throw new Error('no job')
  const nothingYet = { delivery: null, verified: null, price: null, acknowledgement: null, settlement: null }
  const running = { ...settled, ...nothingYet, state: 'running' as const, acknowledgementSent: false }
  await store.transaction((transaction) => transaction.putJob(running))
  await store.close()
  return settled
}

/** A process: what keeps jobs and tells of them, over a store on disk and a network on which two hours have to pass. */
async function startProcess(stateDirectory: string, settled: StoredJob, reportsProgress: boolean) {
  const store = sqliteStore(stateDirectory)
  const end = startedAt + twoHours
  const wait = (seconds: number, signal?: AbortSignal) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, seconds * 1000)
      const stop = () => {
        clearTimeout(timer)
        resolve()
      }
      signal?.addEventListener('abort', stop, { once: true })
    })
  const getStoredJob = async (orderHash: Bytes32) => {
    const job = await store.transaction((transaction) => transaction.findJob(orderHash))
    if (!job) throw new LilypadError('JOB_UNKNOWN', 'There is no such job.')
    return job
  }
  const look = async (orderHash: Bytes32) => {
    if (now() >= end) await store.transaction((transaction) => transaction.putJob(settled))
    return getStoredJob(orderHash)
  }
  const complete = async (orderHash: Bytes32, options: { timeoutSeconds: number; signal?: AbortSignal }) => {
    await wait(Math.max(0, Math.min(options.timeoutSeconds, end - now())), options.signal)
    const job = await look(orderHash)
    if (job.state !== 'settled') throw new StillRunningError(orderHash, job.state)
    return { job }
  }
  async function* watchJob(_orderHash: Bytes32, { after = 0, signal }: { after?: number; signal?: AbortSignal }) {
    if (after < 1) yield { type: 'state', sequence: 1, state: 'running', at: startedAt }
    while (reportsProgress && now() < end && !signal?.aborted) {
      await wait(60, signal)
      const fraction = Math.min(1, (now() - startedAt) / twoHours)
      yield { type: 'progress', sequence: 1 + now() - startedAt, fraction, text: '', at: now() }
    }
    await wait(Math.max(0, end - now()), signal)
  }
  const lilypad = {
    key: settled.order.key,
    network: seedNetwork,
    getStoredJob,
    getJob: look,
    complete,
    watchJob,
    async resume({ signal }: { signal: AbortSignal }) {
      const error = await complete(settled.orderHash, { timeoutSeconds: 0, signal }).then(
        () => undefined,
        (failure: unknown) => failure,
      )
      return error === undefined ? [] : [{ orderHash: settled.orderHash, error }]
    },
  } as unknown as Lilypad
  const logger = createLogger('silent')
  const watch = createJobWatch({ lilypad, logger })
  const keeper = createJobKeeper({ lilypad, logger, watch })
  const signal = new AbortController().signal
  const config = seedConfig(stateDirectory)
  const approvals = createApprovalGate({ config, network: seedNetwork as never, store })
  const asked = { signal, asking: noAsking, report: () => undefined }
  const context: ToolContext = { config, lilypad, keeper, watch, approvals, logger, ...asked }
  await drive(keeper.resume())
  return {
    tasks: createJobTasks(context),
    getJob: (args: Record<string, unknown>) => getJob.call(args, context),
    async close() {
      keeper.close()
      watch.close()
      await pass(1)
      await store.close()
    },
  }
}

const JobView = z.looseObject({ done: z.boolean(), elapsed_s: z.number(), eta_s: z.number().nullable() })

test.each([
  ['whose program tells how far it is', true],
  ['whose program tells nothing', false],
])(
  'L2, L4: a job of two hours %s outlives three servers, for clients with tasks and without',
  async (_what, reports) => {
    const state = join(folder, String(folders++))
    const settled = await beginJob(state)
    const taskId = settled.orderHash
    let server = await startProcess(state, settled, reports)
    let restarts = 0
    const restartWhenDue = async () => {
      while (restarts < 3 && now() >= startedAt + (restarts + 1) * 1700) {
        restarts += 1
        await server.close()
        server = await startProcess(state, settled, reports)
      }
    }

    // A client without tasks waits as long as it is told, or as long again as it took so far.
    let calls = 0
    let view: z.output<typeof JobView> | undefined
    while (!view?.done) {
      if (view) await pass(Math.max(view.eta_s ?? view.elapsed_s, 1))
      await restartWhenDue()
      const before = now()
      const { structuredContent, isError } = await drive(server.getJob({ job_id: taskId, wait_s: 50 }))
      expect(isError, JSON.stringify(structuredContent)).toBeUndefined()
      expect(now() - before).toBeLessThanOrEqual(51)
      view = JobView.parse(structuredContent)
      calls += 1
      expect(calls).toBeLessThanOrEqual(10)
    }
    expect(restarts).toBe(3)
    expect(view).toMatchObject({ state: 'settled', payment: 'settled', verified: true })
    expect(now()).toBeGreaterThanOrEqual(startedAt + twoHours)

    const task = await drive(server.tasks.find(taskId))
    const same = await drive(server.getJob({ job_id: taskId }))
    expect(task).toMatchObject({ taskId, status: 'completed' })
    expect(JSON.stringify(task?.result)).toBe(JSON.stringify(same))
    await server.close()
  },
)

test('L2, L3: a client with tasks that polls as it is told follows two hours through three restarts', async () => {
  const state = join(folder, String(folders++))
  const settled = await beginJob(state)
  let server = await startProcess(state, settled, true)
  let polls = 0
  let restarts = 0
  let task = await drive(server.tasks.find(settled.orderHash))
  while (task?.status === 'working') {
    expect(task.pollIntervalMs).toBeGreaterThanOrEqual(1000)
    expect(task.pollIntervalMs).toBeLessThanOrEqual(15_000)
    await pass(task.pollIntervalMs / 1000)
    if (restarts < 3 && now() >= startedAt + (restarts + 1) * 1800) {
      restarts += 1
      await server.close()
      server = await startProcess(state, settled, true)
    }
    task = await drive(server.tasks.find(settled.orderHash))
    polls += 1
  }
  expect(restarts).toBe(3)
  expect(task).toMatchObject({ status: 'completed', createdAt: new Date(startedAt * 1000).toISOString() })
  expect(polls).toBeLessThan(560)
  await server.close()
})
