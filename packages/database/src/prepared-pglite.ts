import { type messages, Mutex, type PGlite, protocol, types } from '@electric-sql/pglite'

type BackendMessage = messages.BackendMessage
type RowMode = 'array' | 'object'
type Parser = (text: string) => unknown
type QueryOptions = { readonly rowMode?: RowMode; readonly parsers?: Readonly<Record<number, Parser>> }
type QueryResult = {
  readonly rows: readonly unknown[]
  readonly fields: readonly { name: string; dataTypeID: number }[]
}
type Query = (sql: string, values?: readonly unknown[], options?: QueryOptions) => Promise<QueryResult>

/** A statement that the database has parsed. */
type Prepared = { readonly name: string; readonly fields: QueryResult['fields'] }

/** What drizzle needs of a PGlite. */
export type PreparedPglite = {
  readonly query: Query
  /** Runs the work alone; a throw undoes it. */
  transaction<T>(work: (transaction: { readonly query: Query }) => Promise<T>): Promise<T>
  /** Closes the PGlite once what was asked before is done. */
  close(): Promise<void>
}

/** Statements kept parsed. Those with lists in them come in many lengths, so the least recently used go. */
const maxPrepared = 300
const { serialize } = protocol

/**
 * Sends each statement over a PGlite as one message batch with a prepared statement. PGlite's own `query` parses and
 * describes a statement each time and crosses into the database six times for it, which costs five times as much.
 * The PGlite must have no other user.
 */
export function preparePglite(pglite: PGlite): PreparedPglite {
  const mutex = new Mutex()
  const prepared = new Map<string, Prepared>()
  let names = 0

  async function send(batch: readonly Uint8Array[], syncToFs: boolean): Promise<readonly BackendMessage[]> {
    if (pglite.closed) throw new Error('the database is closed')
    return (await pglite.execProtocol(concat(batch), { syncToFs })).messages
  }

  /** Parses a statement, once for all its runs. */
  async function prepare(sql: string): Promise<Prepared> {
    const known = prepared.get(sql)
    if (known) {
      prepared.delete(sql)
      prepared.set(sql, known)
      return known
    }
    const name = `s${++names}`
    const answer = await send(
      [serialize.parse({ name, text: sql }), serialize.describe({ type: 'S', name }), serialize.sync()],
      false,
    )
    const statement = { name, fields: answer.find(isRowDescription)?.fields ?? [] }
    prepared.set(sql, statement)
    const [oldest] = prepared
    if (oldest && prepared.size > maxPrepared) {
      prepared.delete(oldest[0])
      await send([serialize.close({ type: 'S', name: oldest[1].name }), serialize.sync()], false)
    }
    return statement
  }

  async function run(sql: string, values: readonly unknown[], options: QueryOptions, syncToFs: boolean) {
    const { name, fields } = await prepare(sql)
    const answer = await send(
      [serialize.bind({ statement: name, values: values.map(toText) }), serialize.execute({}), serialize.sync()],
      syncToFs,
    )
    const parsers = fields.map(({ dataTypeID }) => options.parsers?.[dataTypeID] ?? types.parsers[dataTypeID])
    const rows = answer.filter(isDataRow).map((row) => {
      const cells = row.fields.map((text, column) => (text === null ? null : (parsers[column]?.(text) ?? text)))
      if (options.rowMode === 'array') return cells
      return Object.fromEntries(cells.map((cell, column) => [fields[column]?.name, cell]))
    })
    return { rows, fields }
  }

  return {
    query: (sql, values = [], options = {}) => mutex.runExclusive(() => run(sql, values, options, true)),
    transaction: (work) =>
      mutex.runExclusive(async () => {
        await send([serialize.query('begin')], false)
        try {
          const result = await work({ query: (sql, values = [], options = {}) => run(sql, values, options, false) })
          const answer = await send([serialize.query('commit')], true)
          // Postgres answers so, and without an error, when a statement had failed and the work went on.
          if (answer.some((message) => isCommandComplete(message) && message.text === 'ROLLBACK'))
            throw new Error('a statement of the transaction had failed, so nothing was committed')
          return result
        } catch (error) {
          await send([serialize.query('rollback')], false)
          throw error
        }
      }),
    close: () => mutex.runExclusive(() => pglite.close()),
  }
}

/** A value as the text that the database reads; it knows the type from the statement. */
function toText(value: unknown): string | null {
  if (value === null || value === undefined) return null
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return String(value)
  throw new TypeError(`no column takes a value of type ${typeof value}`)
}

const isRowDescription = (message: BackendMessage): message is messages.RowDescriptionMessage =>
  message.name === 'rowDescription'
const isCommandComplete = (message: BackendMessage): message is messages.CommandCompleteMessage =>
  message.name === 'commandComplete'
const isDataRow = (message: BackendMessage): message is messages.DataRowMessage => message.name === 'dataRow'

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}
