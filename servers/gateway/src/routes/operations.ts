import { Router } from 'express'
import { sql } from 'drizzle-orm'
import type { GatewayContext } from '../context.ts'

/** `GET /health`: whether it answers; `GET /ready`: whether it can take requests, with its database and network. */
export function operationRoutes(context: GatewayContext, closing: AbortSignal): Router {
  const router = Router()
  router.get('/health', (_request, response) => {
    response.json({ status: 'ok', name: 'lilypad-gateway' })
  })
  router.get('/ready', async (_request, response) => {
    const checks = await Promise.allSettled([context.database.execute(sql`select 1`), context.models.list()])
    const [database, network] = checks.map(({ status }) => status === 'fulfilled')
    const isReady = Boolean(database && network && !closing.aborted)
    response.status(isReady ? 200 : 503).json({ status: isReady ? 'ready' : 'not ready', database, network })
  })
  return router
}
