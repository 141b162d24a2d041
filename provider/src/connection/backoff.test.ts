import { expect, test } from 'vitest'
import { backoffMilliseconds, retry } from './backoff.ts'

test.each([
  ['first, no luck', 0, 0, 125],
  ['first, all luck', 0, 1, 250],
  ['third', 2, 1, 1000],
  ['ceiling', 40, 1, 30_000],
  ['half of the ceiling at least', 40, 0, 15_000],
] as const)('%s', (_name, attempt, chance, expected) => {
  expect(backoffMilliseconds(attempt, { random: () => chance })).toBe(expected)
})

test('tries again until it succeeds', async () => {
  let calls = 0
  const call = async () => {
    calls += 1
    if (calls < 3) throw new Error('not yet')
    return 'done'
  }
  expect(
    await retry(call, { signal: new AbortController().signal, isRetryable: () => true, baseMilliseconds: 1 }),
  ).toBe('done')
  expect(calls).toBe(3)
})

test('gives up when waiting cannot help, when time is over, and when stopped', async () => {
  const fail = async () => Promise.reject(new Error('no'))
  const controller = new AbortController()
  await expect(retry(fail, { signal: controller.signal, isRetryable: () => false })).rejects.toThrow('no')
  await expect(retry(fail, { signal: controller.signal, isRetryable: () => true, until: 0 })).rejects.toThrow('no')
  controller.abort()
  await expect(retry(fail, { signal: controller.signal, isRetryable: () => true })).rejects.toThrow('no')
})
