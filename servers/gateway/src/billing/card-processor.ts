import { LilypadError } from '@lilypad-agents/protocol'
import Stripe from 'stripe'
import { type CardEvent, readCardEvent } from './card-event.ts'

/** A page where a customer pays by card. Amounts in cents of a dollar, times in Unix seconds. */
export type CardPage = { readonly sessionId: string; readonly url: string; readonly expiresAt: number }

/** Who takes card payments. */
export type CardProcessor = {
  /**
   * Makes the page for a top-up; the same id again gives the same page.
   * @throws CardProcessorError
   */
  openPage(topUp: { readonly id: string; readonly accountId: string; readonly usdCents: number }): Promise<CardPage>
  /**
   * Reads what the processor tells, once its signature over the very bytes is right and young enough.
   * @returns undefined for an event that changes no money here
   * @throws LilypadError SIGNATURE_INVALID; InvalidRequestError
   */
  readEvent(body: Uint8Array, signature: string | undefined): CardEvent | undefined
}

/** The card processor cannot be used now, or does not take our key. Its words stay in the log. */
export class CardProcessorError extends LilypadError {
  override readonly name = 'CardProcessorError'
  constructor(cause: unknown) {
    super('UPSTREAM_FAILED', 'The card processor did not answer as it should.', {
      hint: 'try again with the same idempotency key; nothing was paid',
      cause,
    })
  }
}

export type StripeSettings = {
  readonly secretKey: string
  readonly webhookSecret: string
  /** Where the customer comes back to from the page. */
  readonly returnUrl: string
  /** @default https://api.stripe.com */
  readonly apiUrl?: string | undefined
}

/** How old a signed event may be, in seconds. */
export const eventToleranceSeconds = 300

/** Stripe's Checkout: the customer pays on a page of Stripe, so no card number comes near the gateway. */
export function createStripeCards(settings: StripeSettings): CardProcessor {
  const { secretKey, webhookSecret, returnUrl, apiUrl } = settings
  const api = apiUrl === undefined ? undefined : new URL(apiUrl)
  const stripe = new Stripe(secretKey, {
    maxNetworkRetries: 2,
    timeout: 15_000,
    telemetry: false,
    appInfo: { name: 'lilypad-gateway' },
    ...(api
      ? {
          host: api.hostname,
          port: api.port === '' ? (api.protocol === 'http:' ? 80 : 443) : Number(api.port),
          protocol: api.protocol === 'http:' ? ('http' as const) : ('https' as const),
        }
      : {}),
  })
  const isLive = /^[a-z]+_live_/.test(secretKey)
  return {
    async openPage({ id, accountId, usdCents }) {
      const metadata = { top_up: id, account: accountId }
      try {
        const session = await stripe.checkout.sessions.create(
          {
            mode: 'payment',
            client_reference_id: id,
            metadata,
            payment_intent_data: { metadata },
            line_items: [
              {
                quantity: 1,
                price_data: {
                  currency: 'usd',
                  unit_amount: usdCents,
                  product_data: { name: 'Credit for the gateway' },
                },
              },
            ],
            success_url: addQuery(returnUrl, 'top_up', id),
            cancel_url: returnUrl,
          },
          { idempotencyKey: `top-up-${id}` },
        )
        if (!session.url) throw new TypeError('the page has no address')
        return { sessionId: session.id, url: session.url, expiresAt: session.expires_at }
      } catch (error) {
        throw new CardProcessorError(withoutSecrets(error))
      }
    },
    readEvent(body, signature) {
      try {
        stripe.webhooks.constructEvent(Buffer.from(body), signature ?? '', webhookSecret, eventToleranceSeconds)
      } catch {
        throw new LilypadError('SIGNATURE_INVALID', 'This is not an event of the card processor, or it is too old.', {
          hint: 'compare the signing secret of the webhook with `--stripe-webhook-secret`, and the clocks',
        })
      }
      // Signed, so it is the JSON that Stripe wrote.
      return readCardEvent(JSON.parse(Buffer.from(body).toString()), isLive)
    },
  }
}

/** What a failure was, without what was sent: Stripe repeats a wrong key in its message. */
function withoutSecrets(error: unknown): Error {
  if (!(error instanceof Stripe.errors.StripeError)) return new Error(error instanceof Error ? error.name : 'unknown')
  return new Error(`${error.type} ${error.code ?? ''} ${error.statusCode ?? ''} ${error.requestId ?? ''}`)
}

function addQuery(url: string, name: string, value: string): string {
  const address = new URL(url)
  address.searchParams.set(name, value)
  return address.href
}
