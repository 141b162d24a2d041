import { expect, test } from 'vitest'
import { createGrant, createOrder } from '../../test/fixtures.ts'
import type { ChainGrant } from '../chain/chain.ts'
import { assertWithinCaps, grantCaps } from './assert-within-grant.ts'

const now = 1_800_000_000
const today = Math.floor(now / 86_400)
const unknown: ChainGrant = {
  isKnown: false,
  nonce: 0n,
  perJob: 0n,
  perDay: 0n,
  remaining: 0n,
  spentToday: 0n,
  day: 0,
  validUntil: 0,
  liveUntil: 0,
}
const registered: ChainGrant = {
  isKnown: true,
  nonce: 1n,
  perJob: 50n,
  perDay: 100n,
  remaining: 400n,
  spentToday: 30n,
  day: today,
  validUntil: now + 100,
  liveUntil: now + 1000,
}
const { grant } = createGrant({ perJob: 60n, perDay: 120n, total: 500n, validUntil: now + 200, nonce: 1n })

test.each([
  [
    'counts as signed while the chain does not know it',
    grant,
    unknown,
    { perJob: 60n, leftToday: 120n, leftInTotal: 500n, validUntil: now + 200 },
  ],
  [
    'counts as the chain has it once registered',
    grant,
    registered,
    { perJob: 50n, leftToday: 70n, leftInTotal: 400n, validUntil: now + 100 },
  ],
  [
    'starts a new day with the whole cap',
    grant,
    { ...registered, day: today - 1 },
    { perJob: 50n, leftToday: 100n, leftInTotal: 400n, validUntil: now + 100 },
  ],
  [
    'replaces a narrower one',
    { ...grant, nonce: 2n },
    registered,
    { perJob: 60n, leftToday: 90n, leftInTotal: 500n, validUntil: now + 200 },
  ],
  [
    'replaces a wider one that is long over',
    { ...grant, nonce: 2n },
    { ...registered, perJob: 999n, liveUntil: now - 1 },
    { perJob: 60n, leftToday: 90n, leftInTotal: 500n, validUntil: now + 200 },
  ],
  [
    'is void below a revoked nonce',
    grant,
    { ...unknown, isKnown: true, nonce: 9n },
    { perJob: 0n, leftToday: 0n, leftInTotal: 0n, validUntil: 0 },
  ],
])('a grant %s', (_name, signed, chain, caps) => {
  expect(grantCaps(signed, chain, now)).toEqual(caps)
})

test.each([
  ['narrows a live one', { ...grant, nonce: 2n, total: 399n }, registered],
  ['has an allow-list', { ...grant, modulesRoot: `0x${'11'.repeat(32)}` as const }, unknown],
])('a grant that %s is refused, as the vault would', (_name, signed, chain) => {
  expect(() => grantCaps(signed, chain, now)).toThrow(expect.objectContaining({ code: 'GRANT_INVALID' }))
})

const caps = { perJob: 100n, leftToday: 150n, leftInTotal: 200n, validUntil: now }
const { order } = createOrder()
test.each([
  ['inside', 100n, 50n, caps, undefined],
  ['over one job', 101n, 0n, caps, 'OVER_JOB_LIMIT'],
  ['over the day with what is outstanding', 100n, 51n, caps, 'OVER_DAY_LIMIT'],
  ['over the total with what is outstanding', 100n, 120n, { ...caps, leftToday: 1000n }, 'OVER_TOTAL_LIMIT'],
  ['more outstanding than left', 1n, 10_000n, caps, 'OVER_DAY_LIMIT'],
  ['after its end', 1n, 0n, { ...caps, validUntil: now - 1 }, 'GRANT_INVALID'],
] as const)('an order %s', (_name, maxPrice, outstanding, given, code) => {
  const assert = () => assertWithinCaps({ ...order, maxPrice }, { caps: given, outstanding, now })
  if (code === undefined) expect(assert).not.toThrow()
  else expect(assert).toThrow(expect.objectContaining({ code }))
})
