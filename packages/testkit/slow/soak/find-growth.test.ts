import { expect, test } from 'vitest'
import { findGrowth, type SampleAt } from './find-growth.ts'

const samplesOf = (figure: (jobs: number) => number): SampleAt[] =>
  Array.from({ length: 40 }, (_, index) => ({ jobs: index * 50, sample: { figure: figure(index * 50) } }))
const bound = { matches: /./, share: 0.1, plus: 100, perJob: 0 }
const isAllowed = (figure: (jobs: number) => number, perJob = 0) =>
  findGrowth(samplesOf(figure), [{ ...bound, perJob }]).map((growth) => growth.isAllowed)

test('a leak shows under noise, noise alone does not', () => {
  const noise = (jobs: number) => ((jobs * 7919) % 1000) - 500
  expect(isAllowed((jobs) => 10_000 + noise(jobs))).toEqual([true])
  expect(isAllowed((jobs) => 10_000 + noise(jobs) + 2 * jobs)).toEqual([false])
})

test('what grows while it warms up and then stays is no leak', () => {
  expect(isAllowed((jobs) => Math.min(jobs, 300) * 100)).toEqual([true])
})

test('what may be kept of a job may grow, and no more than that', () => {
  expect(isAllowed((jobs) => 30 * jobs, 32)).toEqual([true])
  expect(isAllowed((jobs) => 60 * jobs, 32)).toEqual([false])
})
