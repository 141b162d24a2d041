import { expect, test } from 'vitest'
import { sha256 } from '../crypto/hash.ts'
import { type Hex, zeroBytes32 } from '../primitives/hex.ts'
import { appendRecord } from '../voucher/job-record.ts'
import { completeLane } from './complete-lane.ts'
import { packSettlementLanes, parseSettlementLanes } from './settlement-lanes.ts'

const address = (digit: string): Hex => `0x${digit.repeat(40)}`
const terms = { provider: address('1'), solver: address('2'), token: address('3') }
const records = [3, 4].map((nonce) => ({
  orderHash: sha256(`order ${nonce}`),
  receiptHash: sha256(`receipt ${nonce}`),
  moduleVersion: sha256('version'),
  price: 10n,
  nonce,
}))
const previousRecordsHash = sha256('before')
const signature: Hex = `0x${'ab'.repeat(65)}`
const owner = { payer: address('a'), key: address('b'), lane: 7 }

test.each([
  ['counts on from the chain', 3],
  ['are given', 0],
])('the voucher goes on from the chain when nonces %s', (_name, nextNonce) => {
  const settlement = packSettlementLanes(terms, [{ ...owner, previousRecordsHash, signature, records, nextNonce }])
  const [packed] = parseSettlementLanes(settlement)
  if (!packed) return expect.unreachable()
  const completed = completeLane(terms, packed, { settledAmount: 100n, settledJobs: 5, nextNonce })
  expect(completed).toEqual({
    voucher: {
      ...owner,
      ...terms,
      cumulativeAmount: 120n,
      jobs: 7,
      recordsHash: records.reduce(appendRecord, previousRecordsHash),
    },
    records,
  })
  expect(completed.voucher.recordsHash).not.toBe(records.reduce(appendRecord, zeroBytes32))
})
