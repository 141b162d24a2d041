import { LilypadError, UnixSeconds } from '@lilypad-agents/protocol'
import { z } from 'zod'
import { isPaymentUnknown, type LedgerEntry, type SpendingPolicy } from './spending-policy.ts'

/** Whether spending is stopped. It stays so until a person resumes it. */
export const StoredBreaker = z.strictObject({
  /** Failures since the last success, or since it was resumed. */
  failures: z.int().min(0),
  stopped: z
    .strictObject({ reason: z.enum(['failures', 'unknown']), count: z.int().min(0), at: UnixSeconds })
    .nullable(),
  /** Payments that were unknown before are a person's knowledge. */
  resumedAt: UnixSeconds,
})
export type StoredBreaker = z.output<typeof StoredBreaker>

export const closedBreaker: StoredBreaker = { failures: 0, stopped: null, resumedAt: 0 }

/** Too much went wrong in a row. Nothing was signed. */
export class SpendingStoppedError extends LilypadError {
  override readonly name = 'SpendingStoppedError'
  constructor({ stopped }: StoredBreaker) {
    const { reason, count, at } = stopped ?? { reason: 'failures', count: 0, at: 0 }
    const why =
      reason === 'unknown' ? `${count} payments whose fate is unknown` : `${count} orders in a row without a result`
    super('SPENDING_STOPPED', 'Spending is stopped until a person looks at it.', {
      details: [`Reason: ${why}   Since: ${new Date(at * 1000).toISOString()}`],
      hint: 'have the owner look at the ledger and resume spending',
    })
  }
}

/** The breaker after an order that held or cost money came to its end. */
export function afterOutcome(
  breaker: StoredBreaker,
  outcome: 'good' | 'bad',
  { stopAfter }: Pick<SpendingPolicy, 'stopAfter'>,
  nowSeconds: number,
): StoredBreaker {
  const failures = outcome === 'good' ? 0 : breaker.failures + 1
  const isOver = stopAfter !== undefined && failures >= stopAfter.failures
  const stopped = breaker.stopped ?? (isOver ? { reason: 'failures' as const, count: failures, at: nowSeconds } : null)
  return { ...breaker, failures, stopped }
}

/** The breaker after a look at the ledger. */
export function afterLook(
  breaker: StoredBreaker,
  ledger: readonly LedgerEntry[],
  { stopAfter }: Pick<SpendingPolicy, 'stopAfter'>,
  nowSeconds: number,
): StoredBreaker {
  if (breaker.stopped || !stopAfter) return breaker
  const isNew = (entry: LedgerEntry) => entry.deliverBy >= breaker.resumedAt && isPaymentUnknown(entry, nowSeconds)
  const count = ledger.filter(isNew).length
  return count < stopAfter.unknown ? breaker : { ...breaker, stopped: { reason: 'unknown', count, at: nowSeconds } }
}
