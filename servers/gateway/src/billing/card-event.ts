import { parseWire } from '@lilypad-agents/protocol'
import { z } from 'zod'

/** What an event of the card processor says about money. Amounts in cents of a dollar, times in Unix seconds. */
export type CardEvent = { readonly id: string; readonly type: string; readonly at: number } & (
  | {
      readonly kind: 'paid'
      readonly sessionId: string
      readonly paymentId: string
      readonly topUpId: string | undefined
      readonly accountId: string | undefined
      readonly currency: string
      readonly cents: number
    }
  | { readonly kind: 'expired'; readonly sessionId: string }
  | {
      readonly kind: 'reversal'
      readonly reversal: 'refund' | 'refund-total' | 'dispute'
      readonly reversalId: string
      readonly paymentId: string
      readonly currency: string
      readonly cents: number
      readonly isStanding: boolean
      readonly isFinal: boolean
    }
)

const Id = z.string().min(1).max(255)
/** Stripe gives a name, or the whole object where its account is set to expand it. */
const Reference = z.union([Id, z.object({ id: Id }).transform(({ id }) => id)]).nullish()
const Cents = z
  .int()
  .min(0)
  .max(2 ** 31 - 1)

const Session = z.object({
  id: Id,
  mode: z.string(),
  client_reference_id: z.string().nullish(),
  metadata: z.record(z.string(), z.string()).nullish(),
  payment_status: z.string(),
  payment_intent: Reference,
  currency: z.string().nullish(),
  amount_total: Cents.nullish(),
})
const Charge = z.object({ id: Id, payment_intent: Reference, currency: z.string(), amount_refunded: Cents })
const Refund = z.object({
  id: Id,
  payment_intent: Reference,
  currency: z.string(),
  amount: Cents,
  status: z.string().nullish(),
})
const Dispute = z.object({ id: Id, payment_intent: Reference, currency: z.string(), amount: Cents, status: z.string() })
const Envelope = z.object({
  id: Id,
  type: z.string().max(255),
  created: z.int().min(0),
  livemode: z.boolean(),
  data: z.object({ object: z.unknown() }),
})

/** Of a dispute: the money is away. Inquiries (`warning_…`) take none. */
const awayStates: readonly string[] = ['needs_response', 'under_review', 'lost']
const finalStates: readonly string[] = ['won', 'lost', 'warning_closed', 'prevented']
const failedRefunds: readonly string[] = ['failed', 'canceled']

/**
 * Reads a signed event of Stripe. One of the other mode (test or live), or one that moves no money of a top-up, is nothing.
 * @throws InvalidRequestError
 * @see https://docs.stripe.com/api/events/types
 */
export function readCardEvent(body: unknown, isLive: boolean): CardEvent | undefined {
  const { id, type, created: at, livemode, data } = parseWire(Envelope, body, 'event')
  if (livemode !== isLive) return undefined
  const event = { id, type, at }
  const { object } = data
  switch (type) {
    case 'checkout.session.completed':
    case 'checkout.session.async_payment_succeeded': {
      const session = parseWire(Session, object, 'event')
      // With some ways to pay the money comes days after the page was left.
      if (session.payment_status !== 'paid' || session.mode !== 'payment' || !session.payment_intent) return undefined
      return {
        ...event,
        kind: 'paid',
        sessionId: session.id,
        paymentId: session.payment_intent,
        topUpId: session.client_reference_id ?? undefined,
        accountId: session.metadata?.account,
        currency: session.currency ?? '',
        cents: session.amount_total ?? 0,
      }
    }
    case 'checkout.session.expired':
    case 'checkout.session.async_payment_failed':
      return { ...event, kind: 'expired', sessionId: parseWire(z.object({ id: Id }), object, 'event').id }
    case 'charge.refunded': {
      const {
        id: reversalId,
        payment_intent: paymentId,
        currency,
        amount_refunded: cents,
      } = parseWire(Charge, object, 'event')
      const facts = { reversalId, currency, cents, isStanding: true, isFinal: false }
      return paymentId ? { ...event, kind: 'reversal', reversal: 'refund-total', paymentId, ...facts } : undefined
    }
    case 'refund.created':
    case 'refund.updated':
    case 'refund.failed':
    case 'charge.refund.updated': {
      const {
        id: reversalId,
        payment_intent: paymentId,
        currency,
        amount: cents,
        status,
      } = parseWire(Refund, object, 'event')
      const hasFailed = type === 'refund.failed' || failedRefunds.includes(status ?? '')
      const facts = { reversalId, currency, cents, isStanding: !hasFailed, isFinal: hasFailed }
      return paymentId ? { ...event, kind: 'reversal', reversal: 'refund', paymentId, ...facts } : undefined
    }
    case 'charge.dispute.created':
    case 'charge.dispute.updated':
    case 'charge.dispute.closed':
    case 'charge.dispute.funds_withdrawn':
    case 'charge.dispute.funds_reinstated': {
      const {
        id: reversalId,
        payment_intent: paymentId,
        currency,
        amount: cents,
        status,
      } = parseWire(Dispute, object, 'event')
      const facts = {
        reversalId,
        currency,
        cents,
        isStanding: awayStates.includes(status),
        isFinal: finalStates.includes(status),
      }
      return paymentId ? { ...event, kind: 'reversal', reversal: 'dispute', paymentId, ...facts } : undefined
    }
    default:
      return undefined
  }
}

/** Events that the webhook has to be subscribed to. */
export const cardEventTypes = [
  'checkout.session.completed',
  'checkout.session.async_payment_succeeded',
  'checkout.session.async_payment_failed',
  'checkout.session.expired',
  'charge.refunded',
  'refund.created',
  'refund.updated',
  'refund.failed',
  'charge.dispute.created',
  'charge.dispute.updated',
  'charge.dispute.closed',
  'charge.dispute.funds_withdrawn',
  'charge.dispute.funds_reinstated',
] as const
