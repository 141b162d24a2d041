import { findAuthorized, inputsDigest, jobOrderType, LilypadError, parseWire } from '@lilypad-agents/protocol'
import { OrderPayment } from '@lilypad-agents/sdk/x402'
import type { PricedJob } from '../completion/place-job.ts'
import type { OrderRelay, WalletOrder } from './order-relay.ts'

/**
 * Reads the order that pays for a request: it has to be for the very job that the request becomes, signed by the key that it names, with leave
 * to read its job. What it may spend, the solver and the provider check.
 * @throws LilypadError INVALID_REQUEST SIGNATURE_INVALID
 */
export function readOrder(payment: unknown, job: PricedJob, relay: OrderRelay, now: Date): WalletOrder {
  const { payload } = parseWire(OrderPayment, payment, 'payment')
  const { order, signature, grant, ask, authorization } = payload
  const { inputs, module } = job
  if (order.moduleVersion !== job.quote.moduleVersion || order.inputsDigest !== inputsDigest(inputs))
    throw new LilypadError('INVALID_REQUEST', 'The order is for another job than this request becomes.', {
      details: [`Expected: ${job.quote.moduleVersion} with inputs ${inputsDigest(inputs)}`],
      hint: 'send the request without a payment, then order what the answer offers',
    })
  if (jobOrderType.findSigner(relay.domain, order, signature) !== order.key)
    throw new LilypadError('SIGNATURE_INVALID', 'The order is not signed by the key that it names.', {
      details: [`Key: ${order.key}`],
      hint: 'sign the typed data of the offer in the domain it names',
    })
  const orderHash = relay.hash({ order })
  const reader = findAuthorized(relay.domain, orderHash, authorization, now)
  if (reader !== order.key && reader !== order.payer)
    throw new LilypadError('SIGNATURE_INVALID', 'The order comes without leave to read its job.', {
      hint: 'sign an Access over the hash of the order, good for at most ten minutes, as `authorization`',
    })
  const request = { order, signature, grant, ask, inputs }
  return { orderHash, request, reader: { authorization }, module, files: job.files ?? {} }
}
