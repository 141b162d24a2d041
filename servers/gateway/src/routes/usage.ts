import { Router } from 'express'
import { and, asc, eq, gte, lt } from 'drizzle-orm'
import type { RequestHandler } from 'express'
import { parseWire } from '@lilypad-agents/protocol'
import { formatTokenAmount } from '@lilypad-agents/sdk'
import { z } from 'zod'
import { getBalance } from '../account/account.ts'
import type { GatewayContext } from '../context.ts'
import { requests } from '../db/schema.ts'
import { callerOf } from '../http/authenticate.ts'

/** `GET /v1/usage`: settled requests of the account from a time on, oldest first. */
export const UsageQuery = z.object({
  /** Unix seconds, inclusive. */
  from: z.coerce.number().int().min(0).default(0),
  /** Unix seconds, exclusive. */
  until: z.coerce
    .number()
    .int()
    .min(0)
    .default(2 ** 52),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  format: z.enum(['json', 'csv']).default('json'),
})

const columns = ['id', 'createdAt', 'kind', 'model', 'inputUnits', 'outputUnits', 'cost', 'job', 'receipt'] as const

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
    const { from, until, limit, format } = parseWire(UsageQuery, request.query, 'query')
    const rows = await context.database
      .select()
      .from(requests)
      .where(
        and(
          eq(requests.accountId, callerOf(response).accountId),
          eq(requests.state, 'charged'),
          gte(requests.createdAt, from),
          lt(requests.createdAt, until),
        ),
      )
      .orderBy(asc(requests.createdAt), asc(requests.id))
      .limit(limit)
    const data = rows.map(({ id, createdAt, kind, model, inputUnits, outputUnits, price, orderHash, receipt }) => ({
      ...{ id, createdAt, kind, model, inputUnits, outputUnits },
      cost: formatTokenAmount(price ?? 0n),
      job: orderHash,
      receipt,
    }))
    if (format === 'json') {
      response.json({ object: 'list', data, currency: 'LILY' })
      return
    }
    const lines = data.map((row) => columns.map((column) => JSON.stringify(row[column] ?? '')).join(','))
    response.type('text/csv').send(`${[columns.join(','), ...lines].join('\n')}\n`)
  })
  return router
}
