import { expect, test } from 'vitest'
import { RunSlots } from './run-slots.ts'

const never = new AbortController().signal
function job() {
  let finish = () => {}
  const done = new Promise<void>((resolve) => {
    finish = resolve
  })
  return { done, finish }
}
const turn = () => new Promise((resolve) => setImmediate(resolve))

test('runs as many as there are slots, the others in the order they came', async () => {
  const slots = new RunSlots(2)
  const jobs = [job(), job(), job(), job()]
  const started: number[] = []
  const runs = jobs.map(({ done }, index) =>
    slots.run(never, async () => {
      started.push(index)
      await done
      return index
    }),
  )
  await turn()
  expect([started, slots.taken, slots.waiting]).toEqual([[0, 1], 2, 2])
  jobs[1]?.finish()
  await turn()
  expect(started).toEqual([0, 1, 2])
  for (const { finish } of jobs) finish()
  expect(await Promise.all(runs)).toEqual([0, 1, 2, 3])
  expect([slots.taken, slots.waiting]).toEqual([0, 0])
})

test('a job that is stopped while it waits leaves the queue', async () => {
  const slots = new RunSlots(1)
  const first = job()
  const running = slots.run(never, () => first.done)
  const stop = new AbortController()
  const waiting = slots.run(stop.signal, async () => 'ran')
  await turn()
  stop.abort()
  expect(await waiting).toBeUndefined()
  expect(slots.waiting).toBe(0)
  first.finish()
  await running
  expect(await slots.run(never, async () => 'ran')).toBe('ran')
  expect(await slots.run(AbortSignal.abort(), async () => 'ran')).toBeUndefined()
})

test('a job that throws gives its slot back', async () => {
  const slots = new RunSlots(1)
  await expect(slots.run(never, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(await slots.run(never, async () => 'ran')).toBe('ran')
})
