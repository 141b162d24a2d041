import { jobStates } from '@lilypad-agents/protocol'
import { expect, test } from 'vitest'
import { findExpiry } from './expire-jobs.ts'

const rules = { deliveryGraceSeconds: 10, acknowledgeWithinSeconds: 100 }
const job = {
  state: 'reserved',
  acceptedAt: null,
  startBy: 50,
  deliverBy: 80,
  updatedAt: 20,
  missingInputs: 0,
  approvedUntil: null,
} as const

test.each([
  ['reserved, in time', job, 50, undefined],
  ['reserved, too late', job, 51, 'The provider did not take the job before it had to start. Nothing is charged.'],
  [
    'without its inputs',
    { ...job, missingInputs: 1 },
    51,
    'The input files did not come before the order had to start. Nothing is charged.',
  ],
  ['accepted, after its start', { ...job, acceptedAt: 40 }, 90, undefined],
  [
    'accepted, after its delivery',
    { ...job, acceptedAt: 40 },
    91,
    'The provider took the job but did not deliver it in time. Nothing is charged.',
  ],
  ['running, in the grace', { ...job, state: 'running' as const }, 90, undefined],
  [
    'running, after the grace',
    { ...job, state: 'running' as const },
    91,
    'The provider did not deliver in time. Nothing is charged.',
  ],
  ['delivered, waiting', { ...job, state: 'delivered' as const }, 120, undefined],
  [
    'delivered, forgotten',
    { ...job, state: 'delivered' as const },
    121,
    'The requester did not acknowledge the delivery in time.',
  ],
])('a job %s', (_name, given, now, expected) => {
  expect(findExpiry(given, rules, now)).toBe(expected)
})

test('nothing else expires', () => {
  for (const state of jobStates.filter((state) => !['reserved', 'running', 'delivered'].includes(state))) {
    expect(findExpiry({ ...job, state }, rules, 10 ** 9)).toBeUndefined()
  }
})
