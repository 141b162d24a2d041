import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** What a principal may spend of a wallet that several share, in base units. */
export type Allotment = { readonly perDay: bigint; readonly total: bigint }

/** The shares of one wallet. Together they are never more than what the server may spend. */
export type Allotments = {
  /**
   * The principal's share, as much of what is wanted as is left. It is on disk before it is returned and never shrinks, because
   * it may have been spent; undefined when nothing is left.
   */
  allot(principal: string, wanted: Allotment): Allotment | undefined
  /** The share that the principal has already. */
  find(principal: string): Allotment | undefined
  close(): void
}

/** Opens the shares kept in a folder. Several processes may share it; each change is alone. */
export function openAllotments(directory: string, wallet: Allotment): Allotments {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const database = new DatabaseSync(join(directory, 'allotments.db'))
  database.exec('pragma busy_timeout = 10000; pragma journal_mode = wal; pragma synchronous = full;')
  database.exec(
    'create table if not exists allotments (principal text primary key, per_day text not null, total text not null) strict',
  )
  const list = () =>
    database
      .prepare('select principal, per_day, total from allotments')
      .all()
      .map((row) => ({
        principal: String(row.principal),
        perDay: BigInt(String(row.per_day)),
        total: BigInt(String(row.total)),
      }))
  const put = (principal: string, { perDay, total }: Allotment) =>
    void database
      .prepare(
        'insert into allotments (principal, per_day, total) values (?, ?, ?) on conflict (principal) do update set per_day = excluded.per_day, total = excluded.total',
      )
      .run(principal, String(perDay), String(total))

  return {
    allot(principal, wanted) {
      database.exec('begin immediate')
      try {
        const rows = list()
        const others = rows.filter((row) => row.principal !== principal)
        const before = rows.find((row) => row.principal === principal)
        const share = shareOf(wallet, others, before, wanted)
        if (share) put(principal, share)
        database.exec('commit')
        return share && { perDay: least(share.perDay, wanted.perDay), total: least(share.total, wanted.total) }
      } catch (error) {
        if (database.isTransaction) database.exec('rollback')
        throw error
      }
    },
    find(principal) {
      const row = list().find((candidate) => candidate.principal === principal)
      return row && { perDay: row.perDay, total: row.total }
    },
    close: () => database.close(),
  }
}

/** The share of a principal that keeps what it had and gets what is wanted, as far as the others have left something. */
export function shareOf(
  wallet: Allotment,
  others: readonly Allotment[],
  before: Allotment | undefined,
  wanted: Allotment,
): Allotment | undefined {
  const share = (field: 'perDay' | 'total') => {
    const left = wallet[field] - others.reduce((sum, other) => sum + other[field], 0n)
    return most(before?.[field] ?? 0n, least(wanted[field], left))
  }
  const perDay = share('perDay')
  const total = share('total')
  return perDay > 0n && total > 0n ? { perDay, total } : undefined
}

const least = (a: bigint, b: bigint): bigint => (a < b ? a : b)
const most = (a: bigint, b: bigint): bigint => (a > b ? a : b)
