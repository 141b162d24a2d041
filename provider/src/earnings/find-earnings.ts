import { join } from 'node:path'
import { Journal, type JournalTotals } from '../journal/journal.ts'
import { type Earnings, sumEarnings } from './provider-status.ts'

/** What a state directory says of its provider, running or not. */
export type StoredEarnings = {
  readonly jobs: JournalTotals
  readonly earnings: Earnings
  /** Newest first. */
  readonly settlements: ReturnType<Journal['listSettlements']>
}

/** Reads what a provider has earned from its state directory, also while it runs. Undefined when none ever ran there. */
export function findEarnings(options: { readonly stateDir: string }): StoredEarnings | undefined {
  const journal = Journal.findForReading(join(options.stateDir, 'provider'))
  if (journal === undefined) return undefined
  try {
    return { jobs: journal.countJobs(), earnings: sumEarnings(journal), settlements: journal.listSettlements(20) }
  } finally {
    journal.close()
  }
}
