import express, { type Express } from 'express'
import { LilypadError } from '@lilypad-agents/protocol'
import type { SolverContext } from './context.ts'
import { rateLimit } from './http/rate-limit.ts'
import { errorHandler } from './http/send-error.ts'
import { createOrderDesk } from './job/place-order.ts'
import { artifactRoutes } from './routes/artifacts.ts'
import { attestationRoutes } from './routes/attestations.ts'
import { cancellationRoutes } from './routes/cancellations.ts'
import { jobEventRoutes } from './routes/job-events.ts'
import type { OutputDesk } from './files/output-desk.ts'
import { jobFileRoutes } from './routes/job-files.ts'
import { jobRoutes } from './routes/jobs.ts'
import { moduleRoutes } from './routes/modules.ts'
import { networkRoutes } from './routes/network.ts'
import { quoteRoutes } from './routes/quotes.ts'
import { settlementRoutes } from './routes/settlements.ts'

/** Puts the routes together; it does not listen. `closing` ends the streams that would otherwise stay open. */
export function createApp(
  context: SolverContext,
  options: { readonly closing: AbortSignal; readonly outputs: OutputDesk },
): Express {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.set('query parser', 'simple')
  app.use((request, response, next) => {
    // Any page may read, verify and order: nothing here is granted by cookies or by where a page comes from. Every
    // write and every private read carries a signature that no page can make without the key.
    response.setHeader('access-control-allow-origin', '*')
    response.setHeader('access-control-expose-headers', 'content-length, content-range, etag, retry-after')
    response.setHeader('x-content-type-options', 'nosniff')
    if (request.method !== 'OPTIONS') return next()
    response.setHeader('access-control-allow-methods', 'GET, POST, PUT')
    response.setHeader('access-control-allow-headers', 'authorization, content-type, range, if-range, last-event-id')
    response.setHeader('access-control-max-age', '86400')
    response.status(204).end()
  })
  app.use(rateLimit(context.rules))
  app.use(networkRoutes(context))
  app.use(moduleRoutes(context))
  app.use(artifactRoutes(context))
  app.use(attestationRoutes(context))
  app.use(quoteRoutes(context))
  app.use(jobRoutes(context, createOrderDesk(context)))
  app.use(cancellationRoutes(context))
  app.use(jobEventRoutes(context, options.closing))
  app.use(jobFileRoutes(context, options.outputs))
  app.use(settlementRoutes(context))
  app.use((_request, _response, next) => next(new LilypadError('NOT_FOUND', 'There is nothing at this address.')))
  app.use(errorHandler(context.log))
  return app
}
