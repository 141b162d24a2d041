import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createLilypad } from '@lilypad-agents/sdk'
import { sqliteStore } from '@lilypad-agents/sdk/node'
import { afterAll, expect, test } from 'vitest'
import { seedConfig, seedJobs } from '../../test/seed-jobs.ts'
import { createApprovalGate } from '../approval/approval-gate.ts'
import { noAsking } from '../approval/asking.ts'
import { createJobKeeper } from '../job/job-keeper.ts'
import { createJobWatch } from '../job/job-watch.ts'
import { createLogger } from '../log/logger.ts'
import { createJobTasks, pollIntervalMs } from './job-tasks.ts'

const folder = mkdtempSync(join(tmpdir(), 'lilypad-mcp-tasks-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('L2: two hours are followed in few polls, the first of them soon', () => {
  let polls = 0
  for (let at = 0; at < 2 * 3600 * 1000; at += pollIntervalMs(at)) polls += 1
  expect(pollIntervalMs(0)).toBe(1000)
  expect(pollIntervalMs(3 * 3600 * 1000)).toBe(15_000)
  expect(polls).toBeLessThan(520)
})

/** What is alive, in bytes: how far a process has grown says more about the machine than about us. */
function liveBytes(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

test('L3: a hundred tasks are read in little time', async () => {
  const ids = await seedJobs(
    folder,
    Array.from({ length: 100 }, () => ({})),
  )
  const logger = createLogger('silent')
  const config = seedConfig(folder)
  const store = sqliteStore(folder)
  const { network, signer, policy } = config
  const lilypad = createLilypad({ network, store, policy, ...(signer ? { signer } : {}) })
  const watch = createJobWatch({ lilypad, logger })
  const keeper = createJobKeeper({ lilypad, logger, watch })
  const report = () => undefined
  const signal = new AbortController().signal
  const approvals = createApprovalGate({ config, network, store })
  const tasks = createJobTasks({ config, lilypad, keeper, watch, approvals, logger, signal, report, asking: noAsking })
  const milliseconds: number[] = []
  for (let round = 0; round < 3; round++)
    for (const id of ids) {
      const before = process.cpuUsage()
      expect(await tasks.find(id)).toMatchObject({ taskId: id, status: 'completed' })
      const { user, system } = process.cpuUsage(before)
      milliseconds.push((user + system) / 1000)
    }
  milliseconds.sort((a, b) => a - b)
  expect(milliseconds[Math.floor(milliseconds.length * 0.95)]).toBeLessThan(5)
  keeper.close()
  watch.close()
  await store.close()
})

test('L3: a hundred tasks that go on are told at once, again and again, in little memory', async () => {
  const place = join(folder, 'working')
  const ids = await seedJobs(
    place,
    Array.from({ length: 100 }, () => ({ state: 'running' as const })),
  )
  const store = sqliteStore(place)
  const logger = createLogger('silent')
  const config = seedConfig(place)
  const { network, signer, policy } = config
  // Nobody answers on this network, so each task is tried for again and again meanwhile.
  const lilypad = createLilypad({ network, store, policy, ...(signer ? { signer } : {}) })
  const watch = createJobWatch({ lilypad, logger })
  const keeper = createJobKeeper({ lilypad, logger, watch })
  const signal = new AbortController().signal
  const approvals = createApprovalGate({ config, network, store })
  const asked = { signal, asking: noAsking, report: () => undefined }
  const tasks = createJobTasks({ config, lilypad, keeper, watch, approvals, logger, ...asked })
  const askAll = async () => {
    const found = await Promise.all(ids.map((id) => tasks.find(id)))
    expect(found.map((task) => task?.status)).toEqual(ids.map(() => 'working'))
    expect(found.map((task) => task?.pollIntervalMs)).toEqual(ids.map(() => 15_000))
  }
  for (let round = 0; round < 5; round++) await askAll()
  const before = liveBytes()
  for (let round = 0; round < 30; round++) await askAll()
  expect((liveBytes() - before) / 1024 ** 2).toBeLessThan(10)
  keeper.close()
  watch.close()
  await store.close()
})
