import { join } from 'node:path'
import { Journal, type JournalTotals, type RecentJob } from '../journal/journal.ts'
import { type Earnings, sumEarnings } from './provider-status.ts'
import { type EarningsReport, reportEarnings } from './report-earnings.ts'

/** What a state directory says of its provider, running or not. */
export type StoredEarnings = {
  readonly isRunning: boolean
  readonly jobs: JournalTotals
  readonly earnings: Earnings
  readonly report: EarningsReport
  /** Prices of delivered jobs that nobody has acknowledged or claimed. */
  readonly unpaid: readonly bigint[]
  /** Newest first. */
  readonly recent: readonly RecentJob[]
  /** Newest first. */
  readonly settlements: ReturnType<Journal['listSettlements']>
}

/** Reads what a provider has earned from its state directory, also while it runs. Undefined when none ever ran there. */
export function findEarnings(options: {
  readonly stateDir: string
  /** @default 30 */
  readonly days?: number
}): StoredEarnings | undefined {
  const { stateDir, days = 30 } = options
  const folder = join(stateDir, 'provider')
  const journal = Journal.findForReading(folder)
  if (journal === undefined) return undefined
  try {
    return {
      isRunning: Journal.isInUse(folder),
      jobs: journal.countJobs(),
      earnings: sumEarnings(journal),
      report: reportEarnings(journal, { days }),
      unpaid: journal.claims.listUnpaid().map(({ price }) => price),
      recent: journal.listRecentJobs(20),
      settlements: journal.listSettlements(20),
    }
  } finally {
    journal.close()
  }
}
