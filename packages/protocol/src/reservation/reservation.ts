import { z } from 'zod'
import { defineSignedObject } from '../eip712/signed-object.ts'
import { TokenAmount } from '../primitives/amount.ts'
import { Address, Bytes32 } from '../primitives/hex.ts'
import { Counter, UnixSeconds } from '../primitives/integer.ts'

/**
 * The solver's word that the order is inside the payer's free balance. Reservations of one payer and token form a
 * chain; two with one sequence number prove that the solver lied.
 */
export const Reservation = z.strictObject({
  orderHash: Bytes32,
  solver: Address,
  payer: Address,
  token: Address,
  sequence: Counter,
  /** Hash of the reservation before this one, zero for the first. */
  previous: Bytes32,
  amount: TokenAmount,
  /** Sum reserved for this payer and token, this order included. */
  outstanding: TokenAmount,
  reservedAt: UnixSeconds,
})
export type Reservation = z.output<typeof Reservation>

export const reservationType = defineSignedObject(Reservation, {
  primaryType: 'Reservation',
  fields: [
    { name: 'orderHash', type: 'bytes32' },
    { name: 'solver', type: 'address' },
    { name: 'payer', type: 'address' },
    { name: 'token', type: 'address' },
    { name: 'sequence', type: 'uint64' },
    { name: 'previous', type: 'bytes32' },
    { name: 'amount', type: 'uint128' },
    { name: 'outstanding', type: 'uint128' },
    { name: 'reservedAt', type: 'uint64' },
  ],
})
