import { setTimeout as sleep } from 'node:timers/promises'
import { type Bytes32, LilypadError } from '@lilypad-agents/protocol'
import { translateChainErrors } from '@lilypad-agents/sdk'
import { type ExactPayment, findChainFault, findPaymentFault } from '@lilypad-agents/sdk/x402'
import { type GatewayContext, nowSeconds } from '../context.ts'
import type { X402Desk } from './desk.ts'
import { paymentId } from './payment-header.ts'
import { encodeTransfer, findOffer, findPayment, takePayment } from './payment-store.ts'
import type { X402Payment } from './payment-tables.ts'

/** How long a payment has to be good for when it comes, so that it can be settled. */
const settleSeconds = 20
/** Longest time for which a payment may be good: until then one that the chain refuses is looked at again and again. */
const maxValidSeconds = 3600
/** How long a payment is left to the process that took it, and how long others wait for that. */
const leaseSeconds = 20
const waitMilliseconds = 15_000
const pollMilliseconds = 250

/** A payment that comes for a request. */
export type GivenPayment = {
  readonly payment: ExactPayment
  /** Digest of who asks. */
  readonly caller: string
  /** Digest of the request. */
  readonly digest: string
}

/** A payment for this very request was not answered yet. */
export class PaymentOpenError extends LilypadError {
  override readonly name = 'PaymentOpenError'
  constructor() {
    super('STATE_CONFLICT', 'An earlier payment for this very request is not answered yet.', {
      charged: 'unknown',
      hint: 'repeat it with the `PAYMENT-SIGNATURE` of that payment: it is answered and charged once. To buy the same twice, send another `idempotency-key` with each',
      retryable: true,
    })
  }
}

/**
 * Settles a payment for a request, once, whoever else is at it.
 * @returns the payment, on chain and credited, or why it is not taken
 * @throws LilypadError NONCE_USED for a payment of another request; {@link PaymentOpenError} while another process settles it
 */
export async function settlePayment(
  context: GatewayContext,
  desk: X402Desk,
  given: GivenPayment,
): Promise<{ readonly payment: X402Payment } | { readonly fault: string }> {
  const { database } = context
  const id = paymentId(given.payment)
  let isOwn = false
  if (!(await findPayment(database, id))) {
    const taken = await take(context, desk, id, given)
    if (typeof taken === 'string') return { fault: taken }
    isOwn = taken
  }
  const until = performance.now() + waitMilliseconds
  for (;;) {
    const payment = await findPayment(database, id)
    if (!payment) throw new LilypadError('INTERNAL', 'A payment was not kept.')
    // A transfer that was made is public on chain, but its offer is known to its buyer only.
    if (payment.offerId !== given.payment.accepted.extra?.offer || payment.digest !== given.digest)
      throw new LilypadError('NONCE_USED', 'This payment belongs to another request.', {
        hint: 'repeat the request that it was made for, or send this one without a payment for a price of its own',
      })
    if (payment.state === 'void') return { fault: 'invalid_transaction_state' }
    if (payment.state !== 'taken') return { payment }
    if (isOwn || payment.takenAt < nowSeconds(context) - leaseSeconds) {
      const fault = await collect(desk, payment)
      if (fault !== undefined) return { fault }
    } else if (performance.now() > until) throw new PaymentOpenError()
    else await sleep(pollMilliseconds)
  }
}

/** Checks a payment and writes it down. Returns whether this call did it, or why it is not taken. */
async function take(
  context: GatewayContext,
  { client, tokens, gas }: X402Desk,
  id: Bytes32,
  { payment, caller, digest }: GivenPayment,
): Promise<boolean | string> {
  const { database } = context
  const now = nowSeconds(context)
  const { accepted, payload } = payment
  const named = accepted.extra?.offer
  const offer = typeof named === 'string' ? await findOffer(database, named as Bytes32) : undefined
  const terms = tokens.find(({ asset }) => asset === accepted.asset.toLowerCase())
  if (!offer || !terms || offer.digest !== digest) return 'invalid_payment_requirements'
  if (offer.expiresAt < now) return 'offer_expired'
  const { payTo, cap, fee } = offer
  // Written by a gateway of this database.
  const amount = (JSON.parse(offer.amounts) as { readonly [asset: string]: string })[terms.asset]
  if (amount === undefined) return 'invalid_payment_requirements'
  const expected = { payTo, amount: BigInt(amount), payableUntil: now + settleSeconds }
  const fault = findPaymentFault(payment, expected, terms, now)
  if (fault) return fault
  if (payload.authorization.validBefore > BigInt(now + maxValidSeconds))
    return 'invalid_exact_evm_payload_authorization_valid_before'
  await gas.check()
  const fromBlock = await translateChainErrors('eth_blockNumber', () => client.getBlockNumber({ cacheTime: 0 }))
  const chainFault = await findChainFault(client, payment, terms)
  if (chainFault) return chainFault
  const { authorization, signature } = payload
  return takePayment(database, {
    ...{ id, offerId: offer.id, caller, digest, payTo, cap, fee, fromBlock: Number(fromBlock) },
    ...{ payer: authorization.from, asset: terms.asset, value: authorization.value, takenAt: now },
    transfer: encodeTransfer({ authorization, signature }),
  })
}

/** Collects a payment. One that the chain refuses stays written down until it can no longer be made. */
async function collect(desk: X402Desk, payment: X402Payment): Promise<string | undefined> {
  try {
    return (await desk.collect(payment)) ? undefined : 'invalid_transaction_state'
  } catch (error) {
    if (LilypadError.is(error) && error.code === 'CONTRACT_REVERTED') return 'insufficient_funds'
    throw error
  }
}
