import { expect, test } from 'vitest'
import { createRateLimit } from './rate-limit.ts'

test('a minute of requests may come at once, then they come evenly', () => {
  let now = 0
  const limit = createRateLimit(() => now)
  for (let i = 0; i < 6; i += 1) expect(limit.take('a', 6)).toBe(0)
  expect(limit.left('a', 6)).toBe(0)
  expect(limit.take('a', 6)).toBe(10)
  expect(limit.take('b', 6)).toBe(0)
  now = 4_000
  expect(limit.take('a', 6)).toBe(6)
  now = 10_000
  expect(limit.take('a', 6)).toBe(0)
  expect(limit.take('a', 6)).toBe(10)
  now = 3_600_000
  expect(limit.left('a', 6)).toBe(6)
})

test('a clock that goes back locks nobody out', () => {
  let now = 1_000_000
  const limit = createRateLimit(() => now)
  limit.take('a', 60)
  now = 0
  expect(limit.take('a', 60)).toBeLessThanOrEqual(1000)
})
