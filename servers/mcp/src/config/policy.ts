import type { SignedGrant } from '@lilypad-agents/protocol'
import { type ApprovalWay, approvalWays, type SpendingPolicy } from '@lilypad-agents/sdk'
import type { McpConfig } from './config.ts'
import type { GivenSettings } from './settings.ts'

/** Ways to approve an order: by the host's own prompt, by the client's form, on a page, in a terminal, or not at all. */
export const approvalModes = ['host', 'elicit', 'url', 'cli', 'deny'] as const
export type ApprovalMode = (typeof approvalModes)[number]

/** Payments of which nobody can say what became of them, after which spending stops. */
const maxUnknown = 2

/** The limits that the settings name, before those of a grant. */
export function toPolicy(given: GivenSettings): SpendingPolicy {
  const lists = {
    modules: given['allow-module'],
    deniedModules: given['deny-module'],
    publishers: given['allow-publisher'],
    deniedPublishers: given['deny-publisher'],
  }
  return {
    perJob: given['max-per-job'],
    perDay: given['max-per-day'],
    total: given['max-total'],
    perSession: given['max-per-session'],
    jobsPerHour: given['max-jobs-per-hour'],
    concurrentJobs: given['max-concurrent'],
    approveFrom: given['auto-approve-under'],
    ...(given['stop-after'] === 0 ? {} : { stopAfter: { failures: given['stop-after'], unknown: maxUnknown } }),
    ...Object.fromEntries(Object.entries(lists).filter(([, list]) => list !== undefined)),
  }
}

const waysOf: { readonly [mode in ApprovalMode]: readonly ApprovalWay[] } = {
  host: approvalWays,
  elicit: ['elicit', 'cli'],
  url: ['url', 'cli'],
  cli: ['cli'],
  deny: [],
}

/** The policy that is enforced where orders are signed: the limits, and who has to approve what, in which ways. */
export function enforcedPolicy({
  policy,
  approval = 'elicit',
}: Pick<McpConfig, 'policy' | 'approval'>): SpendingPolicy {
  const { approveFrom = 0n, ...limits } = policy
  return approval === 'host' ? limits : { ...limits, approveFrom, ways: waysOf[approval] }
}

/** Amounts in base units. */
export type SpendingLimits = Pick<SpendingPolicy, 'perJob' | 'perDay' | 'total'>

/** Of each limit the smaller one. */
export function leastLimits(limits: SpendingLimits, others: Partial<SpendingLimits>): SpendingLimits {
  const least = (a: bigint, b: bigint | undefined) => (b === undefined || a < b ? a : b)
  return {
    perJob: least(limits.perJob, others.perJob),
    perDay: least(limits.perDay, others.perDay),
    total: least(limits.total, others.total),
  }
}

/** What the payer granted bounds what the server is set to: the smaller of both counts, before anything is signed. */
export const limitPolicy = (policy: SpendingPolicy, grant: SignedGrant | undefined): SpendingPolicy =>
  grant ? { ...policy, ...leastLimits(policy, grant.grant) } : policy
