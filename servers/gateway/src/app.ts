import express, { type Express, type RequestHandler } from 'express'
import { LilypadError } from '@lilypad-agents/protocol'
import type { GatewayContext } from './context.ts'
import { openAiErrorBody } from './dialects/openai-error.ts'
import { authenticate, limitAddress } from './http/authenticate.ts'
import { createBodyRoom } from './http/body-room.ts'
import { type DoorRules, guardDoor } from './http/guard.ts'
import { measure } from './http/measure.ts'
import { sendErrors } from './http/send-error.ts'
import { depositRoutes } from './routes/deposits.ts'
import { embeddingsRoutes } from './routes/embeddings.ts'
import { jobRoutes } from './routes/jobs.ts'
import { mediaRoutes } from './routes/media.ts'
import { modelRoutes } from './routes/models.ts'
import { moduleRoutes } from './routes/modules.ts'
import { networkRoutes } from './routes/network.ts'
import { openApiRoutes } from './routes/open-api.ts'
import { operationRoutes } from './routes/operations.ts'
import { orderRoutes } from './routes/orders.ts'
import { pageRoutes } from './routes/page.ts'
import { referenceRoutes } from './routes/reference.ts'
import { replyRoutes } from './routes/replies.ts'
import { topUpRoutes } from './routes/top-ups.ts'
import { usageRoutes } from './routes/usage.ts'
import { createPaymentGate } from './x402/pay.ts'
import { x402Routes } from './x402/routes.ts'

/** Puts the routes together; it does not listen. After `closing` nothing new is begun. */
export function createApp(
  context: GatewayContext,
  options: { readonly closing: AbortSignal; readonly door: DoorRules; readonly trace?: RequestHandler },
): Express {
  const { closing, door, trace } = options
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.set('query parser', 'simple')
  app.use(measure(context.metrics))
  if (trace) app.use(trace)
  app.use(guardDoor(door))
  app.use(operationRoutes(context, closing))
  app.use((_request, _response, next) => {
    if (!closing.aborted) return next()
    next(new LilypadError('EXECUTOR_UNAVAILABLE', 'The gateway is closing.', { hint: 'ask again in a few seconds' }))
  })
  const room = createBodyRoom({ maxBytes: context.rules.maxBodyBytes })
  const authentication = authenticate(context, room)
  const gate = createPaymentGate(context, room)
  app.use(['/v1/models', '/v1/modules'], limitAddress())
  app.use(modelRoutes(context))
  app.use(replyRoutes(context, authentication, gate))
  app.use(embeddingsRoutes(context, authentication, gate))
  app.use(mediaRoutes(context, authentication))
  app.use(moduleRoutes(context, authentication))
  app.use(jobRoutes(context, authentication, gate))
  app.use(openApiRoutes(context))
  app.use(referenceRoutes())
  app.use(orderRoutes(context, room))
  app.use(x402Routes(context, room))
  app.use(networkRoutes(context))
  app.use(pageRoutes())
  app.use(usageRoutes(context, authentication))
  app.use(topUpRoutes(context, authentication, room))
  app.use(depositRoutes(context, authentication))
  app.use((_request, _response, next) => next(new LilypadError('NOT_FOUND', 'There is nothing at this address.')))
  app.use(sendErrors(context.log, openAiErrorBody))
  return app
}
