import { zeroAddress } from '@lilypad-agents/protocol'
import { expect, test } from 'vitest'
import { actors } from '../../test/fixtures.ts'
import { assertGuardian, settleGraceSeconds } from './assert-guardian.ts'

const solver = actors.solver.address
const other = actors.stranger.address
const order = { payer: actors.payer.address, deliverBy: 1000 }
const check = (change: { guardian: typeof solver; nextGuardian?: typeof solver; guardianChangesAt?: number }) => {
  const account = { balance: 0n, pendingWithdrawal: 0n, nextGuardian: zeroAddress, guardianChangesAt: 0, ...change }
  return () => assertGuardian(order, { account, solver })
}
const lastCovered = 1000 + settleGraceSeconds

test.each([
  ['nobody', check({ guardian: zeroAddress })],
  ['this solver', check({ guardian: solver })],
  [
    'this solver until the job is paid',
    check({ guardian: solver, nextGuardian: other, guardianChangesAt: lastCovered + 1 }),
  ],
])('takes orders of a payer guarded by %s', (_name, checking) => expect(checking).not.toThrow())

test.each([
  ['another solver', check({ guardian: other }), /order through the guardian/],
  [
    'another solver until later',
    check({ guardian: other, nextGuardian: solver, guardianChangesAt: 1 }),
    /from 1 on .*--finalize/,
  ],
  [
    'this solver, but not until the job is paid',
    check({ guardian: solver, nextGuardian: zeroAddress, guardianChangesAt: lastCovered }),
    /take the change back/,
  ],
])('takes none of a payer guarded by %s', (_name, checking, hint) => {
  expect(checking).toThrow(expect.objectContaining({ code: 'GUARDIAN_MISMATCH', hint: expect.stringMatching(hint) }))
})
