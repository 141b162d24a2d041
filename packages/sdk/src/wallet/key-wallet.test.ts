import { jobOrderType, voucherType } from '@lilypad-agents/protocol'
import { describe, expect, test } from 'vitest'
import { createSampleBundle, sampleDomain, sampleSigners } from '../../test/sample-bundle.ts'
import type { StoredApproval } from './approval.ts'
import { closedBreaker } from './circuit-breaker.ts'
import { createKeyWallet } from './key-wallet.ts'

const { order, grant, acknowledgement } = (() => {
  const bundle = createSampleBundle()
  return { ...bundle, order: bundle.order.order }
})()
const policy = { perJob: 2000n, perDay: 2000n, total: 2000n, modules: ['sample'] }
const id = `0x${'1d'.repeat(32)}` as const
const facts = { id, ledger: [], breaker: closedBreaker, approval: undefined, nowSeconds: 100 }
const wallet = createKeyWallet({ signer: sampleSigners.session, domain: sampleDomain, grant, policy })

test('signs an order inside the limits, for the payer of its grant', () => {
  const signed = wallet.signOrder({ order, module: 'sample', ...facts })
  expect(signed.orderHash).toBe(jobOrderType.hash(sampleDomain, order))
  expect(jobOrderType.findSigner(sampleDomain, order, signed.signature)).toBe(sampleSigners.session.address)
  expect(wallet.payer).toBe(sampleSigners.payer.address)
})

test('signs nothing outside of them', () => {
  const sign =
    (change: Partial<typeof order>, module = 'sample') =>
    () =>
      wallet.signOrder({ order: { ...order, ...change }, module, ...facts })
  expect(sign({ maxPrice: 2001n })).toThrow(expect.objectContaining({ code: 'OVER_JOB_LIMIT' }))
  expect(sign({}, 'other')).toThrow(expect.objectContaining({ code: 'MODULE_NOT_ALLOWED' }))
})

test('signs nothing while spending is stopped', () => {
  const breaker = { ...closedBreaker, stopped: { reason: 'unknown' as const, count: 2, at: 7 } }
  expect(() => wallet.signOrder({ order, module: 'sample', ...facts, breaker })).toThrow(
    /Reason: 2 payments whose fate is unknown {3}Since: 1970-01-01T00:00:07/,
  )
})

describe('with a person to approve', () => {
  const asking = (approveFrom: bigint) =>
    createKeyWallet({ signer: sampleSigners.session, domain: sampleDomain, grant, policy: { ...policy, approveFrom } })
  const approved: StoredApproval = {
    id,
    maxPrice: order.maxPrice,
    state: 'approved',
    way: 'cli',
    wantedAt: 1,
    left: 9n,
    decidedAt: 2,
    validUntil: 101,
  }
  test.each<[string, bigint, Partial<StoredApproval> | undefined, string]>([
    ['what is under the amount', order.maxPrice + 1n, undefined, 'signed'],
    ['what is the amount', order.maxPrice, undefined, 'APPROVAL_REQUIRED'],
    ['nobody was asked', 0n, undefined, 'APPROVAL_REQUIRED'],
    ['nobody has answered', 0n, { state: 'wanted', decidedAt: null }, 'APPROVAL_REQUIRED'],
    ['approved', 0n, {}, 'signed'],
    ['declined', 0n, { state: 'declined' }, 'APPROVAL_DECLINED'],
    ['used before', 0n, { state: 'used' }, 'APPROVAL_INVALID'],
    ['another amount, by one', 0n, { maxPrice: order.maxPrice - 1n }, 'APPROVAL_INVALID'],
    ['another quote', 0n, { id: `0x${'2d'.repeat(32)}` }, 'APPROVAL_INVALID'],
    ['too late', 0n, { validUntil: 100 }, 'APPROVAL_EXPIRED'],
  ])('%s', (_, approveFrom, changes, expected) => {
    const sign = () => {
      try {
        const approval = changes && { ...approved, ...changes }
        asking(approveFrom).signOrder({ order, module: 'sample', ...facts, approval })
        return 'signed'
      } catch (error) {
        return (error as { code: string }).code
      }
    }
    expect(sign()).toBe(expected)
  })

  test.each([
    [[], 'APPROVAL_DECLINED'],
    [['elicit', 'url'], 'APPROVAL_REQUIRED'],
  ] as const)('where only %j counts, the word of a terminal gives %s', (ways, code) => {
    const options = { signer: sampleSigners.session, domain: sampleDomain, grant }
    const { signOrder } = createKeyWallet({ ...options, policy: { ...policy, approveFrom: 0n, ways } })
    expect(() => signOrder({ order, module: 'sample', ...facts, approval: approved })).toThrow(
      expect.objectContaining({ code }),
    )
  })

  test('over a limit nobody is asked', () => {
    const { assertMaySpend } = asking(0n)
    expect(() => assertMaySpend({ kind: 'job', maxPrice: 2001n, module: 'sample' }, facts)).toThrow(
      expect.objectContaining({ code: 'OVER_JOB_LIMIT' }),
    )
  })

  test('what is free is not asked about', () => {
    expect(() => asking(0n).assertMaySpend({ kind: 'job', maxPrice: 0n, module: 'sample' }, facts)).not.toThrow()
  })
})

test('without a grant the key pays itself', () => {
  const own = createKeyWallet({ signer: sampleSigners.payer, domain: sampleDomain, grant: null, policy })
  expect([own.payer, own.key]).toEqual([sampleSigners.payer.address, sampleSigners.payer.address])
})

test('signs vouchers as its key', () => {
  if (!acknowledgement) throw new TypeError('the sample is acknowledged')
  const { voucher, signature } = acknowledgement
  expect(wallet.signVoucher(voucher)).toBe(signature)
  expect(voucherType.findSigner(sampleDomain, voucher, signature)).toBe(wallet.key)
})
