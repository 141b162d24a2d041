import { expect, test } from 'vitest'
import { describeGoal, isMet } from './goal.ts'
import { measureRounds, median, quantile } from './rounds.ts'

test.each([
  ['odd', [3, 1, 2], 2],
  ['even', [4, 1, 2, 3], 2.5],
  ['one', [7], 7],
])('median of %s', (_name, figures, expected) => expect(median(figures)).toBe(expected))

test('quantiles interpolate', () => expect(quantile([0, 10], 0.25)).toBe(2.5))

test('rounds alternate who goes first and drop the warm-up', async () => {
  const calls: string[] = []
  const side = (name: string) => async () => calls.push(name)
  const { signal } = new AbortController()
  const rounds = await measureRounds({ runs: 2, warmups: 1, ours: side('o'), reference: side('r'), signal })
  expect({ calls: calls.join(''), ...rounds }).toEqual({ calls: 'roorro', ours: [3, 6], reference: [4, 5] })
})

test('an aborted measurement stops', async () => {
  const measure = async () => 1
  const options = { runs: 1, warmups: 0, ours: measure, reference: measure, signal: AbortSignal.abort() }
  await expect(measureRounds(options)).rejects.toThrow('aborted')
})

test.each([
  [{ of: 'ratio', atMost: 0.25 }, 'ratio <= 0.25', true],
  [{ of: 'ratio', atLeast: 10 }, 'ratio >= 10', false],
  [{ of: 'ours', atMost: 4 }, 'ours <= 4', false],
] as const)('goal %j', (goal, words, met) => {
  expect([describeGoal(goal), isMet(goal, { ours: 5, ratio: 0.2 })]).toEqual([words, met])
})
