import { type Address, type Bytes32, LilypadError } from '@lilypad-agents/protocol'
import type { ClientStore, StoreTransaction } from '../store/client-store.ts'
import { PriceOverCapError } from '../job/job-errors.ts'
import { afterLook, afterOutcome, SpendingStoppedError } from './circuit-breaker.ts'
import type { KeyWallet } from './key-wallet.ts'
import type { StoredPayment } from './stored-payment.ts'

/** What a payment that is no order asks for. */
export type PaymentRequest = {
  /** The same id is the same payment, however often it is asked for. */
  readonly id: Bytes32
  readonly payee: Address
  /** What it pays for, as a person reads it in the ledger. */
  readonly purpose: string
  /** In base units of the token in which the limits are. */
  readonly maxPrice: bigint
  /** Unix seconds until which what is signed can be taken. */
  readonly validUntil: number
}

/** No payment of this id was reserved, or it is not open any more. */
export class PaymentStateError extends LilypadError {
  override readonly name = 'PaymentStateError'
  constructor(id: string, state: string) {
    super('STATE_CONFLICT', 'The payment cannot be changed in this way.', {
      details: [`Payment: ${id}   State: ${state}`],
      hint: 'reserve a payment before it is signed, and commit or release it once',
    })
  }
}

/**
 * Payments outside of orders, under the policy and in the ledger of the wallet: reserve before anything is signed, then commit what was
 * taken, or release.
 */
export type ExternalPayments = {
  /**
   * Counts the payment against every limit, in one step with the check, before it is signed. An id that is known gives what is kept of it,
   * without `isNew`: whoever gets that must not sign again.
   * @throws SpendingStoppedError OverLimitError PublisherNotAllowedError ApprovalRequiredError, and nothing is reserved
   */
  reserve(request: PaymentRequest): Promise<{ readonly payment: StoredPayment; readonly isNew: boolean }>
  /** Keeps what was taken, which is never more than was reserved. `isGood` false: it was paid and what came for it is no use; several in a row stop the spending. */
  commit(id: Bytes32, taken: { readonly price: bigint; readonly isGood: boolean }): Promise<StoredPayment>
  /** Gives it up. One that was signed counts until it can no longer be taken; one that was not is free at once. */
  release(id: Bytes32, what: { readonly wasSigned: boolean }): Promise<StoredPayment>
  list(): Promise<readonly StoredPayment[]>
}

/** Makes the payments of a wallet over its store. */
export function createExternalPayments(options: {
  readonly store: ClientStore
  readonly requireWallet: () => KeyWallet
  readonly session: string
  readonly nowSeconds: () => number
}): ExternalPayments {
  const { store, requireWallet, session, nowSeconds } = options

  const change = (id: Bytes32, make: (payment: StoredPayment, transaction: StoreTransaction) => StoredPayment) =>
    store.transaction((transaction) => {
      const payment = transaction.findPayment(id)
      if (payment?.state !== 'reserved') throw new PaymentStateError(id, payment?.state ?? 'unknown')
      const changed = make(payment, transaction)
      transaction.putPayment(changed)
      return changed
    })

  return {
    async reserve(request) {
      const { id, payee, purpose, maxPrice, validUntil } = request
      const wallet = requireWallet()
      const reserved = await store.transaction((transaction) => {
        const known = transaction.findPayment(id)
        if (known) return { payment: known, isNew: false }
        const now = nowSeconds()
        const ledger = transaction.listLedger()
        const breaker = afterLook(transaction.findBreaker(), ledger, wallet.policy, now)
        if (breaker.stopped) transaction.putBreaker(breaker)
        // Returned and thrown outside: a throw would undo that the breaker is open.
        if (breaker.stopped) return { breaker }
        const approval = transaction.findApproval(id)
        const facts = { id, ledger, breaker, approval, nowSeconds: now }
        wallet.assertMaySpend({ kind: 'payment', maxPrice, publisher: payee, session }, facts)
        if (approval?.state === 'approved') transaction.putApproval({ ...approval, state: 'used' })
        const payment: StoredPayment = {
          ...{ id, payee, maxPrice, validUntil, session },
          purpose: purpose.slice(0, 200),
          price: null,
          state: 'reserved',
          reservedAt: now,
        }
        transaction.putPayment(payment)
        return { payment, isNew: true }
      })
      if ('breaker' in reserved) throw new SpendingStoppedError(reserved.breaker)
      return reserved
    },
    commit: (id, { price, isGood }) =>
      change(id, (payment, transaction) => {
        if (price > payment.maxPrice) throw new PriceOverCapError({ cap: payment.maxPrice, price })
        const { policy } = requireWallet()
        const outcome = isGood ? 'good' : 'bad'
        transaction.putBreaker(afterOutcome(transaction.findBreaker(), outcome, policy, nowSeconds()))
        return { ...payment, price, state: 'committed' }
      }),
    release: (id, { wasSigned }) =>
      change(id, (payment) => ({ ...payment, price: wasSigned ? null : 0n, state: 'released' })),
    list: () => store.transaction((transaction) => transaction.listPayments()),
  }
}
