import { createHash } from 'node:crypto'
import type { Request, RequestHandler, Response } from 'express'
import { type Bytes32, LilypadError } from '@lilypad-agents/protocol'
import { formatTokenAmount } from '@lilypad-agents/sdk'
import { orderScheme, type PaymentResponse } from '@lilypad-agents/sdk/x402'
import { KeyRefusedError } from '../account/account-errors.ts'
import { findApiKeyById } from '../account/api-key.ts'
import { releaseRequest } from '../account/paid-request.ts'
import type { PricedJob } from '../completion/place-job.ts'
import { type GatewayContext, nowSeconds, runInBackground } from '../context.ts'
import type { BodyRoom } from '../http/body-room.ts'
import { maxPriceHeader, readPolicy } from '../http/policy.ts'
import { createRateLimit } from '../http/rate-limit.ts'
import { digestOf } from '../http/read-body.ts'
import type { OrderRelay, WalletOrder } from '../orders/order-relay.ts'
import { readOrder } from '../orders/read-order.ts'
import type { X402Desk } from './desk.ts'
import { makeOffer } from './make-offer.ts'
import {
  paymentHeader,
  paymentId,
  paymentResponseHeader,
  readExactPayment,
  readPayment,
  toHeader,
} from './payment-header.ts'
import { findOpenPayment, findPayment, isStillPaid } from './payment-store.ts'
import type { X402Payment } from './payment-tables.ts'
import { PaymentOpenError, settlePayment } from './settle-payment.ts'

/** Prices the job of a request. Nothing is reserved. */
export type PriceJob = (request: Request) => Promise<PricedJob>

/** Makes the door of one paid route. */
export type PaymentGate = (priceJob: PriceJob) => RequestHandler

/** Within which a second request of the same caller for the same is taken for a retry. */
const retrySeconds = 900
/** Prices that one address may ask for in a minute without paying, and all of them at once. */
const pricesPerMinute = 120
const maxPricing = 16

/** The payment with which a request was let in. */
export function paymentOf(response: Response): Bytes32 | undefined {
  return response.locals.x402Payment as Bytes32 | undefined
}

/**
 * Lets in requests that were let in with a key, and those that are paid by x402: the payment is settled first and credited to its payer, and
 * the request runs on a key that may spend that payment and nothing else. What it does not cost goes back afterwards. The same payment
 * again is the same request.
 */
export function createPaymentGate(context: GatewayContext, room: BodyRoom): PaymentGate {
  const perAddress = createRateLimit()
  let pricing = 0

  /** Prices a request that nothing was paid for yet, as often as its address may ask. */
  async function price(request: Request, response: Response, priceJob: PriceJob): Promise<PricedJob> {
    const wait = perAddress.take(request.socket.remoteAddress ?? '', pricesPerMinute)
    if (wait > 0 || pricing >= maxPricing) throw tooManyPrices(response, wait)
    pricing += 1
    try {
      return await priceJob(request)
    } finally {
      pricing -= 1
    }
  }

  return (priceJob) => async (request, response, next) => {
    const { x402, database } = context
    if (response.locals.apiKey !== undefined) return next()
    if (!x402) throw new KeyRefusedError()
    const caller = sha256Of(request.socket.remoteAddress ?? '')
    const digest = sha256Of(`${digestOf(response)} ${request.get('idempotency-key') ?? ''}`)
    const ask = async (fault?: string) => {
      const job = await price(request, response, priceJob)
      return makeOffer(context, x402, { request, digest, fault, job })
    }
    const given = request.get(paymentHeader)
    if (given === undefined) {
      const since = nowSeconds(context) - retrySeconds
      if (await findOpenPayment(database, { caller, digest, since })) throw new PaymentOpenError()
      throw await ask()
    }
    const payment = readPayment(given)
    if (payment.accepted.scheme === orderScheme) {
      const job = await price(request, response, priceJob)
      letInOrder(readOrder(payment, job, x402.relay, context.clock()), x402, response)
      return next()
    }
    const { maxPrice } = readPolicy(request, context.rules)
    const settled = await settlePayment(context, x402, { payment: readExactPayment(payment), caller, digest })
    if ('fault' in settled) throw await ask(settled.fault)
    const { id, cap } = settled.payment
    await letIn(context, settled.payment, x402, response)
    room.leave(response)
    // Nothing that the request asks for may cost more than was paid.
    if (maxPrice === undefined || maxPrice > cap) request.headers[maxPriceHeader] = formatTokenAmount(cap)
    response.once('close', () => runInBackground(context, x402.close(id)))
    next()
  }
}

async function letIn(
  { database }: GatewayContext,
  { id, keyId, payer, value, transaction }: X402Payment,
  { tokens }: X402Desk,
  response: Response,
): Promise<void> {
  const key = keyId === null ? undefined : await findApiKeyById(database, keyId)
  if (!key || transaction === null) throw new LilypadError('INTERNAL', 'A settled payment has a key.')
  response.locals.apiKey = key
  response.locals.x402Payment = id
  const settlement: PaymentResponse & { readonly extra: unknown } = {
    success: true,
    transaction,
    network: tokens[0]?.network ?? '',
    payer,
    amount: value.toString(),
    extra: { payment: id, status: `/x402/payments/${id}` },
  }
  response.setHeader(paymentResponseHeader, toHeader(settlement))
}

function letInOrder(order: WalletOrder, { tokens }: X402Desk, response: Response): void {
  const { orderHash, request } = order
  response.locals.walletOrder = order
  // No money moves before the buyer has acknowledged the result, so there is no transaction.
  const settlement: PaymentResponse & { readonly extra: unknown } = {
    success: true,
    transaction: '',
    network: tokens[0]?.network ?? '',
    payer: request.order.payer,
    amount: request.order.maxPrice.toString(),
    extra: { order: orderHash, status: `/v1/orders/${orderHash}` },
  }
  response.setHeader(paymentResponseHeader, toHeader(settlement))
  response.setHeader('x-lilypad-job', orderHash)
}

/** The order with which a request was let in, and what carries it. */
export function relayedOf(
  context: GatewayContext,
  response: Response,
): { readonly relay: OrderRelay; readonly order: WalletOrder } | undefined {
  const order = response.locals.walletOrder as WalletOrder | undefined
  return order && context.x402 && { relay: context.x402.relay, order }
}

/** Lets in those without a key too, as often as an address may ask for prices. */
export function createWalletDoor(context: GatewayContext): RequestHandler {
  const perAddress = createRateLimit()
  return (request, response, next) => {
    if (response.locals.apiKey !== undefined) return next()
    if (!context.x402) throw new KeyRefusedError()
    const wait = perAddress.take(request.socket.remoteAddress ?? '', pricesPerMinute)
    if (wait > 0) throw tooManyPrices(response, wait)
    next()
  }
}

function tooManyPrices(response: Response, seconds: number): LilypadError {
  response.setHeader('retry-after', String(Math.max(1, seconds)))
  return new LilypadError('RATE_LIMITED', 'Too many prices are asked for.', { hint: 'wait a little, then go on' })
}

/** Knows the payer of an earlier request by its payment, to read what came of it. Its offer is known to its buyer only. */
export function recognisePayer(context: GatewayContext): RequestHandler {
  return async (request, response, next) => {
    const given = request.get(paymentHeader)
    if (response.locals.apiKey !== undefined || !context.x402 || given === undefined) return next()
    const payment = readExactPayment(readPayment(given))
    const known = await findPayment(context.database, paymentId(payment))
    if (known?.keyId != null && payment.accepted.extra?.offer === known.offerId)
      response.locals.apiKey = await findApiKeyById(context.database, known.keyId)
    next()
  }
}

/**
 * Checks that a request that was just noted for a payment may run.
 * @throws LilypadError PAYMENT_REFUSED when its money is on its way back
 */
export async function assertStillPaid(
  { database }: Pick<GatewayContext, 'database'>,
  request: { readonly id: string; readonly payment: Bytes32; readonly now: number },
): Promise<void> {
  const { id, payment, now } = request
  if (await isStillPaid(database, payment)) return
  await releaseRequest(database, { id, errorCode: 'PAYMENT_REFUSED', now })
  throw new LilypadError('PAYMENT_REFUSED', 'The money of this payment went back to its payer.', {
    details: [`Payment: ${payment}`],
    hint: 'repeat the request without a payment for a new price; GET /x402/payments/{id} shows what was returned',
  })
}

const sha256Of = (text: string): string => createHash('sha256').update(text).digest('hex')
