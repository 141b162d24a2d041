import { type Request, type RequestHandler, Router } from 'express'
import { parseWire } from '@lilypad-agents/protocol'
import { parseTokenAmount } from '@lilypad-agents/sdk'
import type { z } from 'zod'
import type { JobRequest, RequestPolicy } from '../completion/place-job.ts'
import type { GatewayContext } from '../context.ts'
import { readPolicy } from '../http/policy.ts'
import { readBody } from '../http/read-body.ts'
import { ListQuery, QuoteBody } from '../jobs/job-schema.ts'
import { moduleView, quoteView } from '../jobs/views.ts'
import { createWalletDoor } from '../x402/pay.ts'
import { noteQuote } from '../replicas/replica.ts'
import { quoteRouted } from '../routing/quote-routed.ts'

/** `GET /v1/modules` for everybody, `POST /v1/quotes` for keys. */
export function moduleRoutes(context: GatewayContext, authentication: RequestHandler): Router {
  const router = Router()
  const { client } = context
  const admitWallets = createWalletDoor(context)

  router.get('/v1/modules', async (request, response) => {
    const { query, limit, cursor } = parseWire(ListQuery, request.query, 'query')
    const { modules, nextCursor } = await client.searchModules({
      limit,
      ...(query ? { query } : {}),
      ...(cursor ? { cursor } : {}),
    })
    response.json({ object: 'list', data: modules.map(moduleView), next_cursor: nextCursor })
  })

  router.get('/v1/modules/:module', async (request: Request<{ module: string }>, response) => {
    response.json(moduleView(await client.getModule(request.params.module)))
  })

  const body = readBody({ maxBytes: context.rules.maxBodyBytes })
  router.post('/v1/quotes', authentication, admitWallets, ...body, async (request, response) => {
    const asked = parseWire(QuoteBody, request.body, 'request')
    const policy = bodyPolicy(asked, readPolicy(request, context.rules))
    const quote = await quoteRouted(context, toJobRequest(asked), policy)
    const { quoteId, expiresAt } = quote.quote
    await noteQuote(context.database, { quoteId, expiresAt, replica: context.replica })
    response.status(201).json(quoteView(quote, client.domain))
  })
  return router
}

type Asked = z.output<typeof QuoteBody>

/** What the body allows, else the headers. */
export function bodyPolicy({ max_price, provider }: Asked, policy: RequestPolicy): RequestPolicy {
  return {
    ...policy,
    maxPrice: max_price === undefined ? policy.maxPrice : parseTokenAmount(max_price),
    provider: provider ?? policy.provider,
  }
}

export function toJobRequest({ module, inputs, files }: Asked): JobRequest & Required<Pick<JobRequest, 'files'>> {
  const given = Object.entries(files).map(([input, { data, media_type, name }]) => {
    return [input, { bytes: new Uint8Array(Buffer.from(data, 'base64')), mediaType: media_type, name }] as const
  })
  return { module, inputs, files: Object.fromEntries(given) }
}
