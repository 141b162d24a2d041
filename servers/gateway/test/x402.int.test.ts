import { afterAll, beforeAll, expect, test } from 'vitest'
import { createSigner, type Hex, keccak256 } from '@lilypad-agents/protocol'
import {
  type ChainClient,
  createChainClient,
  getTokenBalance,
  sendCallSync,
  toLilypadChain,
  transferCall,
} from '@lilypad-agents/sdk'
import { HTTPFacilitatorClient } from '@x402/core/server'
import { ExactEvmScheme } from '@x402/evm/exact/client'
import { decodePaymentResponseHeader, wrapFetchWithPayment, x402Client } from '@x402/fetch'
import { sql } from 'drizzle-orm'
import OpenAI from 'openai'
import { privateKeyToAccount } from 'viem/accounts'
import { x402Payments } from '../src/x402/payment-tables.ts'
import { eventually, type Json, jsonOf, post, startTestGateway, type TestGateway } from './test-gateway.ts'

const x402 = {
  dollarTokens: [],
  isFacilitator: true,
  fee: 0n,
  minTransfer: 1n,
  maxGasPrice: 10n ** 12n,
  gasPerDay: 10n ** 20n,
}
const developmentKey: Hex = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80'
let base: TestGateway
let bank: ChainClient
let buyers = 0

beforeAll(async () => {
  base = await startTestGateway({ config: { x402 } })
  bank = createChainClient({ chain: toLilypadChain(base.market.network), privateKey: developmentKey })
})
afterAll(() => base?.close())

const token = () => base.market.network.contracts.lilyToken
const balanceOf = (account: Hex) => getTokenBalance(bank, { token: token(), account })
const chat = (content: string, more: Record<string, unknown> = {}) => ({
  model: 'parrot',
  messages: [{ role: 'user' as const, content }],
  max_tokens: 8,
  ...more,
})

/** A stranger: a fresh key with LILY and no ether, and the stock client of x402. */
async function createBuyer(amount = 10n ** 18n) {
  const key = keccak256(`buyer ${buyers++} ${Math.random()}`)
  const { address } = createSigner(key)
  await sendCallSync(bank, transferCall({ token: token(), to: address, amount }))
  const client = new x402Client()
    .register('eip155:*', new ExactEvmScheme(privateKeyToAccount(key)))
    .setSpendControls({ allowedAssets: true })
  const seen: Request[] = []
  const record: typeof fetch = async (input, init) => {
    const request = new Request(input, init)
    seen.push(request.clone())
    return fetch(request)
  }
  return { key, address, client, seen, amount, fetch: wrapFetchWithPayment(record, client) }
}

const paymentOf = async (response: Response): Promise<Json> => {
  const { extra } = decodePaymentResponseHeader(response.headers.get('payment-response') ?? '') as Json
  return eventually(async () => {
    const view = await jsonOf(fetch(`${base.url}${extra.status}`))
    return view.state === 'closed' ? view : undefined
  })
}

/** What every account holds, on the books and on chain. */
async function expectBooksToClose(): Promise<void> {
  const { rows } = (await base.database.execute(
    sql`select (select coalesce(sum(balance),0) from accounts where name like 'x402:%')::text as held,
        (select coalesce(sum(reserved),0) from accounts where name like 'x402:%')::text as reserved,
        (select count(*) from x402_payments where state not in ('closed','void'))::text as open`,
  )) as unknown as { rows: Json[] }
  expect(rows[0]).toEqual({ held: '0', reserved: '0', open: '0' })
}

test('a request without a key is told its price, in header and body', async () => {
  const answer = await post(base.url, '/v1/chat/completions', undefined, chat('hello'))
  expect(answer.status).toBe(402)
  const required = JSON.parse(Buffer.from(answer.headers.get('payment-required') ?? '', 'base64').toString())
  expect(required).toMatchObject({
    x402Version: 2,
    accepts: [{ scheme: 'exact', network: 'eip155:31337', asset: token(), payTo: base.config.signer?.address }],
    extensions: { bazaar: { info: { input: { type: 'http', method: 'POST' } } } },
  })
  const body = await jsonOf(answer)
  expect(body.accepts).toEqual(required.accepts)
  expect(body.error).toMatchObject({ code: 402, metadata: { code: 'PAYMENT_REQUIRED' } })
  expect((await post(base.url, '/v1/chat/completions', 'lp-wrong', chat('hello'))).status).toBe(401)
  expect((await fetch(`${base.url}/v1/account`)).status).toBe(401)
})

test('the stock client pays, gets its answer, and what it did not cost goes back', async () => {
  const buyer = await createBuyer()
  const seller = base.config.signer?.address ?? '0x'
  const before = await balanceOf(seller)
  const answer = await buyer.fetch(`${base.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(chat('one two three')),
  })
  expect(answer.status).toBe(200)
  const body = await jsonOf(answer)
  expect(body.choices[0].message.content).toContain('one two three')
  const payment = await paymentOf(answer)
  const cost = BigInt(Math.round(Number(payment.cost) * 1e18))
  expect(payment.cost).toBe(body.lilypad.cost.amount)
  expect(BigInt(payment.change)).toBeGreaterThan(0n)
  expect(payment.change_transaction).toMatch(/^0x/)
  expect(await balanceOf(buyer.address)).toBe(buyer.amount - (BigInt(payment.amount) - BigInt(payment.change)))
  expect(await balanceOf(seller)).toBe(before + BigInt(payment.amount) - BigInt(payment.change))
  expect(BigInt(payment.amount) - BigInt(payment.change)).toBe(cost)
  await expectBooksToClose()
})

test('the OpenAI client streams over it', async () => {
  const buyer = await createBuyer()
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
  await eventually(async () => {
    const open = await base.database.$count(x402Payments, sql`state not in ('closed', 'void')`)
    return open === 0 ? true : undefined
  })
  await expectBooksToClose()
})
