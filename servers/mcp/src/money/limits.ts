import type { SpendingPolicy } from '@lilypad-agents/sdk'
import { formatAmount } from './token.ts'

/** The limits of a policy, with amounts in LILY. Those that are not set are left out. */
export function tellLimits(policy: SpendingPolicy) {
  const { perJob, perDay, total, perSession, jobsPerHour, concurrentJobs, approveFrom } = policy
  return {
    per_job: formatAmount(perJob),
    per_day: formatAmount(perDay),
    total: formatAmount(total),
    ...(perSession === undefined ? {} : { per_session: formatAmount(perSession) }),
    ...(jobsPerHour === undefined ? {} : { jobs_per_hour: jobsPerHour }),
    ...(concurrentJobs === undefined ? {} : { concurrent: concurrentJobs }),
    ...(approveFrom === undefined ? {} : { auto_approve_under: formatAmount(approveFrom) }),
  }
}
