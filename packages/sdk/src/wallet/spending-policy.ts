import { type Address, type ErrorCode, type JobState, LilypadError } from '@lilypad-agents/protocol'
import { formatTokenAmount } from '../money/token-amount-text.ts'

/** What a client may spend, in base units of its token. Set by the person who runs it; no call can raise it. */
export type SpendingPolicy = {
  readonly perJob: bigint
  /** In any 24 hours. */
  readonly perDay: bigint
  /** Ever, with this store. */
  readonly total: bigint
  /** By one client, from its start to its end. @default no limit of its own */
  readonly perSession?: bigint
  /** Jobs and payments in any 3600 seconds. @default no limit */
  readonly jobsPerHour?: number
  /** Jobs that may be open at once. @default no limit */
  readonly concurrentJobs?: number
  /** Modules that may be bought; undefined allows all. */
  readonly modules?: readonly string[]
  /** Modules that may not be bought, whatever else allows them. */
  readonly deniedModules?: readonly string[]
  /** Authors whose modules may be bought, and payees of other payments; undefined allows all. */
  readonly publishers?: readonly Address[]
  /** Authors whose modules may not be bought, whatever else allows them. */
  readonly deniedPublishers?: readonly Address[]
  /** A person has to approve what can cost this much or more; undefined asks nobody. What is free is never asked about. */
  readonly approveFrom?: bigint
  /** Orders in a row that held or cost money without a result, and payments of unknown fate, that stop the spending. @default it goes on */
  readonly stopAfter?: { readonly failures: number; readonly unknown: number }
  /** How a person's word may have come; none: nothing is approved. @default any way */
  readonly ways?: readonly ApprovalWay[]
  /**
   * Whether what came of a streamed reply is acknowledged while the rest is made, for providers that ask for it. Of a job that then
   * breaks off, what was acknowledged is paid; its provider makes no more than a little ahead of it. @default false
   */
  readonly acknowledgeSteps?: boolean
}

/** How a person is asked: by the client's form, on a page, or in a terminal. */
export const approvalWays = ['elicit', 'url', 'cli'] as const
export type ApprovalWay = (typeof approvalWays)[number]

/** A job or another payment as the ledger counts it. */
export type LedgerEntry = {
  readonly kind: 'job' | 'payment'
  /** How many of them this is. @default 1 */
  readonly count?: number
  readonly maxPrice: bigint
  readonly price: bigint | null
  readonly state: JobState
  /** The client that signed it, from its start to its end. */
  readonly session?: string | undefined
  /** Unix seconds. */
  readonly orderedAt: number
  readonly deliverBy: number
  /** What was acknowledged of a reply before its end; it stays owed when the job ends without a price. */
  readonly stepPrice?: bigint | undefined
}

/** What is to be signed, as the policy sees it. */
export type Spending = {
  readonly kind: LedgerEntry['kind']
  readonly maxPrice: bigint
  /** Name of the module; undefined for a payment that buys none. */
  readonly module?: string | undefined
  /** Author of the module, or payee; undefined when it is not known, which passes no list of allowed ones. */
  readonly publisher?: Address | undefined
  readonly session?: string | undefined
}

type LimitCode = Extract<ErrorCode, `OVER_${string}_LIMIT`>

/** A limit would be passed. Nothing was signed. */
export class OverLimitError extends LilypadError {
  override readonly name = 'OverLimitError'
  readonly limit: bigint
  readonly actual: bigint
  constructor(code: LimitCode, options: { readonly limit: bigint; readonly actual: bigint; readonly setting: string }) {
    const { limit, actual, setting } = options
    const isCount = code === 'OVER_HOUR_LIMIT' || code === 'OVER_CONCURRENT_LIMIT'
    const tell = (value: bigint) => (isCount ? `${value} jobs` : `${formatTokenAmount(value)} LILY`)
    super(code, 'This order would pass a spending limit.', {
      details: [`Limit: ${tell(limit)}   With this order: ${tell(actual)}   Setting: ${setting}`],
      hint: `choose a cheaper job, or have the owner raise ${setting}`,
    })
    this.limit = limit
    this.actual = actual
  }
}

/** The owner did not allow this module. Nothing was signed. */
export class ModuleNotAllowedError extends LilypadError {
  override readonly name = 'ModuleNotAllowedError'
  constructor(module: string, setting: string) {
    super('MODULE_NOT_ALLOWED', 'The owner of this wallet does not allow this module.', {
      details: [`Module: ${JSON.stringify(module.slice(0, 80))}   Setting: ${setting}`],
      hint: `use an allowed module, or have the owner change ${setting}`,
    })
  }
}

/** The owner did not allow this author or payee. Nothing was signed. */
export class PublisherNotAllowedError extends LilypadError {
  override readonly name = 'PublisherNotAllowedError'
  constructor(publisher: Address | undefined, setting: string) {
    super('PUBLISHER_NOT_ALLOWED', 'The owner of this wallet does not allow this publisher.', {
      details: [`Publisher: ${publisher ?? 'unknown'}   Setting: ${setting}`],
      hint: `use a module of an allowed publisher, or have the owner change ${setting}`,
    })
  }
}

const hour = 3600
const day = 86_400
const endedStates: ReadonlySet<JobState> = new Set(['declined', 'expired', 'failed', 'refunded'])

/**
 * What an entry counts against the limits. A signed order counts with its maximum until its price is known; one that
 * ended without a receipt counts until its delivery time has passed, because until then somebody could still run it.
 */
export function countedSpend(entry: LedgerEntry, nowSeconds: number): bigint {
  if (entry.price !== null) return entry.price
  return endedStates.has(entry.state) && nowSeconds > entry.deliverBy ? (entry.stepPrice ?? 0n) : entry.maxPrice
}

/** Whether it was signed and nobody can say any more what became of it. */
export function isPaymentUnknown(entry: LedgerEntry, nowSeconds: number): boolean {
  return entry.price === null && !endedStates.has(entry.state) && nowSeconds > entry.deliverBy
}

/** Sums of a ledger in base units, and counts. */
export type SpendSums = {
  readonly day: bigint
  readonly total: bigint
  readonly session: bigint
  /** Jobs and payments of the last 3600 seconds. */
  readonly hourJobs: number
  /** Jobs that are open. */
  readonly openJobs: number
}

/** Sums of a ledger; `session` is the one whose spending counts as this client's own. */
export function sumSpend(ledger: readonly LedgerEntry[], nowSeconds: number, session?: string): SpendSums {
  const sums = { day: 0n, total: 0n, session: 0n, hourJobs: 0, openJobs: 0 }
  for (const entry of ledger) {
    const counted = countedSpend(entry, nowSeconds)
    sums.total += counted
    if (entry.orderedAt > nowSeconds - day) sums.day += counted
    if (session !== undefined && entry.session === session) sums.session += counted
    if (entry.orderedAt > nowSeconds - hour) sums.hourJobs += entry.count ?? 1
    const canEnd = entry.price === null && !endedStates.has(entry.state) && nowSeconds <= entry.deliverBy
    if (entry.kind === 'job' && canEnd) sums.openJobs += 1
  }
  return sums
}

/** What may still be spent before a limit on sums is reached, in base units. */
export function budgetLeft(policy: SpendingPolicy, spent: SpendSums): bigint {
  const { perDay, total, perSession = total } = policy
  const lesser = (a: bigint, b: bigint) => (a < b ? a : b)
  const left = lesser(perDay - spent.day, lesser(total - spent.total, perSession - spent.session))
  return left < 0n ? 0n : left
}

/**
 * Decides whether one more order or payment may be signed.
 * @throws {@link OverLimitError} {@link ModuleNotAllowedError} {@link PublisherNotAllowedError}
 */
export function assertWithinPolicy(options: {
  readonly policy: SpendingPolicy
  readonly ledger: readonly LedgerEntry[]
  readonly spending: Spending
  readonly nowSeconds: number
}): void {
  const { policy, ledger, spending, nowSeconds } = options
  const { kind, maxPrice, module, publisher, session } = spending
  assertAllowed(policy, module, publisher)
  if (maxPrice > policy.perJob)
    throw new OverLimitError('OVER_JOB_LIMIT', { limit: policy.perJob, actual: maxPrice, setting: 'max-per-job' })
  const spent = sumSpend(ledger, nowSeconds, session)
  const limits: readonly [LimitCode, string, bigint | undefined, bigint][] = [
    ['OVER_SESSION_LIMIT', 'max-per-session', policy.perSession, spent.session + maxPrice],
    ['OVER_DAY_LIMIT', 'max-per-day', policy.perDay, spent.day + maxPrice],
    ['OVER_TOTAL_LIMIT', 'max-total', policy.total, spent.total + maxPrice],
    ['OVER_HOUR_LIMIT', 'max-jobs-per-hour', count(policy.jobsPerHour), BigInt(spent.hourJobs + 1)],
    [
      'OVER_CONCURRENT_LIMIT',
      'max-concurrent',
      kind === 'job' ? count(policy.concurrentJobs) : undefined,
      BigInt(spent.openJobs + 1),
    ],
  ]
  for (const [code, setting, limit, actual] of limits)
    if (limit !== undefined && actual > limit) throw new OverLimitError(code, { limit, actual, setting })
}

const count = (limit: number | undefined): bigint | undefined => (limit === undefined ? undefined : BigInt(limit))

function assertAllowed(policy: SpendingPolicy, module: string | undefined, publisher: Address | undefined): void {
  const { modules, deniedModules = [], publishers, deniedPublishers = [] } = policy
  if (module !== undefined && deniedModules.includes(module)) throw new ModuleNotAllowedError(module, 'deny-module')
  if (modules && (module === undefined || !modules.includes(module)))
    throw new ModuleNotAllowedError(module ?? 'none', 'allow-module')
  const isDenied = publisher === undefined ? deniedPublishers.length > 0 : deniedPublishers.includes(publisher)
  if (isDenied) throw new PublisherNotAllowedError(publisher, 'deny-publisher')
  if (publishers && (publisher === undefined || !publishers.includes(publisher)))
    throw new PublisherNotAllowedError(publisher, 'allow-publisher')
}
