import { raw, type RequestHandler, Router } from 'express'
import { LilypadError, parseWire } from '@lilypad-agents/protocol'
import { formatTokenAmount } from '@lilypad-agents/sdk'
import { z } from 'zod'
import type { CardProcessor } from '../billing/card-processor.ts'
import { applyCardEvent, findTopUp, listTopUps, openTopUp, type TopUp } from '../billing/top-up.ts'
import { type GatewayContext, nowSeconds } from '../context.ts'
import { callerOf, limitAddress } from '../http/authenticate.ts'
import type { BodyRoom } from '../http/body-room.ts'
import { assertIdempotencyKey, readBody } from '../http/read-body.ts'
import { ListQuery } from '../jobs/job-schema.ts'

const leastCents = 100
const mostCents = 1_000_000
/** Stripe sends at most 256 kB. */
const maxEventBytes = 512 * 1024

const Usd = z.string().meta({ description: 'Dollars, as a decimal number', examples: ['25.00'] })

export const TopUpBody = z.object({
  amount_usd: Usd.regex(/^\d{1,5}(\.\d{1,2})?$/, 'expected dollars such as "25.00"').refine(
    (text) => toCents(text) >= leastCents && toCents(text) <= mostCents,
    `expected ${leastCents / 100} to ${mostCents / 100} dollars`,
  ),
})

export const TopUpView = z.object({
  object: z.literal('top_up'),
  id: z.string(),
  status: z.enum(['open', 'paid', 'expired', 'refused']),
  amount_usd: Usd,
  credit: z.string().meta({ description: 'LILY that it brings, fixed when it was asked for' }),
  credited: z.string().meta({ description: 'LILY of it in the account now: less after a refund or a dispute' }),
  currency: z.literal('LILY'),
  url: z.url().nullable().meta({ description: 'Where it is paid' }),
  created_at: z.int(),
  paid_at: z.int().nullable(),
})

/** Credit by card: `/v1/account/top-ups` for customers, and `/stripe/webhook` for who takes the payment. */
export function topUpRoutes(context: GatewayContext, authentication: RequestHandler, room: BodyRoom): Router {
  const router = Router()
  const { database, rules } = context
  const body = readBody({ maxBytes: 10_000 })

  router.post('/v1/account/top-ups', authentication, ...body, async (request, response) => {
    const cards = requireCards(context)
    const usdCents = toCents(parseWire(TopUpBody, request.body, 'request').amount_usd)
    const idempotencyKey = assertIdempotencyKey(request.get('idempotency-key'))
    const { accountId } = callerOf(response)
    const { usdPerLilyWad } = rules
    const asked = { accountId, usdCents, usdPerLilyWad, idempotencyKey, now: nowSeconds(context) }
    const topUp = await openTopUp(database, cards, asked)
    response.setHeader('location', `/v1/account/top-ups/${topUp.id}`)
    response.status(201).json(topUpView(topUp))
  })

  router.get('/v1/account/top-ups', authentication, async (request, response) => {
    const { limit } = parseWire(ListQuery, request.query, 'query')
    const found = await listTopUps(database, { accountId: callerOf(response).accountId, limit })
    response.json({ object: 'list', data: found.map(topUpView) })
  })

  router.get('/v1/account/top-ups/:id', authentication, async (request, response) => {
    const { accountId } = callerOf(response)
    response.json(topUpView(await findTopUp(database, { accountId, id: String(request.params.id) })))
  })

  const whole = raw({ type: () => true, limit: maxEventBytes })
  router.post('/stripe/webhook', limitAddress(), room.enter, whole, async (request, response) => {
    const cards = requireCards(context)
    const bytes: unknown = request.body
    if (!Buffer.isBuffer(bytes)) throw new LilypadError('INVALID_REQUEST', 'An event has a body.')
    const event = cards.readEvent(bytes, request.get('stripe-signature'))
    const outcome = event ? await applyCardEvent(database, event, { now: nowSeconds(context) }) : 'ignored'
    const facts = event && { event: event.id, type: event.type, outcome }
    if (outcome === 'strange') context.log.error(facts, 'card.strange')
    else if (facts) context.log.info(facts, 'card.event')
    // Whatever it was, it is kept: to be told again would change nothing.
    response.json({ received: true, outcome })
  })
  return router
}

function requireCards({ cards }: GatewayContext): CardProcessor {
  if (cards) return cards
  throw new LilypadError('NOT_FOUND', 'This gateway takes no cards: they are not set up.', {
    hint: 'GET /v1/account/deposit tells how to pay in tokens; the operator sets cards up with `--stripe-secret-key`',
  })
}

function topUpView(topUp: TopUp): z.output<typeof TopUpView> {
  const { id, state, usdCents, credit, credited, url, createdAt, paidAt } = topUp
  return {
    object: 'top_up',
    id,
    status: state,
    amount_usd: (usdCents / 100).toFixed(2),
    credit: formatTokenAmount(credit),
    credited: formatTokenAmount(credited),
    currency: 'LILY',
    url: state === 'open' ? url : null,
    created_at: createdAt,
    paid_at: paidAt,
  }
}

function toCents(dollars: string): number {
  const [whole = '0', cents = ''] = dollars.split('.')
  return Number(whole) * 100 + Number(cents.padEnd(2, '0'))
}
