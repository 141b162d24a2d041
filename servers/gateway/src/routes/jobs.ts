import { type Request, type RequestHandler, type Response, Router } from 'express'
import { Bytes32, JobBundle, LilypadError, parseWire, toLilypadError } from '@lilypad-agents/protocol'
import { JobUnknownError, QuoteUnknownError, QuoteUsedError } from '@lilypad-agents/sdk'
import { z } from 'zod'
import { findRequestByOrder, findRequestByQuote, listJobRequests, type PaidRequest } from '../account/paid-request.ts'
import { placeJob, placeQuote } from '../completion/place-job.ts'
import { jobKind } from '../completion/settle-unsettled.ts'
import type { GatewayContext } from '../context.ts'
import { serverSentEvent } from '../dialects/dialect.ts'
import { openAiErrorBody } from '../dialects/openai-error.ts'
import { callerOf } from '../http/authenticate.ts'
import { EventStream } from '../http/event-stream.ts'
import { goneSignal } from '../http/gone-signal.ts'
import { openPaid } from '../http/open-paid.ts'
import { readPolicy } from '../http/policy.ts'
import { readBody } from '../http/read-body.ts'
import { logFailure } from '../http/send-error.ts'
import { followJob, formatPlace, parsePlace } from '../jobs/follow-job.ts'
import { type JobBody, ListQuery, QuoteBody, QuoteOrderBody } from '../jobs/job-schema.ts'
import { beginJob } from '../jobs/run-job.ts'
import { jobView } from '../jobs/views.ts'
import { sendOrder } from './orders.ts'
import { type PaymentGate, recognisePayer, relayedOf } from '../x402/pay.ts'
import { askReplica, forward } from '../replicas/forward.ts'
import { findQuoteOwner } from '../replicas/replica.ts'
import { toRouteError } from '../routing/route.ts'
import { findRoute, quoteRouted } from '../routing/quote-routed.ts'
import { bodyPolicy, toJobRequest } from './modules.ts'

type JobRequestOf = Request<{ id: string }>

/** `/v1/jobs`: any module as a job that goes on by itself, and every job of the account by its id. */
export function jobRoutes(context: GatewayContext, authentication: RequestHandler, gate: PaymentGate): Router {
  const router = Router()
  const { client, database } = context
  const reader = [authentication, recognisePayer(context)]
  const paid = gate(async (request) => {
    const asked = parseJobBody(request.body)
    if (!('quote_id' in asked))
      return quoteRouted(context, toJobRequest(asked), bodyPolicy(asked, readPolicy(request, context.rules)))
    const stored = await client.findQuote(asked.quote_id)
    if (!stored) throw new QuoteUnknownError(asked.quote_id)
    return stored
  })
  const body = readBody({ maxBytes: context.rules.maxBodyBytes })

  const showJob = async (request: PaidRequest, isFresh = true) => {
    const id = request.orderHash
    if (id === null) throw new JobUnknownError(request.id)
    return jobView(await (isFresh ? client.getJob(id) : client.getStoredJob(id)), request)
  }

  const answerJob = async (job: PaidRequest, request: Request, response: Response) => {
    if (isOwn(context, job)) response.json(await showJob(job))
    else await forward(context, request, response, whereIs(job))
  }

  router.post('/v1/jobs', authentication, ...body, paid, async (request, response) => {
    const relayed = relayedOf(context, response)
    if (relayed) return sendOrder(response, await relayed.relay.place(relayed.order), relayed.relay)
    const asked = parseJobBody(request.body)
    const policy = readPolicy(request, context.rules)
    const place = 'quote_id' in asked ? await quotePlacing(context, asked.quote_id, response) : undefined
    if (place?.owner !== undefined) {
      await forward(context, request, response, {
        ...place.owner,
        path: '/v1/jobs',
        method: 'POST',
        body: request.body,
      })
      return
    }
    if (place?.earlier) {
      await answerJob(place.earlier, request, response)
      return
    }
    const model = place?.model ?? ('module' in asked ? asked.module : '')
    const opened = await openPaid(context, request, response, { kind: jobKind, model }, { repeats: 'orders' })
    if (!opened.isNew) {
      await answerJob(opened.earlier, request, response)
      return
    }
    const { requestId } = opened
    const { orderHash } = await beginJob(context, requestId, async () => {
      if (place?.quote) return placeQuote(context, { requestId, ...place.quote })
      if (!('module' in asked)) throw new LilypadError('INTERNAL', 'A job has a quote or a module.')
      const allowed = bodyPolicy(asked, policy)
      const route = await findRoute(context, asked.module, allowed)
      return placeJob(context, { requestId, request: toJobRequest(asked), policy: allowed, route }).catch(
        (error: unknown) => {
          throw toRouteError(error, allowed)
        },
      )
    })
    response.setHeader('location', `/v1/jobs/${orderHash}`)
    response.setHeader('x-lilypad-job', orderHash)
    response.status(201).json(await showJob(await getOwn(context, orderHash, response), false))
  })

  router.get('/v1/jobs', authentication, async (request, response) => {
    const { limit } = parseWire(ListQuery, request.query, 'query')
    const { accountId } = callerOf(response)
    const found = await listJobRequests(database, { accountId, kind: jobKind, limit })
    const show = (job: PaidRequest) =>
      isOwn(context, job) ? showJob(job, false) : askReplica(context, request, whereIs(job))
    response.json({ object: 'list', data: await Promise.all(found.map(show)) })
  })

  router.get('/v1/jobs/:id', ...reader, async (request: JobRequestOf, response) => {
    await answerJob(await getOwn(context, request.params.id, response), request, response)
  })

  /** Routes of one job are answered by the replica that has it. */
  const onJob =
    (answer: (job: PaidRequest & { orderHash: Bytes32 }, request: Request, response: Response) => Promise<void>) =>
    async (request: Request, response: Response): Promise<void> => {
      const own = await getOwn(context, String(request.params.id), response)
      const { originalUrl: path } = request
      const method = request.method === 'POST' ? 'POST' : 'GET'
      const { orderHash, replica } = own
      if (orderHash === null) throw new JobUnknownError(own.id)
      if (isOwn(context, own)) await answer({ ...own, orderHash }, request, response)
      else await forward(context, request, response, { replica, path, method })
    }

  const cancel = onJob(async (own, _request, response) => {
    await client.cancel(own.orderHash)
    response.json(await showJob(own))
  })
  router.post('/v1/jobs/:id/cancel', ...reader, cancel)

  const receipt = onJob(async ({ orderHash }, _request, response) => {
    response.json(z.encode(JobBundle, await client.exportBundle(orderHash)))
  })
  router.get('/v1/jobs/:id/receipt', ...reader, receipt)

  const output = onJob(async (own, request, response) => {
    const { path } = request.params as unknown as { readonly path: readonly string[] }
    await sendOutput(context, own, path.join('/'), response)
  })
  router.get('/v1/jobs/:id/outputs/*path', ...reader, output)

  const events = onJob(({ orderHash }, request, response) => sendEvents(context, orderHash, request, response))
  router.get('/v1/jobs/:id/events', ...reader, events)
  return router
}

/** Reads the one of both forms that is meant, so that what is wrong is told by its field. */
function parseJobBody(body: unknown): JobBody {
  const isQuote = typeof body === 'object' && body !== null && 'quote_id' in body
  return isQuote ? parseWire(QuoteOrderBody, body, 'request') : parseWire(QuoteBody, body, 'request')
}

/** A quote that can be ordered, the request of the same account that ordered it already, or the replica that has it. */
async function quotePlacing(context: GatewayContext, quoteId: Bytes32, response: Response) {
  const earlier = await findRequestByQuote(context.database, quoteId)
  if (earlier && earlier.accountId !== callerOf(response).accountId) throw new QuoteUsedError(quoteId)
  const none = { earlier: undefined, quote: undefined, owner: undefined }
  if (earlier?.orderHash) return { ...none, earlier, model: earlier.model }
  const stored = await context.client.findQuote(quoteId)
  if (stored) {
    const { module, maxPrice } = stored.quote
    return { ...none, quote: { quoteId, maxPrice }, model: module }
  }
  const replica = await findQuoteOwner(context.database, quoteId)
  if (replica === undefined || replica === context.replica) throw new QuoteUnknownError(quoteId)
  return { ...none, owner: { replica }, model: '' }
}

/** Whether this replica's client store has a job. */
const isOwn = (context: GatewayContext, { replica }: PaidRequest) => replica === context.replica
const whereIs = ({ replica, orderHash }: PaidRequest) => ({ replica, path: `/v1/jobs/${orderHash}` })

/** The request of this account behind a job. Whose it is not never learns that it is there. */
async function getOwn(context: GatewayContext, id: string, response: Response): Promise<PaidRequest> {
  const orderHash = parseWire(Bytes32, id, 'job')
  const { accountId } = callerOf(response)
  const found = await findRequestByOrder(context.database, { accountId, orderHash })
  if (!found) throw new JobUnknownError(orderHash)
  return found
}

async function sendOutput(
  { client }: GatewayContext,
  { orderHash }: PaidRequest,
  path: string,
  response: Response,
): Promise<void> {
  const job = orderHash && (await client.getStoredJob(orderHash))
  // What did not verify is nobody's output.
  const outputs = job && job.verified === true ? await client.fetchOutputs(job.orderHash) : []
  const output = outputs.find((file) => file.path === path)
  if (!job || !output)
    throw new LilypadError('OUTPUT_UNKNOWN', 'The job has no output of this path, or not yet.', {
      hint: 'GET /v1/jobs/{id} lists the outputs once they are verified',
    })
  const declared = job.module.outputs.files.find((file) => file.path === path)
  // A stranger's bytes: saved, never shown or run as a page of this address.
  response.setHeader('content-security-policy', "default-src 'none'; sandbox")
  response.attachment(path.split('/').at(-1) ?? 'output')
  response.setHeader('content-type', declared?.mediaType ?? 'application/octet-stream')
  response.end(Buffer.from(await output.read()))
}

/** Server-sent events of a job; the id of each is the place to go on from. */
async function sendEvents(
  context: GatewayContext,
  orderHash: Bytes32,
  request: Request,
  response: Response,
): Promise<void> {
  const signal = goneSignal(response)
  const after =
    request.get('last-event-id') ?? (typeof request.query.after === 'string' ? request.query.after : undefined)
  const stream = new EventStream(response, context.rules)
  let sending = Promise.resolve()
  try {
    await followJob(context, orderHash, {
      from: parsePlace(after),
      signal,
      send(happening, place) {
        // Two readers write: one whole event after the other.
        sending = sending.then(() =>
          stream.send(`id: ${formatPlace(place)}\n${serverSentEvent(happening, happening.type)}`),
        )
        return sending
      },
    })
    await stream.send(serverSentEvent({ type: 'end' }, 'end'))
    stream.end()
  } catch (thrown) {
    stream.release()
    if (!stream.isOpen || signal.aborted) throw thrown
    const error = toLilypadError(thrown)
    logFailure(context.log, response, thrown, error)
    await stream.send(serverSentEvent(openAiErrorBody(error), 'error'))
    stream.end()
  }
}
