import type { LedgerEntry } from '../wallet/spending-policy.ts'

const hour = 3600
const day = 86_400
/** Entries that are kept before they are folded again. */
const foldFrom = 4096

/**
 * Jobs whose price is known, added up where no limit tells them apart, so that a ledger of many years is short. What limits of an hour
 * may still count is kept by the second, as it is told; what counts for a day, by the minute, at its end; older jobs by their session.
 */
export function createLedgerFold(clock: () => number = () => Math.floor(Date.now() / 1000)) {
  let entries = new Map<string, LedgerEntry>()
  let foldedSize = 0

  const put = (key: string, entry: LedgerEntry) => {
    const known = entries.get(key)
    entries.set(key, known ? together(known, entry) : entry)
  }

  function fold(now: number): void {
    const before = entries
    entries = new Map()
    for (const entry of before.values()) {
      const { orderedAt, session = '' } = entry
      const age = now - orderedAt
      // A minute more than the limits look back: the jobs of a minute have the time of the last of them.
      const at = age > day + 60 ? 'old' : age > hour + 60 ? `m${Math.floor(orderedAt / 60)}` : orderedAt
      put(`${at} ${session}`, entry)
    }
    foldedSize = entries.size
  }

  return {
    add(entry: LedgerEntry): void {
      put(`${entry.orderedAt} ${entry.session ?? ''}`, entry)
      if (entries.size >= Math.max(foldFrom, 2 * foldedSize)) fold(clock())
    },
    list: (): readonly LedgerEntry[] => [...entries.values()],
  }
}

function together(a: LedgerEntry, b: LedgerEntry): LedgerEntry {
  return {
    ...a,
    maxPrice: a.maxPrice + b.maxPrice,
    price: (a.price ?? 0n) + (b.price ?? 0n),
    orderedAt: Math.max(a.orderedAt, b.orderedAt),
    deliverBy: Math.max(a.deliverBy, b.deliverBy),
    count: (a.count ?? 1) + (b.count ?? 1),
  }
}
