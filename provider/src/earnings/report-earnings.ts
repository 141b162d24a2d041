import type { Bytes32 } from '@lilypad-agents/protocol'
import type { ClaimState, ClaimTotals } from '../journal/claim-ledger.ts'
import type { Journal } from '../journal/journal.ts'

type Sum = { readonly jobs: number; readonly amount: bigint }

/** What was acknowledged, by module and by day, and what was claimed. In base units, before the shares of author, solver and protocol. */
export type EarningsReport = {
  /** The best first. */
  readonly modules: readonly (Sum & { readonly moduleVersion: Bytes32; readonly name: string | undefined })[]
  /** UTC days with an acknowledgement, the newest first. */
  readonly days: readonly (Sum & { readonly day: string })[]
  readonly claims: { readonly [state in ClaimState]?: ClaimTotals }
}

const nothing: Sum = { jobs: 0, amount: 0n }
const add = ({ jobs, amount }: Sum, price: bigint): Sum => ({ jobs: jobs + 1, amount: amount + price })

/** Adds up a journal. */
export function reportEarnings(
  journal: Pick<Journal, 'readAcknowledged' | 'claims'>,
  options: { readonly days: number },
): EarningsReport {
  const modules = new Map<Bytes32, EarningsReport['modules'][number]>()
  const days = new Map<string, Sum>()
  for (const { moduleVersion, module, price, acknowledgedAt } of journal.readAcknowledged()) {
    const known = modules.get(moduleVersion) ?? { ...nothing, moduleVersion, name: module }
    modules.set(moduleVersion, { ...known, ...add(known, price) })
    const day = new Date(acknowledgedAt * 1000).toISOString().slice(0, 10)
    days.set(day, add(days.get(day) ?? nothing, price))
  }
  return {
    modules: [...modules.values()].toSorted((one, other) => (one.amount < other.amount ? 1 : -1)),
    days: [...days]
      .map(([day, sum]) => ({ day, ...sum }))
      .toSorted((one, other) => (one.day < other.day ? 1 : -1))
      .slice(0, options.days),
    claims: journal.claims.sum(),
  }
}
