import { type ErrorCode, type JobState, LilypadError } from '@lilypad-agents/protocol'

/** What a client may spend, in base units of its token. Set by the person who runs it; no call can raise it. */
export type SpendingPolicy = {
  readonly perJob: bigint
  /** In any 24 hours. */
  readonly perDay: bigint
  /** Ever, with this store. */
  readonly total: bigint
  /** Modules that may be bought; undefined allows all. */
  readonly modules?: readonly string[]
}

/** A job as the ledger counts it. */
export type LedgerEntry = {
  readonly maxPrice: bigint
  readonly price: bigint | null
  readonly state: JobState
  /** Unix seconds. */
  readonly orderedAt: number
  readonly deliverBy: number
}

/** A limit would be passed. Nothing was signed. */
export class OverLimitError extends LilypadError {
  override readonly name = 'OverLimitError'
  readonly limit: bigint
  readonly actual: bigint
  constructor(
    code: Extract<ErrorCode, 'OVER_JOB_LIMIT' | 'OVER_DAY_LIMIT' | 'OVER_TOTAL_LIMIT'>,
    options: { readonly limit: bigint; readonly actual: bigint; readonly setting: string },
  ) {
    const { limit, actual, setting } = options
    super(code, 'This order would pass a spending limit.', {
      details: [`Limit: ${limit}   With this order: ${actual}   Setting: ${setting}`],
      hint: `choose a cheaper job, or have the owner raise ${setting}`,
    })
    this.limit = limit
    this.actual = actual
  }
}

/** The owner did not allow this module. Nothing was signed. */
export class ModuleNotAllowedError extends LilypadError {
  override readonly name = 'ModuleNotAllowedError'
  constructor(module: string, allowed: readonly string[]) {
    super('MODULE_NOT_ALLOWED', 'The owner of this wallet does not allow this module.', {
      details: [`Module: ${module}   Allowed: ${allowed.join(', ') || 'none'}`],
      hint: 'use an allowed module, or have the owner add this one',
    })
  }
}

/**
 * What an entry counts against the limits. A signed order counts with its maximum until its price is known; one that
 * ended without a receipt counts until its delivery time has passed, because until then somebody could still run it.
 */
export function countedSpend(entry: LedgerEntry, nowSeconds: number): bigint {
  if (entry.price !== null) return entry.price
  const hasEnded = (['declined', 'expired', 'failed', 'refunded'] as const).some((state) => state === entry.state)
  return hasEnded && nowSeconds > entry.deliverBy ? 0n : entry.maxPrice
}

/** Sums of a ledger, in base units. */
export function sumSpend(
  ledger: readonly LedgerEntry[],
  nowSeconds: number,
): { readonly day: bigint; readonly total: bigint } {
  let day = 0n
  let total = 0n
  for (const entry of ledger) {
    const counted = countedSpend(entry, nowSeconds)
    total += counted
    if (entry.orderedAt > nowSeconds - 86_400) day += counted
  }
  return { day, total }
}

/**
 * Decides whether one more order may be signed.
 * @throws {@link OverLimitError} {@link ModuleNotAllowedError}
 */
export function assertWithinPolicy(options: {
  readonly policy: SpendingPolicy
  readonly ledger: readonly LedgerEntry[]
  readonly maxPrice: bigint
  readonly module: string
  readonly nowSeconds: number
}): void {
  const { policy, ledger, maxPrice, module, nowSeconds } = options
  if (policy.modules && !policy.modules.includes(module)) throw new ModuleNotAllowedError(module, policy.modules)
  if (maxPrice > policy.perJob)
    throw new OverLimitError('OVER_JOB_LIMIT', { limit: policy.perJob, actual: maxPrice, setting: 'max-per-job' })
  const spent = sumSpend(ledger, nowSeconds)
  if (spent.day + maxPrice > policy.perDay)
    throw new OverLimitError('OVER_DAY_LIMIT', {
      limit: policy.perDay,
      actual: spent.day + maxPrice,
      setting: 'max-per-day',
    })
  if (spent.total + maxPrice > policy.total)
    throw new OverLimitError('OVER_TOTAL_LIMIT', {
      limit: policy.total,
      actual: spent.total + maxPrice,
      setting: 'max-total',
    })
}
