import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { canMove, hasRun, isFinal, jobMoves, type JobState, jobStates } from './state.ts'

test('the list is that of the contracts, in the same order', () => {
  const source = readFileSync(new URL('../../../../contracts/src/types/JobState.sol', import.meta.url), 'utf8')
  const members = /enum JobState \{([^}]*)\}/
    .exec(source)?.[1]
    ?.split(',')
    .map((member) => member.trim().toLowerCase())
  expect(members).toEqual(jobStates)
})

const reachable = (from: JobState): Set<JobState> => {
  const found = new Set<JobState>([from])
  for (const state of found) for (const next of jobMoves[state]) found.add(next)
  return found
}

describe('moves', () => {
  test('every state can be reached from quoted', () => {
    expect([...reachable('quoted')].sort()).toEqual([...jobStates].sort())
  })

  test('from every state the job can come to an end', () => {
    for (const state of jobStates) expect([...reachable(state)].some(isFinal)).toBe(true)
  })

  test('a state never comes back', () => {
    for (const state of jobStates)
      for (const next of jobMoves[state]) expect(reachable(next).has(state), `${state} -> ${next}`).toBe(false)
  })

  test('canMove and isFinal say what the table says', () => {
    for (const from of jobStates) {
      expect(isFinal(from)).toBe(jobStates.every((to) => !canMove(from, to)))
      for (const to of jobStates) expect(canMove(from, to)).toBe(jobMoves[from].includes(to))
    }
    expect(jobStates.filter(isFinal)).toEqual(['settled', 'declined', 'expired', 'failed', 'refunded'])
  })

  test('money moves only after an acknowledgement or a verdict', () => {
    expect(jobStates.filter((state) => canMove(state, 'settled'))).toEqual(['acknowledged', 'upheld'])
  })

  test('hasRun is false exactly before the end of the run', () => {
    expect(jobStates.filter((state) => !hasRun(state))).toEqual(['quoted', 'ordered', 'reserved', 'running'])
  })
})
