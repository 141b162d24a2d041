import { type Request, type RequestHandler, type Response, Router } from 'express'
import { toLilypadError } from '@lilypad-agents/protocol'
import { type ChatStep, completeChat, streamChat } from '../completion/run-chat.ts'
import { type GatewayContext, nowSeconds } from '../context.ts'
import { toReplyEvents } from '../conversation/reply.ts'
import { chatCompletions } from '../dialects/chat-completions/chat-completions.ts'
import type { Dialect, Envelope, SettledReply } from '../dialects/dialect.ts'
import { messages } from '../dialects/messages/messages.ts'
import { responses } from '../dialects/responses/responses.ts'
import { callerOf } from '../http/authenticate.ts'
import { EventStream } from '../http/event-stream.ts'
import { goneSignal } from '../http/gone-signal.ts'
import { openPaid, tellSettlement } from '../http/open-paid.ts'
import { readPolicy } from '../http/policy.ts'
import { quoteRouted } from '../routing/quote-routed.ts'
import { readBody } from '../http/read-body.ts'
import { logFailure, sendErrors } from '../http/send-error.ts'
import { toModelInputs } from '../completion/to-model-inputs.ts'
import { toUpstreamRequest } from '../upstream/to-upstream-request.ts'
import { type PaymentGate, relayedOf } from '../x402/pay.ts'
import { relayCompletion, relayStream } from '../orders/relay-reply.ts'

const dialects: { readonly [path: string]: Dialect } = {
  '/v1/chat/completions': chatCompletions,
  '/v1/responses': responses,
  '/v1/messages': messages,
}

/** Replies of models: one route for each dialect, and one way through for all of them. */
export function replyRoutes(context: GatewayContext, authentication: RequestHandler, gate: PaymentGate): Router {
  const router = Router()
  const body = readBody({ maxBytes: context.rules.maxBodyBytes })
  for (const [path, dialect] of Object.entries(dialects)) {
    const answer: RequestHandler = (request, response) => reply(context, dialect, request, response)
    const paid = gate(async (request) => {
      const conversation = dialect.parse(request.body)
      const model = await context.models.get(conversation.model, 'chat')
      return quoteRouted(
        context,
        toModelInputs(model, toUpstreamRequest(conversation)),
        readPolicy(request, context.rules),
      )
    })
    router.post(path, authentication, ...body, paid, answer, sendErrors(context.log, dialect.encodeError))
  }
  return router
}

async function reply(context: GatewayContext, dialect: Dialect, request: Request, response: Response): Promise<void> {
  const began = performance.now()
  const signal = goneSignal(response)
  const conversation = dialect.parse(request.body)
  const policy = readPolicy(request, context.rules)
  const model = await context.models.get(conversation.model, 'chat')
  const relayed = relayedOf(context, response)
  const opened = relayed
    ? { isNew: true as const, requestId: relayed.order.orderHash.slice(2, 34), createdAt: nowSeconds(context) }
    : await openPaid(context, request, response, { kind: dialect.name, model: model.id })
  if (!opened.isNew) {
    const { id, createdAt } = opened.earlier
    // Written by this gateway when the request was charged.
    sendAgain(dialect, { id, createdAt, request: conversation }, opened.answer as SettledReply, response)
    return
  }
  const { requestId, createdAt } = opened
  const envelope: Envelope = { id: requestId, createdAt, request: conversation }
  const onPlaced = (jobId: string) => {
    if (!response.headersSent) response.setHeader('x-lilypad-job', jobId)
  }
  // An order of a wallet is paid by no account.
  const call = () => ({
    ...{ requestId, model, conversation, policy, signal, onPlaced },
    account: callerOf(response).accountId,
  })
  if (!conversation.isStreamed) {
    const whole = await (relayed
      ? relayCompletion(context, { ...relayed, model, signal })
      : completeChat(context, call()))
    tellSettlement(response, whole.settlement)
    response.json(dialect.encode(envelope, whole))
    return
  }
  const stream = new EventStream(response, context.rules)
  const encoder = dialect.openStream(envelope)
  // Comments may open the stream long before there is anything to say.
  let isStarted = false
  const start = () => {
    const text = isStarted ? '' : encoder.start()
    isStarted = true
    return text
  }
  try {
    const send = async (step: ChatStep) => {
      switch (step.kind) {
        case 'begin':
          context.metrics.firstToken.observe({ route: dialect.name }, (performance.now() - began) / 1000)
          return stream.send(start())
        case 'event':
          return stream.send(encoder.event(step.event))
        case 'end':
          return stream.send(encoder.end(step.end))
      }
    }
    await (relayed ? relayStream(context, { ...relayed, model, signal }, send) : streamChat(context, call(), send))
    stream.end()
  } catch (thrown) {
    stream.release()
    if (!stream.isOpen || signal.aborted) throw thrown
    const error = toLilypadError(thrown)
    logFailure(context.log, response, thrown, error)
    await stream.send(start() + encoder.fail(error))
    stream.end()
  }
}

/** Answers a repeat of a request with what was answered then; it is not ordered, run or charged again. */
function sendAgain(dialect: Dialect, envelope: Envelope, reply: SettledReply, response: Response): void {
  tellSettlement(response, reply.settlement)
  if (!envelope.request.isStreamed) {
    response.json(dialect.encode(envelope, reply))
    return
  }
  const encoder = dialect.openStream(envelope)
  const steps = toReplyEvents(reply).map((event) => encoder.event(event))
  response.setHeader('content-type', 'text/event-stream; charset=utf-8')
  response.end(encoder.start() + steps.join('') + encoder.end(reply))
}
