import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLilypad } from '@lilypad-agents/sdk'
import { sqliteStore } from '@lilypad-agents/sdk/node'
import { afterAll, expect, test } from 'vitest'
import { seedConfig, seedJobs } from '../../test/seed-jobs.ts'
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
  const tasks = createJobTasks({ config, lilypad, keeper, watch, logger, signal, report })
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
