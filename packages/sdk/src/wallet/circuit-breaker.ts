import { LilypadError, UnixSeconds } from '@lilypad-agents/protocol'
import { z } from 'zod'
import { isPaymentUnknown, type LedgerEntry } from './spending-policy.ts'

/** So many orders in a row that cost or held money and gave no result end the spending. */
export const maxFailures = 3
/** So many payments of which nobody can say what became of them end the spending. */
export const maxUnknown = 2

/** Whether spending is stopped. It stays so until a person resumes it. */
export const StoredBreaker = z.strictObject({
  /** Failures since the last success, or since it was resumed. */
  failures: z.int().min(0),
  stopped: z.strictObject({ reason: z.enum(['failures', 'unknown']), at: UnixSeconds }).nullable(),
  /** Payments that were unknown before are a person's knowledge. */
  resumedAt: UnixSeconds,
})
export type StoredBreaker = z.output<typeof StoredBreaker>

export const closedBreaker: StoredBreaker = { failures: 0, stopped: null, resumedAt: 0 }

/** Too much went wrong in a row. Nothing was signed. */
export class SpendingStoppedError extends LilypadError {
  override readonly name = 'SpendingStoppedError'
  constructor({ stopped, failures }: StoredBreaker) {
    const why =
      stopped?.reason === 'unknown'
        ? `${maxUnknown} payments whose fate is unknown`
        : `${Math.max(failures, maxFailures)} orders in a row without a result`
    super('SPENDING_STOPPED', 'Spending is stopped until a person looks at it.', {
      details: [`Reason: ${why}   Since: ${new Date((stopped?.at ?? 0) * 1000).toISOString()}`],
      hint: 'have the owner look at the ledger and resume spending',
    })
  }
}

/** The breaker after an order that held or cost money came to its end. */
export function afterOutcome(breaker: StoredBreaker, outcome: 'good' | 'bad', nowSeconds: number): StoredBreaker {
  if (outcome === 'good') return { ...breaker, failures: 0 }
  const failures = breaker.failures + 1
  const stopped = breaker.stopped ?? (failures >= maxFailures ? { reason: 'failures' as const, at: nowSeconds } : null)
  return { ...breaker, failures, stopped }
}

/** The breaker after a look at the ledger. */
export function afterLook(breaker: StoredBreaker, ledger: readonly LedgerEntry[], nowSeconds: number): StoredBreaker {
  if (breaker.stopped) return breaker
  const unknown = ledger.filter((entry) => entry.deliverBy >= breaker.resumedAt && isPaymentUnknown(entry, nowSeconds))
  return unknown.length < maxUnknown ? breaker : { ...breaker, stopped: { reason: 'unknown', at: nowSeconds } }
}
