import { jobOrderType, voucherType } from '@lilypad-agents/protocol'
import { expect, test } from 'vitest'
import { createSampleBundle, sampleDomain, sampleSigners } from '../../test/sample-bundle.ts'
import { createKeyWallet } from './key-wallet.ts'

const { order, grant, acknowledgement } = (() => {
  const bundle = createSampleBundle()
  return { ...bundle, order: bundle.order.order }
})()
const policy = { perJob: 2000n, perDay: 2000n, total: 2000n, modules: ['sample'] }
const wallet = createKeyWallet({ signer: sampleSigners.session, domain: sampleDomain, grant, policy })

test('signs an order inside the limits, for the payer of its grant', () => {
  const signed = wallet.signOrder({ order, module: 'sample', ledger: [], nowSeconds: 0 })
  expect(signed.orderHash).toBe(jobOrderType.hash(sampleDomain, order))
  expect(jobOrderType.findSigner(sampleDomain, order, signed.signature)).toBe(sampleSigners.session.address)
  expect(wallet.payer).toBe(sampleSigners.payer.address)
})

test('signs nothing outside of them', () => {
  const sign =
    (change: Partial<typeof order>, module = 'sample') =>
    () =>
      wallet.signOrder({ order: { ...order, ...change }, module, ledger: [], nowSeconds: 0 })
  expect(sign({ maxPrice: 2001n })).toThrow(expect.objectContaining({ code: 'OVER_JOB_LIMIT' }))
  expect(sign({}, 'other')).toThrow(expect.objectContaining({ code: 'MODULE_NOT_ALLOWED' }))
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
