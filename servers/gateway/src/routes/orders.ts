import { once } from 'node:events'
import { type Request, type RequestHandler, type Response, Router } from 'express'
import {
  AcknowledgementRequest,
  appendRecord,
  Bytes32,
  Counter,
  JobView,
  LilypadError,
  OrderRequest,
  parseWire,
  receiptType,
  TokenAmount,
  voucherType,
  zeroBytes32,
} from '@lilypad-agents/protocol'
import type { JobReader } from '@lilypad-agents/sdk'
import { z } from 'zod'
import type { GatewayContext } from '../context.ts'
import type { BodyRoom } from '../http/body-room.ts'
import { createRateLimit } from '../http/rate-limit.ts'
import { readBody } from '../http/read-body.ts'
import type { OrderRelay } from '../orders/order-relay.ts'
import { toTypedData, TypedData } from '../orders/typed-data.ts'

/** Where the lane of an order stands before it is acknowledged; a new lane stands at its defaults. */
export const LaneQuery = z.object({
  jobs: z.coerce.number().pipe(Counter).default(0),
  cumulative_amount: TokenAmount.prefault('0'),
  records_hash: Bytes32.default(zeroBytes32),
})
type LaneQuery = z.output<typeof LaneQuery>

export const OrderView = z.object({
  object: z.literal('order'),
  id: Bytes32,
  job: JobView,
  receipt: Bytes32.nullable().meta({ description: 'Hash of the receipt that the provider signed' }),
  acknowledgement: TypedData.nullable().meta({
    description: 'The voucher to sign once the result was checked; POST it to /v1/orders/{id}/acknowledgement',
  }),
})

/** How long an output may take on its way to who asked for it. */
const sendMilliseconds = 600_000
/** Requests of one address in a minute: each goes on to the solver. */
const requestsPerMinute = 600

/**
 * `/v1/orders`: orders that wallets sign themselves, carried to the solver and back. Reading one takes an `Authorization` that its key signed, as
 * at the solver.
 */
export function orderRoutes(context: GatewayContext, room: BodyRoom): Router {
  const router = Router()
  const { x402 } = context
  if (!x402) return router
  const { relay } = x402
  const { solver } = relay
  const body = [room.enter, ...readBody({ maxBytes: context.rules.maxBodyBytes })]
  const limit = createRateLimit()
  const bounded: RequestHandler = (request, response, next) => {
    const wait = limit.take(request.socket.remoteAddress ?? '', requestsPerMinute)
    if (wait === 0) return next()
    response.setHeader('retry-after', String(wait))
    throw new LilypadError('RATE_LIMITED', 'Too many requests.', { hint: `wait ${wait} s, then go on` })
  }

  router.post('/v1/orders', bounded, ...body, async (request, response) => {
    sendOrder(response, await solver.postOrder(parseWire(OrderRequest, request.body, 'order')), relay)
  })

  router.get('/v1/orders/:id', bounded, async (request: Request<{ id: string }>, response) => {
    const lane = parseWire(LaneQuery, request.query, 'query')
    const job = await solver.getJob(orderOf(request), readerOf(request))
    response.json(viewOf(job, relay, lane))
  })

  router.post(
    '/v1/orders/:id/acknowledgement',
    bounded,
    ...body,
    async (request: Request<{ id: string }>, response) => {
      const acknowledgement = parseWire(AcknowledgementRequest, request.body, 'acknowledgement')
      response.json(viewOf(await solver.acknowledge(orderOf(request), acknowledgement), relay))
    },
  )

  router.post('/v1/orders/:id/cancel', bounded, async (request: Request<{ id: string }>, response) => {
    response.json(viewOf(await solver.cancelJob(orderOf(request), readerOf(request)), relay))
  })

  router.get('/v1/orders/:id/outputs/*path', bounded, async (request, response) => {
    const { id, path } = request.params as unknown as { readonly id: string; readonly path: readonly string[] }
    const orderHash = parseWire(Bytes32, id, 'order')
    const reader = readerOf(request)
    const { delivery } = await solver.getJob(orderHash, reader)
    const output = delivery?.manifest.predicate.outputs.find((file) => file.path === path.join('/'))
    if (!output)
      throw new LilypadError('OUTPUT_UNKNOWN', 'The job has no output of this path, or not yet.', {
        hint: 'GET /v1/orders/{id} lists the outputs in `job.delivery` once it is delivered',
      })
    await relay.carry({ orderHash, ...output }, reader, async (bytes) => {
      // A stranger's bytes: saved, never shown or run as a page of this address.
      response.setHeader('content-security-policy', "default-src 'none'; sandbox")
      response.attachment(path.at(-1) ?? 'output')
      response.setHeader('content-type', 'application/octet-stream')
      response.end(Buffer.from(bytes))
      if (!response.closed)
        await once(response, 'close', { signal: AbortSignal.timeout(sendMilliseconds) }).catch(() => response.destroy())
    })
  })
  return router
}

/** Answers with an order that was placed. */
export function sendOrder(response: Response, job: JobView, relay: OrderRelay): void {
  response.setHeader('location', `/v1/orders/${job.orderHash}`)
  response.status(201).json(viewOf(job, relay))
}

const orderOf = (request: Request<{ id: string }>) => parseWire(Bytes32, request.params.id, 'order')

function readerOf(request: Request): JobReader {
  const authorization = request.get('authorization')
  if (authorization?.startsWith('Lilypad ')) return { authorization }
  throw new LilypadError('UNAUTHORIZED', 'This needs a valid access signature for the order.', {
    hint: 'send `Authorization: Lilypad <validUntil>:<signature>`, signed over an Access whose subject is the hash of the order',
  })
}

const newLane: LaneQuery = { jobs: 0, cumulative_amount: 0n, records_hash: zeroBytes32 }

function viewOf(job: JobView, { domain }: OrderRelay, lane: LaneQuery = newLane) {
  const { orderHash, order, delivery } = job
  const receipt = delivery && receiptType.hash(domain, delivery.receipt)
  const { moduleVersion, nonce } = order
  const price = delivery?.receipt.price ?? 0n
  const record = receipt && { orderHash, receiptHash: receipt, moduleVersion, price, nonce }
  const isOwed = job.state === 'delivered' && delivery?.receipt.status === 0
  const voucher = isOwed &&
    record && {
      ...order,
      cumulativeAmount: (lane.cumulative_amount + price).toString(),
      jobs: lane.jobs + 1,
      recordsHash: appendRecord(lane.records_hash, record),
    }
  return {
    object: 'order',
    id: orderHash,
    job: z.encode(JobView, job),
    receipt,
    acknowledgement: voucher ? toTypedData(voucherType, domain, voucher) : null,
  } satisfies z.input<typeof OrderView>
}
