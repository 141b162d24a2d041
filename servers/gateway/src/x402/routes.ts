import { type Request, type RequestHandler, Router } from 'express'
import { Bytes32, LilypadError, parseWire } from '@lilypad-agents/protocol'
import { formatTokenAmount } from '@lilypad-agents/sdk'
import { eq } from 'drizzle-orm'
import { z } from 'zod'
import { type GatewayContext, nowSeconds } from '../context.ts'
import { requests } from '../db/schema.ts'
import type { BodyRoom } from '../http/body-room.ts'
import { createRateLimit } from '../http/rate-limit.ts'
import { readBody } from '../http/read-body.ts'
import { createFacilitator, FacilitatorBody } from './facilitator.ts'
import { decodeTransfer, findPayment, SignedTransfer } from './payment-store.ts'
import type { X402Payment } from './payment-tables.ts'

const Amount = z.string().meta({ description: 'Base units of the asset' })

/** A payment as anybody may see it: nothing in it that is not on chain, but for what its request has cost. */
export const PaymentView = z.object({
  object: z.literal('x402.payment'),
  id: Bytes32,
  state: z.enum(['taken', 'settled', 'returning', 'closed', 'void']),
  payer: z.string(),
  asset: z.string(),
  amount: Amount,
  transaction: Bytes32.nullable(),
  cost: z.string().nullable().meta({ description: 'LILY that the request has cost; null until that is known' }),
  change: Amount.nullable().meta({ description: 'What goes back to the payer' }),
  change_transaction: Bytes32.nullable(),
  change_transfer: z
    .unknown()
    .nullable()
    .meta({ description: 'The signed transfer of the change: anybody may send it with `transferWithAuthorization`' }),
})

export const SupportedView = z.object({
  kinds: z.array(z.object({ x402Version: z.literal(2), scheme: z.string(), network: z.string(), extra: z.unknown() })),
  extensions: z.array(z.string()),
  signers: z.record(z.string(), z.array(z.string())),
})

const maxBodyBytes = 32_768
/** What one address may ask of the facilitator in a minute. */
const perMinute = { look: 600, settle: 60 } as const

/** `GET /x402/payments/{id}` and, where the gateway settles for others, `/x402/verify`, `/x402/settle` and `/x402/supported`. */
export function x402Routes(context: GatewayContext, room: BodyRoom): Router {
  const router = Router()
  const { x402, database } = context
  if (!x402) return router

  router.get('/x402/payments/:id', limit(perMinute.look), async (request: Request<{ id: string }>, response) => {
    const payment = await findPayment(database, parseWire(Bytes32, request.params.id, 'payment'))
    if (!payment) throw new LilypadError('NOT_FOUND', 'There is no such payment.')
    const { keyId } = payment
    const found = keyId === null ? [] : await database.select().from(requests).where(eq(requests.keyId, keyId))
    const price = found.find((paid) => paid.price !== null)?.price ?? null
    response.json(viewOf(payment, price))
  })

  if (!x402.config.isFacilitator) return router
  const facilitator = createFacilitator(x402, () => nowSeconds(context))
  const body = [room.enter, ...readBody({ maxBytes: maxBodyBytes })]

  router.get('/x402/supported', limit(perMinute.look), (_request, response) => {
    const network = x402.tokens[0]?.network ?? ''
    const assets = x402.tokens.map(({ asset }) => asset)
    response.json({
      kinds: [{ x402Version: 2, scheme: 'exact', network, extra: { assets } }],
      extensions: [],
      signers: { [network]: [x402.payTo] },
    } satisfies z.output<typeof SupportedView>)
  })
  router.post('/x402/verify', limit(perMinute.look), ...body, async (request, response) => {
    response.json(await facilitator.verify(parseWire(FacilitatorBody, request.body, 'request')))
  })
  router.post('/x402/settle', limit(perMinute.settle), ...body, async (request, response) => {
    response.json(await facilitator.settle(parseWire(FacilitatorBody, request.body, 'request')))
  })
  return router
}

function viewOf(payment: X402Payment, price: bigint | null): z.output<typeof PaymentView> {
  const { id, state, payer, asset, value, transaction, change, changeTransfer, changeTransaction } = payment
  return {
    ...{ object: 'x402.payment', id, state, payer, asset, transaction },
    amount: value.toString(),
    cost: price === null ? null : formatTokenAmount(price),
    change: change === null ? null : change.toString(),
    change_transaction: changeTransaction,
    change_transfer: changeTransfer === null ? null : z.encode(SignedTransfer, decodeTransfer(changeTransfer)),
  }
}

function limit(requestsPerMinute: number): RequestHandler {
  const perAddress = createRateLimit()
  return (request, response, next) => {
    const wait = perAddress.take(request.socket.remoteAddress ?? '', requestsPerMinute)
    if (wait === 0) return next()
    response.setHeader('retry-after', String(wait))
    throw new LilypadError('RATE_LIMITED', 'Too many requests.', { hint: `wait ${wait} s, then go on` })
  }
}
