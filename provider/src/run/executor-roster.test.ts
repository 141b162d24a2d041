import { pino } from 'pino'
import { expect, test } from 'vitest'
import type { Availability } from '../executors/executor.ts'
import { NoopExecutor } from '../executors/noop/noop-executor.ts'
import { ExecutorRoster } from './executor-roster.ts'

class SweptExecutor extends NoopExecutor {
  sweeps = 0
  override async sweep(): Promise<void> {
    this.sweeps += 1
  }
}

test('an executor that comes later is swept once and joins those that were there', async () => {
  const [early, late] = [new SweptExecutor(), new SweptExecutor()]
  const away: Availability = { available: false, reason: 'the engine does not answer' }
  const there: Availability = { available: true, facts: {} }
  const probes = new Map<unknown, Availability>([
    [early, there],
    [late, away],
  ])
  let looks = 0
  const roster = new ExecutorRoster({
    executors: [early, late],
    probe: async (executors) => {
      looks += 1
      return executors.map((executor) => ({ executor, probe: probes.get(executor) ?? away }))
    },
    log: pino({ level: 'silent' }),
  })
  const { available } = roster
  expect(await roster.look()).toBe(true)
  expect(await roster.look()).toBe(false)
  expect([available, late.sweeps]).toEqual([[early], 0])
  expect(roster.list().map(({ probe }) => probe)).toEqual([there, away])
  probes.set(late, there)
  expect(await roster.look()).toBe(true)
  // The list that was handed out before is the one that grows.
  expect([available, early.sweeps, late.sweeps]).toEqual([[early, late], 1, 1])
  expect(await roster.look()).toBe(false)
  expect(looks).toBe(3)
})

test('an executor that can be used no more leaves the list, and may come back', async () => {
  const executor = new SweptExecutor()
  let probe: Availability = { available: true, facts: {} }
  const roster = new ExecutorRoster({
    executors: [executor],
    probe: async ([first = executor]) => [{ executor: first, probe }],
    log: pino({ level: 'silent' }),
  })
  const { available } = roster
  await roster.look()
  expect([await roster.review(), available]).toEqual([false, [executor]])
  probe = { available: false, reason: 'the preflight failed' }
  expect([await roster.review(), available, roster.list()[0]?.probe]).toEqual([true, [], probe])
  expect(await roster.review()).toBe(false)
  probe = { available: true, facts: {} }
  expect([await roster.look(), available, executor.sweeps]).toEqual([true, [executor], 2])
})
