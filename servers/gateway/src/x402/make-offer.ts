import type { Request } from 'express'
import { toHex } from '@lilypad-agents/protocol'
import { orderScheme } from '@lilypad-agents/sdk/x402'
import type { PricedJob } from '../completion/place-job.ts'
import { type GatewayContext, nowSeconds } from '../context.ts'
import { offeredJob, orderTemplate } from '../orders/offered-order.ts'
import type { X402Desk } from './desk.ts'
import { PaymentRequiredError } from './payment-required.ts'
import { putOffer } from './payment-store.ts'

const offerSeconds = 240
/** A payment is good for longer than its offer, so that it can be settled, and clocks may differ. */
const moreSeconds = 80

/** Offers the job of a quote for a payment. */
export async function makeOffer(
  context: GatewayContext,
  desk: X402Desk,
  asked: {
    readonly request: Request
    readonly digest: string
    /** Why the payment that came was not taken. */
    readonly fault: string | undefined
    readonly job: PricedJob
  },
): Promise<PaymentRequiredError> {
  const { request, digest, fault, job } = asked
  const { quote } = job
  const { payTo, tokens, config, relay, gas } = desk
  const { fee } = config
  const now = nowSeconds(context)
  const id = toHex(crypto.getRandomValues(new Uint8Array(32)))
  const cap = quote.maxPrice
  const price = cap + fee
  const amounts = Object.fromEntries(tokens.map(({ asset, toAmount }) => [asset, (toAmount(price) || 1n).toString()]))
  const expiresAt = Math.min(now + offerSeconds, quote.expiresAt)
  await putOffer(context.database, { id, digest, cap, fee, payTo, expiresAt, amounts: JSON.stringify(amounts) }, now)
  const { ask } = quote.ask
  const ordered = {
    scheme: orderScheme,
    network: tokens[0]?.network ?? '',
    amount: cap.toString(),
    asset: ask.token,
    payTo: ask.provider,
    maxTimeoutSeconds: expiresAt - now,
    extra: { vault: relay.domain.vault, moduleVersion: quote.moduleVersion, inputsDigest: quote.inputsDigest },
  }
  // What could not be settled is not offered.
  const transfers = ((await gas.isOpen()) ? tokens : []).map(({ network, asset, domain }) => ({
    scheme: 'exact',
    network,
    amount: amounts[asset] ?? '',
    asset,
    payTo,
    maxTimeoutSeconds: expiresAt - now + moreSeconds,
    extra: { name: domain.name, version: domain.version, paymentFlow: 'upfront', offer: id },
  }))
  const { path } = request
  const url = `${request.protocol}://${request.get('host') ?? 'localhost'}${path}`
  const accepts = [ordered, ...transfers]
  const order = { ...offeredJob(job), order: orderTemplate(job, relay.domain) }
  return new PaymentRequiredError({ fault, url, path, price, accepts, order })
}
