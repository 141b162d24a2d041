import { Address, Bytes32, TokenAmount, UnixSeconds } from '@lilypad-agents/protocol'
import { z } from 'zod'
import type { LedgerEntry } from './spending-policy.ts'

/**
 * A payment that is no order: to another server, for a tool or a page. It counts against the same limits. `reserved` may
 * have been signed, `committed` was taken, `released` will not be: when it was signed, not after `validUntil`.
 */
export const StoredPayment = z.strictObject({
  /** Drawn or derived by the caller; the same id is the same payment. */
  id: Bytes32,
  payee: Address,
  /** What it pays for, as a person reads it in the ledger. */
  purpose: z.string().max(200),
  /** The most that can be taken, in base units of the token in which the limits are. */
  maxPrice: TokenAmount,
  /** What was taken; null until it is known. */
  price: TokenAmount.nullable(),
  state: z.enum(['reserved', 'committed', 'released']),
  session: z.string().optional(),
  reservedAt: UnixSeconds,
  /** After this second what was signed can no longer be taken. */
  validUntil: UnixSeconds,
})
export type StoredPayment = z.output<typeof StoredPayment>

/** The payment as the spending policy counts it. */
export function paymentEntry({ maxPrice, price, state, session, reservedAt, validUntil }: StoredPayment): LedgerEntry {
  return {
    kind: 'payment',
    maxPrice,
    price,
    state: state === 'released' ? 'expired' : 'ordered',
    session,
    orderedAt: reservedAt,
    deliverBy: validUntil,
  }
}
