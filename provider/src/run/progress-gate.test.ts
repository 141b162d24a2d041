import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { progressGate } from './progress-gate.ts'

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

test('lets the first through at once, then the newest of each quarter second', () => {
  const sent: number[] = []
  const gate = progressGate(({ fraction }) => sent.push(fraction))
  for (let step = 0; step <= 100; step++) {
    gate.report({ fraction: step / 100, text: '' })
    vi.advanceTimersByTime(10)
  }
  gate.flush()
  expect(sent).toEqual([0, 0.24, 0.49, 0.74, 0.99, 1])
  vi.advanceTimersByTime(1000)
  expect(sent).toHaveLength(6)
})
