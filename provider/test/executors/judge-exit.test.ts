import { expect, test } from 'vitest'
import { judgeExit } from '../../src/executors/docker/cold-run.ts'

/** A container that the engine knows to be killed for memory only from the given look on. */
function lateContainer(killedSince: number) {
  let looks = 0
  const inspect = async () => ({ State: { OOMKilled: ++looks >= killedSince } })
  return { inspect, looks: () => looks }
}

test('a flag that comes late is waited for', async () => {
  expect(await judgeExit(lateContainer(4), 137)).toEqual({ kind: 'out-of-memory' })
})

test('a program that was killed for another reason is not waited for for long', async () => {
  const since = performance.now()
  expect(await judgeExit(lateContainer(Infinity), 137)).toEqual({ kind: 'exited', code: 137 })
  expect(performance.now() - since).toBeLessThan(2000)
})

test('a program that ended by itself is not waited for at all', async () => {
  const container = lateContainer(2)
  expect(await judgeExit(container, 1)).toEqual({ kind: 'exited', code: 1 })
  expect(container.looks()).toBe(1)
})
