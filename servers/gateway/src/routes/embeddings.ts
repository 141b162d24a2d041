import { type RequestHandler, Router } from 'express'
import { type EmbeddingsReply, runEmbeddings } from '../completion/run-embeddings.ts'
import type { GatewayContext } from '../context.ts'
import { embeddingsBody, parseEmbeddingsRequest, toUpstreamEmbeddings } from '../dialects/embeddings.ts'
import { callerOf } from '../http/authenticate.ts'
import { goneSignal } from '../http/gone-signal.ts'
import { openPaid, tellSettlement } from '../http/open-paid.ts'
import { readPolicy } from '../http/policy.ts'
import { readBody } from '../http/read-body.ts'
import { toModelInputs } from '../completion/to-model-inputs.ts'
import { relayEmbeddings } from '../orders/relay-reply.ts'
import { quoteRouted } from '../routing/quote-routed.ts'
import { type PaymentGate, relayedOf } from '../x402/pay.ts'

/** `POST /v1/embeddings`. */
export function embeddingsRoutes(context: GatewayContext, authentication: RequestHandler, gate: PaymentGate): Router {
  const router = Router()
  const body = readBody({ maxBytes: context.rules.maxBodyBytes })
  const paid = gate(async (request) => {
    const asked = parseEmbeddingsRequest(request.body)
    const model = await context.models.get(asked.model, 'embeddings')
    return quoteRouted(context, toModelInputs(model, toUpstreamEmbeddings(asked)), readPolicy(request, context.rules))
  })
  router.post('/v1/embeddings', authentication, ...body, paid, async (request, response) => {
    const signal = goneSignal(response)
    const asked = parseEmbeddingsRequest(request.body)
    const policy = readPolicy(request, context.rules)
    const model = await context.models.get(asked.model, 'embeddings')
    const relayed = relayedOf(context, response)
    if (relayed) {
      const made = await relayEmbeddings(context, { ...relayed, model, signal }, asked)
      tellSettlement(response, made.settlement)
      response.json(embeddingsBody(asked, made))
      return
    }
    const opened = await openPaid(context, request, response, { kind: 'embeddings', model: model.id })
    const reply = opened.isNew
      ? await runEmbeddings(context, {
          requestId: opened.requestId,
          model,
          asked,
          policy,
          account: callerOf(response).accountId,
          signal,
        })
      : // Written by this gateway when the request was charged.
        (opened.answer as EmbeddingsReply)
    tellSettlement(response, reply.settlement)
    response.json(embeddingsBody(asked, reply))
  })
  return router
}
