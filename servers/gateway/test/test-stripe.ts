import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Stripe from 'stripe'

const webhookSecret = 'whsec_test'

/** As much of Stripe as a gateway speaks to, on this machine: pages by idempotency key, and events under Stripe's own signature. */
export async function startTestStripe() {
  const sessions = new Map<string, { readonly id: string; readonly form: URLSearchParams }>()
  let isDown = false
  let losesAnswers = false
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const piece of request) body += piece
    const answer = (status: number, value: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
    if (isDown) return answer(500, { error: { type: 'api_error', message: 'down' } })
    if (!/^Bearer sk_test_\w+$/.test(request.headers.authorization ?? ''))
      return answer(401, {
        error: { type: 'invalid_request_error', message: `Invalid API Key ${request.headers.authorization}` },
      })
    if (request.method !== 'POST' || request.url !== '/v1/checkout/sessions')
      return answer(404, { error: { message: 'no' } })
    const key = String(request.headers['idempotency-key'])
    const session = sessions.get(key) ?? { id: `cs_test_${randomUUID()}`, form: new URLSearchParams(body) }
    sessions.set(key, session)
    if (losesAnswers) return response.destroy()
    const expires = Math.floor(Date.now() / 1000) + 86_400
    return answer(200, {
      id: session.id,
      object: 'checkout.session',
      url: `https://pay.example/${session.id}`,
      expires_at: expires,
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const stripe = new Stripe('sk_test_events')

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    webhookSecret,
    /** What was asked for each page that was made. */
    pages: () => [...sessions.values()].map(({ id, form }) => ({ id, ...Object.fromEntries(form) })),
    setDown(down: boolean) {
      isDown = down
    },
    /** Pages are made, and nobody learns of it. */
    setLosing(loses: boolean) {
      losesAnswers = loses
    },
    /** An event as it is sent: the text, and its signature. */
    event(type: string, object: object, signing: { readonly secret?: string; readonly timestamp?: number } = {}) {
      const body = JSON.stringify({
        ...{ id: `evt_${randomUUID()}`, object: 'event', type, livemode: false, api_version: '2026-10-28.endive' },
        created: Math.floor(Date.now() / 1000),
        data: { object },
      })
      const { secret = webhookSecret, timestamp } = signing
      const signature = stripe.webhooks.generateTestHeaderString({
        payload: body,
        secret,
        ...(timestamp === undefined ? {} : { timestamp }),
      })
      return { body, signature }
    },
    /** A page that was paid, as an event tells it. */
    paidSession: (topUp: { readonly id: string }, accountId: string, change: object = {}) => {
      const page = [...sessions.values()].find(({ form }) => form.get('client_reference_id') === topUp.id)
      return {
        id: page?.id,
        object: 'checkout.session',
        mode: 'payment',
        client_reference_id: topUp.id,
        metadata: { top_up: topUp.id, account: accountId },
        payment_status: 'paid',
        payment_intent: `pi_${topUp.id}`,
        currency: 'usd',
        amount_total: Number(page?.form.get('line_items[0][price_data][unit_amount]')),
        ...change,
      }
    },
    close: () => new Promise<void>((resolve) => server.close(() => resolve())),
  }
}
export type TestStripe = Awaited<ReturnType<typeof startTestStripe>>
