import { expect, test } from 'vitest'
import { keccak256 } from '../crypto/hash.ts'
import { fromErrorBody, LilypadError } from '../error/lilypad-error.ts'
import { findRefusedLanes, SettlementRefusedError } from './settlement-refused-error.ts'

const fallback = { code: 'INTERNAL', message: '' } as const
const refused = [
  { laneId: keccak256('one'), reason: 'a job of it is unknown here: 0x12' },
  { laneId: keccak256('two'), reason: '' },
]

test('the lanes of a refusal survive the wire', () => {
  const error = new SettlementRefusedError(refused)
  expect(findRefusedLanes(error)).toEqual(refused)
  expect(findRefusedLanes(fromErrorBody(error.toBody(), fallback))).toEqual(refused)
})

test('a refusal whose details are something else names no lane, and another error is no refusal', () => {
  const details = ['', '0x12: short', `${keccak256('one')} no colon`, `0x${'g'.repeat(64)}: no hex`]
  expect(findRefusedLanes(new LilypadError('SETTLEMENT_REFUSED', '', { details }))).toEqual([])
  expect(findRefusedLanes(new LilypadError('INVALID_REQUEST', ''))).toBeUndefined()
  expect(findRefusedLanes(new TypeError())).toBeUndefined()
})
