import process from 'node:process'
import { createStripeCards } from '../src/billing/card-processor.ts'

/** Asks Stripe's own stand-in (github.com/stripe/stripe-mock), which holds requests against Stripe's OpenAPI document, for a page. */
const cards = createStripeCards({
  secretKey: 'sk_test_123',
  webhookSecret: 'whsec_test',
  returnUrl: 'https://gateway.example/',
  apiUrl: process.env.STRIPE_API_URL ?? 'http://127.0.0.1:12111',
})
const page = await cards.openPage({ id: 'topup_1', accountId: 'acct_1', usdCents: 2500 })
process.stdout.write(`${JSON.stringify(page)}\n`)
process.exit(page.sessionId.startsWith('cs_') && page.expiresAt > 0 ? 0 : 1)
