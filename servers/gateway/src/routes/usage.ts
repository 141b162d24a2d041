import { Router } from 'express'
import { and, asc, count, eq, gt, gte, lt, or, sql, sum } from 'drizzle-orm'
import type { RequestHandler } from 'express'
import { parseWire } from '@lilypad-agents/protocol'
import { formatTokenAmount } from '@lilypad-agents/sdk'
import { z } from 'zod'
import { getBalance } from '../account/account.ts'
import type { GatewayContext } from '../context.ts'
import type { Database } from '../db/open-database.ts'
import { requests } from '../db/schema.ts'
import { callerOf } from '../http/authenticate.ts'

const groups = ['key', 'model', 'day'] as const

/** `GET /v1/usage`: settled requests of the account from a time on, oldest first; or their sums by key, model or UTC day. */
export const UsageQuery = z.object({
  /** Unix seconds, inclusive. */
  from: z.coerce.number().int().min(0).default(0),
  /** Unix seconds, exclusive. */
  until: z.coerce
    .number()
    .int()
    .min(0)
    .default(2 ** 52),
  key: z.string().max(100).optional().meta({ description: 'Id of the one key' }),
  model: z.string().max(200).optional(),
  by: z.enum(groups).optional().meta({ description: 'Sums instead of requests' }),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  after: z
    .string()
    .regex(/^\d{1,16}\.\w{1,64}$/)
    .optional()
    .meta({ description: '`next_cursor` of the page before, in the header `x-lilypad-next-cursor` too' }),
  format: z.enum(['json', 'csv']).default('json'),
})

const columns = [
  ...['id', 'createdAt', 'kind', 'model', 'inputUnits', 'outputUnits', 'cost', 'job', 'receipt', 'key'],
] as const
const sumColumns = ['group', 'requests', 'inputUnits', 'outputUnits', 'cost'] as const
export const nextCursorHeader = 'x-lilypad-next-cursor'

/** What an account has, and what its requests have cost. */
export function usageRoutes(context: GatewayContext, authentication: RequestHandler): Router {
  const router = Router()

  router.get('/v1/account', authentication, async (_request, response) => {
    const { balance, reserved } = await getBalance(context.database, callerOf(response).accountId)
    response.json({
      balance: formatTokenAmount(balance),
      reserved: formatTokenAmount(reserved),
      available: formatTokenAmount(balance - reserved),
      currency: 'LILY',
    })
  })

  router.get('/v1/usage', authentication, async (request, response) => {
    const { by, format, ...asked } = parseWire(UsageQuery, request.query, 'query')
    const { accountId } = callerOf(response)
    const { data, next } = by
      ? { data: await sumUsage(context.database, { ...asked, accountId, by }), next: undefined }
      : await listUsage(context.database, { ...asked, accountId })
    if (next !== undefined) response.setHeader(nextCursorHeader, next)
    if (format === 'json') response.json({ object: 'list', data, currency: 'LILY', next_cursor: next ?? null })
    else response.type('text/csv').send(toCsv(by ? sumColumns : columns, data))
  })
  return router
}

type Asked = Omit<z.output<typeof UsageQuery>, 'by' | 'format'> & { readonly accountId: string }
type Row = Readonly<Record<string, string | number | null>>

const isAsked = ({ accountId, from, until, key, model }: Asked) =>
  and(
    eq(requests.accountId, accountId),
    eq(requests.state, 'charged'),
    gte(requests.createdAt, from),
    lt(requests.createdAt, until),
    key === undefined ? undefined : eq(requests.keyId, key),
    model === undefined ? undefined : eq(requests.model, model),
  )

async function listUsage(
  database: Database,
  asked: Asked,
): Promise<{ data: readonly Row[]; next: string | undefined }> {
  const { after, limit } = asked
  const [at, id = ''] = after?.split('.') ?? []
  const isLater =
    at === undefined
      ? undefined
      : or(gt(requests.createdAt, Number(at)), and(eq(requests.createdAt, Number(at)), gt(requests.id, id)))
  const rows = await database
    .select()
    .from(requests)
    .where(and(isAsked(asked), isLater))
    .orderBy(asc(requests.createdAt), asc(requests.id))
    .limit(limit)
  const last = rows.length === limit ? rows.at(-1) : undefined
  return {
    next: last && `${last.createdAt}.${last.id}`,
    data: rows.map(({ keyId, price, orderHash, receipt, ...row }) => ({
      ...{ id: row.id, createdAt: row.createdAt, kind: row.kind, model: row.model },
      ...{ inputUnits: row.inputUnits, outputUnits: row.outputUnits },
      cost: formatTokenAmount(price ?? 0n),
      job: orderHash,
      receipt,
      key: keyId,
    })),
  }
}

async function sumUsage(
  database: Database,
  { by, ...asked }: Asked & { readonly by: (typeof groups)[number] },
): Promise<readonly Row[]> {
  const day = sql<string>`to_char(to_timestamp(${requests.createdAt}) at time zone 'UTC', 'YYYY-MM-DD')`
  const group = { key: sql<string>`${requests.keyId}`, model: sql<string>`${requests.model}`, day }[by]
  const rows = await database
    .select({
      group,
      requests: count(),
      inputUnits: sum(requests.inputUnits),
      outputUnits: sum(requests.outputUnits),
      cost: sum(requests.price),
    })
    .from(requests)
    .where(isAsked(asked))
    // By its place: the same expression twice would be two parameters.
    .groupBy(sql`1`)
    .orderBy(sql`1`)
    .limit(asked.limit)
  return rows.map(({ inputUnits, outputUnits, cost, ...row }) => ({
    ...row,
    inputUnits: Number(inputUnits ?? 0),
    outputUnits: Number(outputUnits ?? 0),
    cost: formatTokenAmount(BigInt(cost ?? 0)),
  }))
}

/** A leading sign would be a formula where the file is opened as a sheet. */
const cell = (value: string | number | null | undefined) => {
  const text = String(value ?? '')
  return JSON.stringify(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text)
}

function toCsv(names: readonly string[], rows: readonly Row[]): string {
  const lines = rows.map((row) => names.map((name) => cell(row[name])).join(','))
  return `${[names.join(','), ...lines].join('\n')}\n`
}
