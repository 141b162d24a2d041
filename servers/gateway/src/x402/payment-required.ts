import { LilypadError } from '@lilypad-agents/protocol'
import { formatTokenAmount } from '@lilypad-agents/sdk'
import type { PaymentRequirements } from '@lilypad-agents/sdk/x402'
import type { JsonObject } from '../conversation/conversation.ts'
import { discoveryOf } from './discovery.ts'

/** What a request without a key is answered: what it may cost, and how to pay it. */
export class PaymentRequiredError extends LilypadError {
  override readonly name = 'PaymentRequiredError'
  /** `PaymentRequired` of x402 v2. */
  readonly required: JsonObject
  /** The same and the job itself. */
  readonly body: JsonObject
  constructor(options: {
    /** Why a payment that came was not taken, in the words of x402. */
    readonly fault?: string | undefined
    readonly url: string
    readonly path: string
    readonly price: bigint
    readonly accepts: readonly PaymentRequirements[]
    /** What a wallet has to sign to order the job itself: too long for a header. */
    readonly order: JsonObject
  }) {
    const { fault, url, path, price, accepts, order } = options
    super(
      'PAYMENT_REQUIRED',
      fault === undefined ? 'This request has no key and is not paid.' : 'The payment of this request was not taken.',
      {
        details: [
          ...(fault === undefined ? [] : [`Reason: ${fault}`]),
          `Costs: up to ${formatTokenAmount(price)} LILY`,
        ],
        hint: 'pay one of `accepts` with a client of x402 and repeat the request with `PAYMENT-SIGNATURE`, or send a key',
        charged: 'none',
      },
    )
    this.required = {
      x402Version: 2,
      error: fault ?? 'PAYMENT-SIGNATURE header is required',
      resource: { url, description: 'A job of a Lilypad network', mimeType: 'application/json' },
      accepts,
      extensions: { bazaar: discoveryOf(path) },
    }
    this.body = { ...this.required, lilypad: order }
  }
}
