import {
  appendRecord,
  createSigner,
  type JobOrder,
  type JobRecord,
  sha256,
  type Voucher,
  voucherType,
  zeroBytes32,
} from '@lilypad-agents/protocol'
import { expect, test } from 'vitest'
import { verifyAcknowledgement } from './verify-acknowledgement.ts'

const domain = { chainId: 1, vault: `0x${'aa'.repeat(20)}` } as const
const [payer, provider, solver, stranger] = ['1', '2', '3', '4'].map((digit) => createSigner(`0x${digit.repeat(64)}`))
if (!payer || !provider || !solver || !stranger) throw new TypeError('four parties')
const lane = {
  payer: payer.address,
  key: payer.address,
  provider: provider.address,
  solver: solver.address,
  token: zeroBytes32.slice(0, 42) as `0x${string}`,
  lane: 3,
}
const order: JobOrder = {
  ...lane,
  moduleVersion: sha256('module'),
  inputsDigest: zeroBytes32,
  askHash: zeroBytes32,
  maxPrice: 100n,
  nonce: 5,
  startBy: 0,
  deliverBy: 0,
  verification: 0,
  auditCommit: zeroBytes32,
}
const record: JobRecord = {
  orderHash: sha256('order'),
  receiptHash: sha256('receipt'),
  moduleVersion: order.moduleVersion,
  price: 70n,
  nonce: 5,
}
const tip = { jobs: 2, cumulativeAmount: 30n, recordsHash: sha256('before') }
const right: Voucher = { ...lane, cumulativeAmount: 100n, jobs: 3, recordsHash: appendRecord(tip.recordsHash, record) }

const judge = (change: Partial<Voucher> = {}, signer = payer) => {
  const voucher = { ...right, ...change }
  return verifyAcknowledgement({
    domain,
    order,
    record,
    tip,
    acknowledgement: { voucher, signature: voucherType.sign(domain, voucher, signer) },
  })
}

test('takes the voucher that adds this job at its price', () => {
  expect(judge()).toEqual({ kind: 'valid' })
})

test('waits with a voucher that comes before the ones it builds on', () => {
  expect(judge({ jobs: 5, cumulativeAmount: 500n })).toEqual({ kind: 'early' })
})

test.each<[string, Partial<Voucher>, string]>([
  ['too little', { cumulativeAmount: 99n }, 'VERIFICATION_FAILED'],
  ['too much', { cumulativeAmount: 101n }, 'VERIFICATION_FAILED'],
  ['another job', { recordsHash: sha256('other') }, 'VERIFICATION_FAILED'],
  ['the job before again', { jobs: 2 }, 'ACKNOWLEDGEMENT_OUT_OF_ORDER'],
  ['another lane', { lane: 4 }, 'INVALID_REQUEST'],
  ['another provider', { provider: stranger.address }, 'INVALID_REQUEST'],
  ['another solver', { solver: stranger.address }, 'INVALID_REQUEST'],
  ['another payer', { payer: stranger.address }, 'INVALID_REQUEST'],
])('refuses a voucher for %s', (_name, change, code) => {
  expect(judge(change)).toMatchObject({ kind: 'invalid', code })
})

test('refuses a voucher that somebody else signed', () => {
  expect(judge({}, stranger)).toMatchObject({ kind: 'invalid', code: 'SIGNATURE_INVALID' })
})
