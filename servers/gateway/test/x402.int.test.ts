import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Hex } from '@lilypad-agents/protocol'
import { type ChainClient, getTokenBalance, parseTokenAmount, sendCallSync } from '@lilypad-agents/sdk'
import { HTTPFacilitatorClient } from '@x402/core/server'
import { decodePaymentResponseHeader } from '@x402/fetch'
import { sql } from 'drizzle-orm'
import OpenAI from 'openai'
import { parseAbi } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { checkLedger } from '../src/ledger/check-ledger.ts'
import { x402Payments } from '../src/x402/payment-tables.ts'
import { deployStableToken } from './stable-token.ts'
import { createStranger, openBank, type Stranger, x402Config } from './stranger.ts'
import { chatRequest, eventually, type Json, jsonOf, post, startTestGateway, type TestGateway } from './test-gateway.ts'

let base: TestGateway
let bank: ChainClient
let dollar: Hex

beforeAll(async () => {
  base = await startTestGateway({
    async config({ network }) {
      bank = openBank(network)
      dollar = await deployStableToken(bank)
      return { x402: { ...x402Config, dollarTokens: [dollar] } }
    },
  })
})
afterAll(() => base?.close())

const lily = () => base.market.network.contracts.lilyToken
const seller = () => base.config.signer?.address ?? '0x'
const balanceOf = (account: Hex, token = lily()) => getTokenBalance(bank, { token, account })
const stranger = (amount = 10n ** 18n, token = lily()) => createStranger(bank, { token, amount })
const chat = (content: string, more: Record<string, unknown> = {}) => ({
  model: 'parrot',
  messages: [{ role: 'user' as const, content }],
  max_tokens: 8,
  ...more,
})
const json = (body: unknown) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
})
const ask = ({ fetch: pay }: Stranger, content: string, path = '/v1/chat/completions') =>
  pay(`${base.url}${path}`, json(chat(content)))
const again = (payment: string, body: unknown, path = '/v1/chat/completions') =>
  post(base.url, path, undefined, body, { headers: { 'payment-signature': payment } })

async function requiredOf(body: unknown): Promise<Json> {
  const { headers } = await post(base.url, '/v1/chat/completions', undefined, body)
  return JSON.parse(Buffer.from(headers.get('payment-required') ?? '', 'base64').toString())
}

/** The payment behind an answer, once nothing more happens to it. */
async function paymentOf(response: Response): Promise<Json> {
  const { extra } = decodePaymentResponseHeader(response.headers.get('payment-response') ?? '') as Json
  return eventually(async () => {
    const view = await jsonOf(fetch(`${base.url}${extra.status}`))
    return view.state === 'closed' ? view : undefined
  }, 30)
}

/** Waits until every payment is over; then strangers have nothing left here, on the books and on chain. */
async function expectBooksToClose(): Promise<void> {
  const count = (which: string) => base.database.$count(x402Payments, sql.raw(which))
  await eventually(async () => ((await count("state in ('settled', 'returning')")) === 0 ? true : undefined), 30)
  const { rows } = (await base.database.execute(
    sql`select coalesce(sum(balance), 0)::text as balance, coalesce(sum(reserved), 0)::text as reserved
        from accounts where name like 'x402:%'`,
  )) as unknown as { rows: Json[] }
  expect(rows[0]).toEqual({ balance: '0', reserved: '0' })
  expect((await checkLedger(base.database, undefined)).faults).toEqual([])
}

describe('a request without a key', () => {
  test('is told its price, in header and body', async () => {
    const answer = await post(base.url, '/v1/chat/completions', undefined, chat('hello'))
    expect(answer.status).toBe(402)
    const required = JSON.parse(Buffer.from(answer.headers.get('payment-required') ?? '', 'base64').toString())
    expect(required).toMatchObject({
      x402Version: 2,
      accepts: [
        { scheme: 'lilypad-order', asset: lily() },
        { scheme: 'exact', network: 'eip155:31337', asset: lily(), payTo: seller(), extra: { paymentFlow: 'upfront' } },
        { scheme: 'exact', asset: dollar, extra: { name: 'Dollar' } },
      ],
      extensions: { bazaar: { info: { input: { type: 'http', method: 'POST' } } } },
    })
    const body = await jsonOf(answer)
    expect(body.accepts).toEqual(required.accepts)
    expect(body.error).toMatchObject({ code: 402, metadata: { code: 'PAYMENT_REQUIRED' } })
  })

  test('with a wrong key, or where there is nothing to pay for, is refused', async () => {
    expect((await post(base.url, '/v1/chat/completions', 'lp-wrong', chat('hello'))).status).toBe(401)
    expect((await fetch(`${base.url}/v1/account`)).status).toBe(401)
    expect((await fetch(`${base.url}/v1/jobs`)).status).toBe(401)
    expect((await post(base.url, '/v1/chat/completions', undefined, { model: 'parrot' })).status).toBe(400)
    expect((await post(base.url, '/v1/chat/completions', undefined, { ...chat('x'), model: 'none' })).status).toBe(404)
    expect((await again('nonsense', chat('x'))).status).toBe(400)
  })
})

describe('the stock client', () => {
  test.each([
    ['chat completions', '/v1/chat/completions'],
    ['messages', '/v1/messages'],
  ])('pays for %s and gets its answer; what it did not cost goes back', async (_, path) => {
    const buyer = await stranger()
    const before = await balanceOf(seller())
    const answer = await ask(buyer, 'one two three', path)
    const body = await jsonOf(answer)
    expect(answer.status, JSON.stringify(body)).toBe(200)
    expect(JSON.stringify(body)).toContain('one two three')
    const payment = await paymentOf(answer)
    expect(payment).toMatchObject({ payer: buyer.address, asset: lily(), cost: body.lilypad.cost.amount })
    const cost = BigInt(payment.amount) - BigInt(payment.change)
    expect(BigInt(payment.change)).toBeGreaterThan(0n)
    expect(cost).toBe(parseTokenAmount(payment.cost))
    expect(await balanceOf(buyer.address)).toBe(buyer.amount - cost)
    expect(await balanceOf(seller())).toBe(before + cost)
    await expectBooksToClose()
  })

  test('pays in dollars', async () => {
    const buyer = await stranger(10n ** 6n, dollar)
    buyer.client.registerPolicy((_version, accepts) => accepts.filter(({ asset }) => asset === dollar))
    const answer = await ask(buyer, 'in dollars')
    expect(answer.status).toBe(200)
    const payment = await paymentOf(answer)
    // Two dollars a LILY, as the gateway is set; what is less than a millionth stays with it.
    const cost = Number(BigInt(payment.amount) - BigInt(payment.change))
    expect(cost).toBeGreaterThanOrEqual(Number(payment.cost) * 2e6)
    expect(cost).toBeLessThan(Number(payment.cost) * 2e6 + 1)
    expect(await balanceOf(buyer.address, dollar)).toBe(buyer.amount - BigInt(cost))
    await expectBooksToClose()
  })

  test('of OpenAI streams over it, and makes vectors', async () => {
    const buyer = await stranger()
    const openai = new OpenAI({ baseURL: `${base.url}/v1`, apiKey: 'x402', fetch: buyer.fetch })
    const stream = await openai.chat.completions.create({ ...chat('stream this please'), stream: true })
    let text = ''
    let finish: string | null = null
    for await (const { choices } of stream) {
      text += choices[0]?.delta.content ?? ''
      finish = choices[0]?.finish_reason ?? finish
    }
    expect(text).toContain('stream this please')
    expect(finish).toBe('stop')
    const { data } = await openai.embeddings.create({ model: 'vectors', input: 'four' })
    expect(data).toHaveLength(1)
    await expectBooksToClose()
  })

  test('orders a job, and reads it with its payment', async () => {
    const buyer = await stranger()
    const answer = await buyer.fetch(
      `${base.url}/v1/jobs`,
      json({ module: 'parrot', inputs: { request: chatRequest('a job') } }),
    )
    const job = await jsonOf(answer)
    expect(answer.status, JSON.stringify(job)).toBe(201)
    const headers = { 'payment-signature': buyer.payments[0] ?? '' }
    const read = (path: string) => fetch(`${base.url}/v1/jobs/${job.id}${path}`, { headers })
    await eventually(async () => ((await jsonOf(read(''))).cost ? true : undefined))
    expect((await read('/outputs/response.json')).status).toBe(200)
    expect((await fetch(`${base.url}/v1/jobs/${job.id}`)).status).toBe(401)
    const stolen = JSON.parse(Buffer.from(headers['payment-signature'], 'base64').toString())
    stolen.accepted.extra.offer = `0x${'00'.repeat(32)}`
    headers['payment-signature'] = Buffer.from(JSON.stringify(stolen)).toString('base64')
    expect((await read('')).status).toBe(401)
    await paymentOf(answer)
    await expectBooksToClose()
  })
})

describe('a payment', () => {
  test('that comes again, many at once, is one request with one answer', async () => {
    const buyer = await stranger()
    const body = chat('!wait 700')
    const required = await requiredOf(body)
    const payment = Buffer.from(JSON.stringify(await buyer.client.createPaymentPayload(required))).toString('base64')
    const answers = await Promise.all(Array.from({ length: 5 }, () => again(payment, body)))
    const statuses = answers.map(({ status }) => status)
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(1)
    expect(statuses.every((status) => status === 200 || status === 409)).toBe(true)
    const jobs = new Set(answers.filter(({ ok }) => ok).map(({ headers }) => headers.get('x-lilypad-job')))
    expect(jobs.size).toBe(1)
    const repeat = await again(payment, body)
    expect(repeat.headers.get('x-lilypad-replayed')).toBe('true')
    expect((await jsonOf(repeat)).lilypad.job_id).toBe([...jobs][0])
    const { amount, change } = await paymentOf(repeat)
    expect(await balanceOf(buyer.address)).toBe(buyer.amount - (BigInt(amount) - BigInt(change)))
    // The same payment for something else is nobody's.
    expect((await again(payment, chat('other'))).status).toBe(409)
    expect((await again(payment, body, '/v1/messages')).status).toBe(409)
    await expectBooksToClose()
  })

  test('keeps a retry of its request from being told a second price', async () => {
    const buyer = await stranger()
    const first = ask(buyer, '!wait 900')
    await eventually(async () => (buyer.payments.length > 0 ? true : undefined))
    const retry = await eventually(async () => {
      const response = await post(base.url, '/v1/chat/completions', undefined, chat('!wait 900'))
      return response.status === 409 ? response : undefined
    })
    expect(retry.headers.get('x-should-retry')).toBe('true')
    expect(retry.headers.get('payment-required')).toBeNull()
    expect((await first).status).toBe(200)
    expect((await post(base.url, '/v1/chat/completions', undefined, chat('!wait 900'))).status).toBe(402)
    await expectBooksToClose()
  })

  test.each([
    ['fails', '!failed'],
    ['is cut', '!cut'],
  ])('for a request that %s goes back whole', async (_, content) => {
    const buyer = await stranger()
    const answer = await ask(buyer, content)
    expect(answer.status).toBe(502)
    const { amount, change, cost } = await paymentOf(answer)
    expect([change, cost]).toEqual([amount, '0'])
    expect(await balanceOf(buyer.address)).toBe(buyer.amount)
    const refused = await again(buyer.payments[0] ?? '', chat(content))
    expect(refused.status).toBe(402)
    expect((await jsonOf(refused)).error.metadata.code).toBe('PAYMENT_REFUSED')
    await expectBooksToClose()
  })

  test('whose money is gone, or that was cancelled, buys nothing', async () => {
    const buyer = await stranger()
    const body = chat('not paid')
    const pay = async () => {
      const payload = await buyer.client.createPaymentPayload(await requiredOf(body))
      return { payload, header: Buffer.from(JSON.stringify(payload)).toString('base64') }
    }
    const { payload, header } = await pay()
    await bank.request({ method: 'anvil_setBalance', params: [buyer.address, '0xde0b6b3a7640000'] } as never)
    const { authorization } = payload.payload as { authorization: { nonce: Hex } }
    const signature = await privateKeyToAccount(buyer.key).signTypedData({
      domain: { name: 'Lilypad', version: '1', chainId: 31_337, verifyingContract: lily() },
      types: {
        CancelAuthorization: [
          { name: 'authorizer', type: 'address' },
          { name: 'nonce', type: 'bytes32' },
        ],
      },
      primaryType: 'CancelAuthorization',
      message: { authorizer: buyer.address, nonce: authorization.nonce },
    })
    await sendCallSync(bank, {
      address: lily(),
      abi: parseAbi(['function cancelAuthorization(address, bytes32, uint8, bytes32, bytes32)']),
      functionName: 'cancelAuthorization',
      args: [
        buyer.address,
        authorization.nonce,
        Number(`0x${signature.slice(130)}`),
        signature.slice(0, 66),
        `0x${signature.slice(66, 130)}`,
      ],
    })
    const faultOf = async (payment: string) => {
      const answer = await again(payment, body)
      expect(answer.status).toBe(402)
      return JSON.parse(Buffer.from(answer.headers.get('payment-required') ?? '', 'base64').toString()).error
    }
    expect(await faultOf(header)).toBe('invalid_transaction_state')
    const broke = await stranger(0n)
    const unpaid = await broke.client.createPaymentPayload(await requiredOf(body))
    expect(await faultOf(Buffer.from(JSON.stringify(unpaid)).toString('base64'))).toBe('insufficient_funds')
    const lasting = await requiredOf(body)
    for (const way of lasting.accepts) way.maxTimeoutSeconds = 1e9
    const endless = await buyer.client.createPaymentPayload(lasting)
    expect(await faultOf(Buffer.from(JSON.stringify(endless)).toString('base64'))).toBe(
      'invalid_exact_evm_payload_authorization_valid_before',
    )
    const { payload: cheap } = await pay()
    cheap.accepted.amount = '1'
    expect(await faultOf(Buffer.from(JSON.stringify(cheap)).toString('base64'))).toBe('invalid_payment_requirements')
    expect(await balanceOf(buyer.address)).toBe(buyer.amount)
    await expectBooksToClose()
  })
})

test('the document describes the routes of payments, and each answers', async () => {
  const { paths, components } = await jsonOf(fetch(`${base.url}/openapi.json`))
  expect(components.securitySchemes.wallet.name).toBe('authorization')
  const added = Object.keys(paths).filter((path) => path.startsWith('/x402') || path.startsWith('/v1/orders'))
  expect(added).toHaveLength(9)
  for (const path of added)
    for (const [method, { security }] of Object.entries<Json>(paths[path])) {
      const address = path.replace('{id}', `0x${'0'.repeat(64)}`).replace('{path}', 'x')
      const response = await fetch(`${base.url}${address}`, {
        method: method.toUpperCase(),
        ...(method === 'post' ? { headers: { 'content-type': 'application/json' }, body: '{}' } : {}),
      })
      expect([path, response.status < 500 && response.status !== 401]).toEqual([path, security.length === 0])
    }
})

describe('the facilitator', () => {
  const facilitator = () => new HTTPFacilitatorClient({ url: `${base.url}/x402` })
  const shop: Hex = `0x${'5a'.repeat(20)}`
  const requirements = (change: Record<string, unknown> = {}) => ({
    scheme: 'exact',
    network: 'eip155:31337' as const,
    amount: '1000000',
    asset: lily(),
    payTo: shop,
    maxTimeoutSeconds: 120,
    extra: { name: 'Lilypad', version: '1' },
    ...change,
  })
  const sign = (buyer: Stranger, accepted = requirements()) =>
    buyer.client.createPaymentPayload({
      x402Version: 2,
      resource: { url: 'http://shop.example/' },
      accepts: [accepted],
    })

  test('names what it settles', async () => {
    expect(await facilitator().getSupported()).toMatchObject({
      kinds: [{ x402Version: 2, scheme: 'exact', network: 'eip155:31337' }],
      signers: { 'eip155:31337': [seller()] },
    })
  })

  test('verifies and settles a payment between others once', async () => {
    const buyer = await stranger()
    const before = await balanceOf(shop)
    const payload = await sign(buyer)
    expect(await facilitator().verify(payload, requirements())).toMatchObject({ isValid: true, payer: buyer.address })
    const answers = await Promise.all([1, 2, 3].map(() => facilitator().settle(payload, requirements())))
    expect(answers.every(({ success }) => success)).toBe(true)
    expect(new Set(answers.map(({ transaction }) => transaction)).size).toBe(1)
    expect(await facilitator().settle(payload, requirements())).toMatchObject({ success: true, ...answers[0] })
    expect(await balanceOf(shop)).toBe(before + 1_000_000n)
    expect(await balanceOf(buyer.address)).toBe(buyer.amount - 1_000_000n)
    expect(await facilitator().verify(payload, requirements())).toMatchObject({ isValid: false })
  })

  test('refuses what it does not settle, and what would fail on chain', async () => {
    const buyer = await stranger(1_500_000n)
    const other = requirements({ asset: `0x${'77'.repeat(20)}` })
    expect(await facilitator().verify(await sign(buyer, other), other)).toMatchObject({ isValid: false })
    const large = requirements({ amount: '2000000' })
    expect(await facilitator().verify(await sign(buyer, large), large)).toMatchObject({
      isValid: false,
      invalidReason: 'insufficient_funds',
    })
    const elsewhere = requirements({ payTo: `0x${'11'.repeat(20)}` })
    expect(await facilitator().settle(await sign(buyer), elsewhere)).toMatchObject({ success: false, transaction: '' })
    const zero = requirements({ amount: '0' })
    expect(await facilitator().verify(await sign(buyer, zero), zero)).toMatchObject({ isValid: false })
    expect((await post(base.url, '/x402/settle', undefined, { x402Version: 2 })).status).toBe(400)
    expect(await balanceOf(buyer.address)).toBe(1_500_000n)
  })
})
