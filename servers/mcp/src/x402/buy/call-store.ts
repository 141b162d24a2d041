import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Bytes32, UnixSeconds } from '@lilypad-agents/protocol'
import { PaymentRequirements, TransferAuthorization } from '@lilypad-agents/sdk/x402'
import { z } from 'zod'
import { PaidAnswer } from './paid-server.ts'

/**
 * `planned`: a price was asked and nothing signed; `signed`: the payment may be with the seller; `done`: answered, and the answer is kept;
 * `void`: the payment can never be taken any more.
 */
export const callStates = ['planned', 'signed', 'done', 'void'] as const

/** A paid call to another server, with the one payment that it can ever make. */
export const PaidCall = z.strictObject({
  /** Digest of server, tool, arguments and repetition. */
  id: Bytes32,
  /** Of the ledger; another one after a payment that was never taken. */
  paymentId: Bytes32,
  attempt: z.int(),
  server: z.string(),
  tool: z.string(),
  requirements: PaymentRequirements,
  /** Fixed before anything is signed, so that however often it is signed it can be taken once. */
  authorization: TransferAuthorization,
  state: z.enum(callStates),
  transaction: z.string().nullable(),
  answer: PaidAnswer.nullable(),
  plannedAt: UnixSeconds,
})
export type PaidCall = z.output<typeof PaidCall>

/** Paid calls, on disk before anything is signed for them. Several processes may share the folder. */
export type CallStore = {
  find(id: Bytes32): PaidCall | undefined
  /** The call of a payment that is not signed. */
  findPlanned(paymentId: Bytes32): PaidCall | undefined
  /** Keeps a call, unless another is kept under its id that `mayReplace` keeps. @returns what is kept */
  plan(call: PaidCall, mayReplace: (known: PaidCall) => boolean): PaidCall
  update(id: Bytes32, change: (call: PaidCall) => PaidCall): PaidCall
  /** Calls whose payment may be with a seller. */
  listSigned(): readonly PaidCall[]
  close(): void
}

export function openCallStore(directory: string): CallStore {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const database = new DatabaseSync(join(directory, 'paid-calls.db'))
  database.exec('pragma busy_timeout = 10000; pragma journal_mode = wal; pragma synchronous = full;')
  database.exec(
    'create table if not exists calls (id text primary key, state text not null, value text not null) strict;',
  )
  const read = (sql: string, ...values: string[]) =>
    database
      .prepare(sql)
      .all(...values)
      .map(({ value }) => PaidCall.parse(JSON.parse(String(value))))
  const find = (id: Bytes32) => read('select value from calls where id = ?', id)[0]
  const put = (call: PaidCall): PaidCall => {
    database
      .prepare(
        'insert into calls (id, state, value) values (?, ?, ?) on conflict (id) do update set state = excluded.state, value = excluded.value',
      )
      .run(call.id, call.state, JSON.stringify(z.encode(PaidCall, call)))
    return call
  }
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
  return {
    find,
    findPlanned: (paymentId) =>
      read("select value from calls where state = 'planned' and value ->> 'paymentId' = ?", paymentId)[0],
    plan: (call, mayReplace) =>
      transaction(() => {
        const known = find(call.id)
        return known && !mayReplace(known) ? known : put(call)
      }),
    update: (id, change) =>
      transaction(() => {
        const call = find(id)
        if (!call) throw new TypeError('no such call')
        return put(change(call))
      }),
    listSigned: () => read("select value from calls where state = 'signed'"),
    close: () => database.close(),
  }
}
