import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { type Bytes32, LilypadError } from '@lilypad-agents/protocol'
import { z } from 'zod'
import { Offer, Sale } from './sale.ts'

const schema = `
create table if not exists offers (id text primary key, expires_at integer not null, value text not null) strict;
create table if not exists sales (
  id text primary key, offer_id text not null unique, tool text not null, inputs_digest text not null, payer text not null,
  state text not null, opened_at integer not null, cost text not null, value text not null
) strict;
create index if not exists sales_open on sales (state, tool, inputs_digest);
create index if not exists sales_payer on sales (payer, state);
`
const keptOfferSeconds = 3600
const daySeconds = 86_400

/** Another payment holds what this one asks for, or this seller may not sell more now. Nothing was taken. */
export class SaleRefusedError extends LilypadError {
  override readonly name = 'SaleRefusedError'
  constructor(code: 'STATE_CONFLICT' | 'RATE_LIMITED' | 'NONCE_USED', message: string, hint: string) {
    super(code, message, { hint })
  }
}

/** Offers and sales, on disk before anything follows from them. Several processes may share the folder. */
export type SaleStore = {
  putOffer(offer: Offer, nowSeconds: number): void
  findOffer(id: Bytes32): Offer | undefined
  findSale(id: Bytes32): Sale | undefined
  /** A sale of this very call that has not ended. */
  findOpenSale(call: { readonly tool: string; readonly inputsDigest: Bytes32 }): Sale | undefined
  /** Sales that have not ended, oldest first. */
  listOpenSales(): readonly Sale[]
  /**
   * Takes a payment for an offer, if nothing stands against it: one sale per offer, one open sale per payer, and no more unpaid work than
   * the seller allows for. The same payment again gives the same sale.
   * @throws {@link SaleRefusedError}
   */
  openSale(sale: Sale, limits: { readonly maxLoss: bigint }): Sale
  updateSale(id: Bytes32, change: (sale: Sale) => Sale): Sale
  close(): void
}

export function openSaleStore(directory: string): SaleStore {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const database = new DatabaseSync(join(directory, 'sales.db'))
  database.exec('pragma busy_timeout = 10000; pragma journal_mode = wal; pragma synchronous = full;')
  database.exec(schema)

  const read = <S extends z.ZodType>(schema: S, sql: string, ...values: SQLInputValue[]): z.output<S>[] =>
    database
      .prepare(sql)
      .all(...values)
      .map((row) => schema.parse(JSON.parse(String(row.value))))
  const encode = <S extends z.ZodType>(schema: S, value: z.output<S>) => JSON.stringify(z.encode(schema, value))
  const findSale = (id: Bytes32) => read(Sale, 'select value from sales where id = ?', id)[0]

  function transaction<T>(work: () => T): T {
    try {
      database.exec('begin immediate')
      const result = work()
      database.exec('commit')
      return result
    } catch (error) {
      if (database.isTransaction) database.exec('rollback')
      throw error
    }
  }

  /** What is spent on sales that are not paid: of open ones for now, of unpaid ones for a day. */
  function unpaidCost(nowSeconds: number): bigint {
    const rows = database
      .prepare(
        "select cost from sales where state in ('open', 'delivered') or (state in ('unpaid', 'uncollected') and opened_at > ?)",
      )
      .all(nowSeconds - daySeconds)
    return rows.reduce((sum, { cost }) => sum + BigInt(String(cost)), 0n)
  }

  const isPayerIn = (payer: string, ...states: readonly string[]) =>
    database
      .prepare(`select 1 from sales where payer = ? and state in (${states.map(() => '?').join()}) limit 1`)
      .get(payer, ...states) !== undefined

  return {
    putOffer: (offer, nowSeconds) =>
      transaction(() => {
        database.prepare('delete from offers where expires_at < ?').run(nowSeconds - keptOfferSeconds)
        database
          .prepare('insert into offers (id, expires_at, value) values (?, ?, ?)')
          .run(offer.id, offer.expiresAt, encode(Offer, offer))
      }),
    findOffer: (id) => read(Offer, 'select value from offers where id = ?', id)[0],
    findSale,
    findOpenSale: ({ tool, inputsDigest }) =>
      read(
        Sale,
        "select value from sales where state in ('open', 'delivered') and tool = ? and inputs_digest = ? order by opened_at limit 1",
        tool,
        inputsDigest,
      )[0],
    listOpenSales: () =>
      read(Sale, "select value from sales where state in ('open', 'delivered') order by opened_at, rowid"),
    openSale: (sale, { maxLoss }) =>
      transaction(() => {
        const known = findSale(sale.id)
        if (known) return known
        const { offer, authorization, openedAt } = sale
        const hint = 'send the payment that was sent first; nothing was taken for this one'
        if (database.prepare('select 1 from sales where offer_id = ?').get(offer.id))
          throw new SaleRefusedError(
            'STATE_CONFLICT',
            'This offer is being paid, or was paid, by another payment.',
            hint,
          )
        if (isPayerIn(authorization.from, 'unpaid'))
          throw new SaleRefusedError(
            'RATE_LIMITED',
            'An earlier payment of this account could not be collected after its job was done.',
            'pay from another account; nothing was taken for this payment',
          )
        if (isPayerIn(authorization.from, 'open', 'delivered'))
          throw new SaleRefusedError(
            'RATE_LIMITED',
            'Another job of this account is not paid yet.',
            'wait until that job has ended, then send this same payment again; nothing was taken for it',
          )
        if (unpaidCost(openedAt) + offer.cost > maxLoss)
          throw new SaleRefusedError(
            'RATE_LIMITED',
            'This seller does no more work now before earlier work is paid.',
            'send this same payment again in a minute; nothing was taken for it',
          )
        database
          .prepare(
            'insert into sales (id, offer_id, tool, inputs_digest, payer, state, opened_at, cost, value) values (?, ?, ?, ?, ?, ?, ?, ?, ?)',
          )
          .run(
            sale.id,
            offer.id,
            offer.tool,
            offer.inputsDigest,
            authorization.from,
            sale.state,
            openedAt,
            offer.cost.toString(),
            encode(Sale, sale),
          )
        return sale
      }),
    updateSale: (id, change) =>
      transaction(() => {
        const sale = findSale(id)
        if (!sale) throw new TypeError('no such sale')
        const changed = change(sale)
        database
          .prepare('update sales set state = ?, value = ? where id = ?')
          .run(changed.state, encode(Sale, changed), id)
        return changed
      }),
    close: () => database.close(),
  }
}
