import { appendRecord, type Voucher, zeroBytes32 } from '@lilypad-agents/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bytes32, createOrder } from '../../test/fixtures.ts'
import { emptyLane, nextLane } from './next-lane.ts'

const { order, orderHash } = createOrder()
const job = { order, orderHash, receiptHash: bytes32(9), price: 70n }
const { payer, key, provider, solver, token, lane } = order
const recordsHash = appendRecord(zeroBytes32, {
  orderHash,
  receiptHash: bytes32(9),
  moduleVersion: order.moduleVersion,
  price: 70n,
  nonce: order.nonce,
})
const voucher: Voucher = { payer, key, provider, solver, token, lane, jobs: 1, cumulativeAmount: 70n, recordsHash }

test('the voucher of the first job opens the lane', () => {
  expect(nextLane(emptyLane, voucher, job)).toEqual({ jobs: 1, cumulativeAmount: 70n, recordsHash })
})

test.each([
  ['of a later job', { jobs: 2 }, 'ACKNOWLEDGEMENT_OUT_OF_ORDER'],
  ['of no job', { jobs: 0 }, 'ACKNOWLEDGEMENT_OUT_OF_ORDER'],
  ['of too little', { cumulativeAmount: 69n }, 'VERIFICATION_FAILED'],
  ['of other records', { recordsHash: bytes32(1) }, 'VERIFICATION_FAILED'],
  ['of another lane', { lane: lane + 1 }, 'VERIFICATION_FAILED'],
  ['to another provider', { provider: solver }, 'VERIFICATION_FAILED'],
] as const)('a voucher %s is refused', (_name, change, code) => {
  expect(() => nextLane(emptyLane, { ...voucher, ...change }, job)).toThrow(expect.objectContaining({ code }))
})

test('a lane sums what its jobs cost', () => {
  fc.assert(
    fc.property(fc.array(fc.bigInt(0n, 10n ** 18n), { minLength: 1, maxLength: 20 }), (prices) => {
      let head = emptyLane
      for (const price of prices) {
        const jobs = head.jobs + 1
        const next = appendRecord(head.recordsHash, {
          orderHash,
          receiptHash: bytes32(jobs),
          moduleVersion: order.moduleVersion,
          price,
          nonce: order.nonce,
        })
        const signed = { ...voucher, jobs, cumulativeAmount: head.cumulativeAmount + price, recordsHash: next }
        head = nextLane(head, signed, { ...job, receiptHash: bytes32(jobs), price })
      }
      expect(head.cumulativeAmount).toBe(prices.reduce((sum, price) => sum + price, 0n))
    }),
    { numRuns: 30 },
  )
})
