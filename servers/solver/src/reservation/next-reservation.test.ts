import { reservationType } from '@lilypad-agents/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { actors, createOrder, domain } from '../../test/fixtures.ts'
import { emptyLedger, type Ledger, nextReservation } from './next-reservation.ts'

const solver = actors.solver.address
const { order, orderHash } = createOrder()

test('the first reservation starts the chain', () => {
  expect(nextReservation(emptyLedger, { order, orderHash, solver, spendable: 1100n, now: 7 })).toEqual({
    orderHash,
    solver,
    payer: order.payer,
    token: order.token,
    sequence: 1,
    previous: emptyLedger.head,
    amount: 1100n,
    outstanding: 1100n,
    reservedAt: 7,
  })
})

test('what is promised to others is not promised again', () => {
  const ledger: Ledger = { sequence: 3, head: orderHash, outstanding: 1n }
  expect(() => nextReservation(ledger, { order, orderHash, solver, spendable: 1100n, now: 7 })).toThrow(
    expect.objectContaining({
      code: 'INSUFFICIENT_BALANCE',
      details: expect.arrayContaining(['Expected: 1100   Actual: 1099']),
    }),
  )
})

test('however orders and releases mix, the chain is unbroken and never promises more than there is', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('order' as const), amount: fc.bigInt(1n, 1000n) }),
    fc.record({ kind: fc.constant('release' as const), amount: fc.bigInt(1n, 1000n) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.bigInt(0n, 3000n), (steps, spendable) => {
      let ledger: Ledger = emptyLedger
      for (const { kind, amount } of steps) {
        if (kind === 'release') {
          ledger = { ...ledger, outstanding: ledger.outstanding > amount ? ledger.outstanding - amount : 0n }
          continue
        }
        try {
          const reservation = nextReservation(ledger, {
            order: { ...order, maxPrice: amount },
            orderHash,
            solver,
            spendable,
            now: 1,
          })
          expect(reservation.previous).toBe(ledger.head)
          expect(reservation.sequence).toBe(ledger.sequence + 1)
          expect(reservation.outstanding).toBeLessThanOrEqual(spendable)
          ledger = {
            sequence: reservation.sequence,
            head: reservationType.hash(domain, reservation),
            outstanding: reservation.outstanding,
          }
        } catch (error) {
          expect(error).toMatchObject({ code: 'INSUFFICIENT_BALANCE' })
          expect(ledger.outstanding + amount).toBeGreaterThan(spendable)
        }
      }
    }),
    { numRuns: 50 },
  )
})
