import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createStripeCards } from '../src/billing/card-processor.ts'
import { type OpenApp, openApp } from './open-app.ts'
import { type TestStripe, startTestStripe } from './test-stripe.ts'
import { jsonOf, post } from './test-gateway.ts'

const secretKey = 'sk_test_secretsecret'
let stripe: TestStripe
let app: OpenApp
let account: Awaited<ReturnType<OpenApp['openAccount']>>

beforeAll(async () => {
  stripe = await startTestStripe()
  const { url: apiUrl, webhookSecret } = stripe
  app = await openApp({
    cards: createStripeCards({ secretKey, webhookSecret, returnUrl: 'https://gateway.example/?page=1', apiUrl }),
  })
  account = await app.openAccount()
})
afterAll(async () => {
  await app?.close()
  await stripe?.close()
})

const buy = (amount_usd: string, idempotencyKey?: string) =>
  post(
    app.url,
    '/v1/account/top-ups',
    account.key,
    { amount_usd },
    {
      headers: idempotencyKey ? { 'idempotency-key': idempotencyKey } : {},
    },
  )
const get = (path: string, key = account.key) =>
  fetch(`${app.url}${path}`, { headers: { authorization: `Bearer ${key}` } })
const send = ({ body, signature }: { body: string; signature?: string }) =>
  fetch(`${app.url}/stripe/webhook`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json; charset=utf-8',
      ...(signature ? { 'stripe-signature': signature } : {}),
    },
    body,
  })
const pay = (topUp: { id: string }, change: object = {}) =>
  send(stripe.event('checkout.session.completed', stripe.paidSession(topUp, account.accountId, change)))
const balance = async () => Number((await jsonOf(get('/v1/account'))).balance)

test('a top-up is asked for, paid on a page of Stripe, and in the account', async () => {
  const asked = await buy('25.00')
  expect(asked.status).toBe(201)
  const topUp = await jsonOf(asked)
  expect(topUp).toMatchObject({ status: 'open', amount_usd: '25.00', credit: '12.5', credited: '0', currency: 'LILY' })
  expect(topUp.url).toMatch(/^https:\/\/pay\.example\/cs_test_/)
  expect(stripe.pages().at(-1)).toMatchObject({
    mode: 'payment',
    client_reference_id: topUp.id,
    'metadata[account]': account.accountId,
    'payment_intent_data[metadata][top_up]': topUp.id,
    'line_items[0][price_data][unit_amount]': '2500',
    'line_items[0][price_data][currency]': 'usd',
    success_url: `https://gateway.example/?page=1&top_up=${topUp.id}`,
  })
  expect(await balance()).toBe(0)
  const told = await pay(topUp)
  expect([told.status, await told.json()]).toEqual([200, { received: true, outcome: 'entered' }])
  expect(await balance()).toBe(12.5)
  const shown = await jsonOf(get(asked.headers.get('location') ?? ''))
  expect(shown).toMatchObject({ id: topUp.id, status: 'paid', credited: '12.5', url: null })
  expect((await jsonOf(get('/v1/account/top-ups'))).data[0]).toEqual(shown)
  const stranger = await app.openAccount()
  expect((await get(`/v1/account/top-ups/${topUp.id}`, stranger.key)).status).toBe(404)
})

test('a retry whose answer was lost gets the same page, and is paid once', async () => {
  const pages = stripe.pages().length
  stripe.setLosing(true)
  expect((await buy('3', 'once')).status).toBe(502)
  stripe.setLosing(false)
  const [first, second] = await Promise.all([jsonOf(buy('3', 'once')), jsonOf(buy('3.00', 'once'))])
  expect(second).toEqual(first)
  expect(stripe.pages()).toHaveLength(pages + 1)
  expect((await buy('4', 'once')).status).toBe(409)
})

describe('an event counts only', () => {
  test.each([
    ['without a signature', () => ({})],
    ['with another secret', () => ({ secret: 'whsec_other' })],
    ['that is too old', () => ({ timestamp: Math.floor(Date.now() / 1000) - 301 })],
  ] as const)('never %s', async (name, signing) => {
    const topUp = await jsonOf(buy('5'))
    const before = await balance()
    const event = stripe.event('checkout.session.completed', stripe.paidSession(topUp, account.accountId), signing())
    const told = await send(name === 'without a signature' ? { body: event.body } : event)
    expect(told.status).toBe(400)
    expect((await jsonOf(told)).error.message).toMatch(/not an event of the card processor/)
    expect(await balance()).toBe(before)
  })

  test('over the very bytes that were signed', async () => {
    const topUp = await jsonOf(buy('5'))
    const { body, signature } = stripe.event('checkout.session.completed', stripe.paidSession(topUp, account.accountId))
    expect((await send({ body: body.replace('"amount_total":500', '"amount_total":501'), signature })).status).toBe(400)
    expect((await send({ body: `${body} `, signature })).status).toBe(400)
    expect((await send({ body, signature })).status).toBe(200)
  })

  test('for the account that asked, with the amount that was asked for', async () => {
    const topUp = await jsonOf(buy('5'))
    const before = await balance()
    expect(await jsonOf(pay(topUp, { metadata: { account: 'acct_other' } }))).toMatchObject({ outcome: 'strange' })
    expect(await jsonOf(pay(topUp, { amount_total: 50_000 }))).toMatchObject({ outcome: 'strange' })
    expect(await balance()).toBe(before)
    expect(app.logged()).toContain('card.strange')
  })

  test('and nothing else of Stripe does harm', async () => {
    const event = (type: string, object: object) => send(stripe.event(type, object))
    expect(await jsonOf(event('customer.created', { id: 'cus_1' }))).toEqual({ received: true, outcome: 'ignored' })
    expect((await event('checkout.session.completed', { id: 7 })).status).toBe(400)
    const empty = stripe.event('x', {})
    expect((await send({ body: '', signature: empty.signature })).status).toBe(400)
    expect((await send({ body: 'x'.repeat(600_000), signature: empty.signature })).status).toBe(413)
  })
})

test.each(['0.99', '10000.01', '1e3', '-5', '5.001', 5, '', null])('%j dollars are refused', async (amount_usd) => {
  const pages = stripe.pages().length
  expect((await post(app.url, '/v1/account/top-ups', account.key, { amount_usd })).status).toBe(400)
  expect(stripe.pages()).toHaveLength(pages)
})

test('what Stripe says of a failure, and keys, are in no answer and no log', async () => {
  stripe.setDown(true)
  const down = await buy('5')
  stripe.setDown(false)
  expect(down.status).toBe(502)
  const broken = await openApp({
    cards: createStripeCards({
      secretKey: 'rk_test_wrongwrong',
      webhookSecret: 'whsec_x',
      returnUrl: 'https://gateway.example/',
      apiUrl: stripe.url,
    }),
  })
  try {
    const { key } = await broken.openAccount()
    const refused = await post(broken.url, '/v1/account/top-ups', key, { amount_usd: '5' })
    expect(refused.status).toBe(502)
    const seen = (await refused.text()) + broken.logged() + app.logged() + (await down.text())
    for (const secret of [secretKey, 'wrongwrong', stripe.webhookSecret, 'whsec_x']) expect(seen).not.toContain(secret)
    expect(seen).toContain('401')
  } finally {
    await broken.close()
  }
})

test('a gateway without cards says so, and how to pay', async () => {
  const plain = await openApp()
  try {
    const { key } = await plain.openAccount()
    for (const path of ['/v1/account/top-ups', '/stripe/webhook']) {
      const answer = await post(plain.url, path, key, { amount_usd: '5' })
      expect(answer.status).toBe(404)
      expect((await jsonOf(answer)).error.message).toMatch(/takes no cards/)
    }
  } finally {
    await plain.close()
  }
})
