import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { accessType, type Hex, jobOrderType, keccak256, toHex } from '@lilypad-agents/protocol'
import {
  createChainClient,
  getAccount,
  parseTokenAmount,
  type SpendingPolicy,
  toLilypadChain,
} from '@lilypad-agents/sdk'
import { lilypadFetch } from '@lilypad-agents/sdk/x402'
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { privateKeyToAccount } from 'viem/accounts'
import { x402Config } from './stranger.ts'
import { chatRequest, eventually, type Json, jsonOf, post, startTestGateway, type TestGateway } from './test-gateway.ts'

const unlimited = 10n ** 24n
let base: TestGateway

beforeAll(async () => {
  base = await startTestGateway({ config: { x402: x402Config } })
})
afterAll(() => base?.close())

const chat = (content: string) => ({
  model: 'parrot',
  messages: [{ role: 'user' as const, content }],
  max_tokens: 8,
})
const reader = () => createChainClient({ chain: toLilypadChain(base.market.network) })
const vaultOf = async (payer: Hex) =>
  (await getAccount(reader(), { payer, token: base.market.network.contracts.lilyToken })).balance

/** A wallet with LILY in the vault, and a `fetch` that pays with it. */
async function openWallet(policy: Partial<SpendingPolicy> = {}, send: typeof fetch = fetch) {
  const { actor } = await base.market.openRequester()
  const payer = actor.signer.address
  const before = await vaultOf(payer)
  const pay = lilypadFetch({
    ...{ network: base.market.network, signer: actor.signer, fetch: send },
    policy: { perJob: unlimited, perDay: unlimited, total: unlimited, ...policy },
  })
  return { actor, payer, before, pay, openai: new OpenAI({ baseURL: `${base.url}/v1`, apiKey: 'none', fetch: pay }) }
}

/** Waits until everything that a wallet acknowledged is on chain, and compares what left its account. */
async function expectPaid(payer: Hex, before: bigint, cost: bigint): Promise<void> {
  await eventually(async () => ((await vaultOf(payer)) === before - cost ? true : undefined), 30)
}

describe('a client of another maker, with one line', () => {
  test('of OpenAI chats, streams and makes vectors from its own vault account', async () => {
    const { payer, before, pay, openai } = await openWallet()
    const gatewayBefore = await vaultOf(base.config.signer?.address ?? '0x')
    const whole: Json = await openai.chat.completions.create(chat('one two three'))
    expect(whole.choices[0].message.content).toContain('one two three')
    const stream = await openai.chat.completions.create({ ...chat('stream this please'), stream: true })
    let text = ''
    let last: Json
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? ''
      last = (chunk as Json).lilypad ?? last
    }
    expect(text).toContain('stream this please')
    const vectors: Json = await openai.embeddings.create({ model: 'vectors', input: 'four' })
    expect(vectors.data).toHaveLength(1)
    await pay.settled()
    const jobs = await pay.lilypad.listJobs()
    expect(jobs.map(({ verified, acknowledgement }) => [verified, acknowledgement !== null])).toEqual(
      Array.from({ length: 3 }, () => [true, true]),
    )
    const costs = [whole.lilypad, last, vectors.lilypad].map(({ cost }) => parseTokenAmount(cost.amount))
    await expectPaid(
      payer,
      before,
      costs.reduce((sum, cost) => sum + cost, 0n),
    )
    expect(await vaultOf(base.config.signer?.address ?? '0x')).toBe(gatewayBefore)
    await pay.close()
  })

  test('of Anthropic, too', async () => {
    const { pay } = await openWallet()
    const anthropic = new Anthropic({ baseURL: base.url, apiKey: 'none', fetch: pay })
    const { content } = await anthropic.messages.create(chat('croak'))
    expect(content).toMatchObject([{ type: 'text', text: expect.stringContaining('croak') }])
    await pay.close()
  })

  test('spends no more than its budget', async () => {
    const { pay, payer, before } = await openWallet({ perJob: 1n })
    const openai = new OpenAI({ baseURL: `${base.url}/v1`, apiKey: 'none', fetch: pay, maxRetries: 0 })
    await expect(openai.chat.completions.create(chat('too dear'))).rejects.toMatchObject({
      cause: { code: 'OVER_JOB_LIMIT' },
    })
    expect(await pay.lilypad.listJobs()).toEqual([])
    expect(await vaultOf(payer)).toBe(before)
    await pay.close()
  })

  test('orders once, however often a request is lost on its way', async () => {
    let lost = 0
    const { pay, openai, payer, before } = await openWallet({}, async (input, init) => {
      const request = new Request(input, init)
      const isPaid = request.headers.has('payment-signature')
      const response = await fetch(request)
      if (!isPaid || lost >= 2) return response
      lost += 1
      await response.body?.cancel()
      throw new TypeError('connection lost')
    })
    const reply: Json = await openai.chat.completions.create(chat('again and again'))
    expect(lost).toBe(2)
    expect(reply.choices[0].message.content).toContain('again and again')
    await pay.settled()
    expect(await pay.lilypad.listJobs()).toHaveLength(1)
    await expectPaid(payer, before, parseTokenAmount(reply.lilypad.cost.amount))
    await pay.close()
  })
})

describe('a wallet that signs typed data', () => {
  /** Signs the order of a quote as any wallet does, without anything of ours. */
  async function order(key: Hex, template: Json) {
    const account = privateKeyToAccount(key)
    const address = account.address.toLowerCase()
    const secret = toHex(crypto.getRandomValues(new Uint8Array(32)))
    const lane = Number(BigInt(toHex(crypto.getRandomValues(new Uint8Array(6)))))
    const filled = { payer: address, key: address, lane, nonce: 0, auditCommit: keccak256(secret) }
    const { domain, types, primaryType, message } = template.typed_data
    const signed = { ...message, ...filled }
    const signature = await account.signTypedData({ domain, types, primaryType, message: signed })
    return { order: signed, signature, grant: null, ask: template.ask, inputs: template.inputs }
  }

  test('orders a quote, reads the job, and acknowledges it', async () => {
    const { actor, payer, before } = await openWallet()
    const account = privateKeyToAccount(actor.key)
    const asked = { module: 'parrot', inputs: { request: chatRequest('a job') } }
    const quote = await jsonOf(post(base.url, '/v1/quotes', undefined, asked))
    const request = await order(actor.key, quote.order)
    const placed = await post(base.url, '/v1/orders', undefined, request)
    const { id } = await jsonOf(placed)
    expect(placed.status).toBe(201)
    expect((await jsonOf(post(base.url, '/v1/orders', undefined, request))).id).toBe(id)
    const validUntil = Math.floor(Date.now() / 1000) + 300
    const { domain } = quote.order.typed_data
    const access = await account.signTypedData({
      domain,
      types: { Access: accessType.fields.map(({ name, type }) => ({ name, type })) },
      primaryType: 'Access',
      message: { subject: id, validUntil: BigInt(validUntil) },
    })
    const headers = { authorization: `Lilypad ${validUntil}:${access}` }
    const view = await eventually(async () => {
      const found = await jsonOf(fetch(`${base.url}/v1/orders/${id}`, { headers }))
      return found.acknowledgement ? found : undefined
    })
    const output = await fetch(`${base.url}/v1/orders/${id}/outputs/response.json`, { headers })
    expect(await output.text()).toContain('a job')
    expect((await fetch(`${base.url}/v1/orders/${id}`)).status).toBe(401)
    const voucher = view.acknowledgement.message
    const signature = await account.signTypedData(view.acknowledgement)
    const settled = await post(base.url, `/v1/orders/${id}/acknowledgement`, undefined, { voucher, signature })
    expect(settled.status, await settled.clone().text()).toBe(200)
    await expectPaid(payer, before, BigInt(view.job.delivery.receipt.price))
  })

  test('pays a chat with its order, and is refused with the order of another', async () => {
    const { actor } = await openWallet()
    const account = privateKeyToAccount(actor.key)
    const body = chat('by hand')
    const offer = await jsonOf(post(base.url, '/v1/chat/completions', undefined, body))
    const accepted = offer.accepts.find(({ scheme }: Json) => scheme === 'lilypad-order')
    const { inputs: _, ...request } = await order(actor.key, offer.lilypad.order)
    const vault = { chainId: 31_337, vault: base.market.network.contracts.jobVault }
    const orderHash = jobOrderType.hash(vault, { ...request.order, maxPrice: BigInt(request.order.maxPrice) })
    const validUntil = Math.floor(Date.now() / 1000) + 300
    const access = await account.signTypedData({
      domain: offer.lilypad.order.typed_data.domain,
      types: { Access: accessType.fields.map(({ name, type }) => ({ name, type })) },
      primaryType: 'Access',
      message: { subject: orderHash, validUntil: BigInt(validUntil) },
    })
    const payload = { ...request, authorization: `Lilypad ${validUntil}:${access}` }
    const send = (change: Json, asked: unknown = body) => {
      const payment = { x402Version: 2, accepted, payload: { ...payload, ...change } }
      const header = Buffer.from(JSON.stringify(payment)).toString('base64')
      return post(base.url, '/v1/chat/completions', undefined, asked, { headers: { 'payment-signature': header } })
    }
    expect((await send({}, chat('something else'))).status).toBe(400)
    expect((await send({ order: { ...request.order, maxPrice: '1' } })).status).toBe(400)
    expect((await send({ authorization: `Lilypad ${validUntil}:${request.signature}` })).status).toBe(400)
    const answer = await send({})
    const reply = await jsonOf(answer)
    expect(answer.status, JSON.stringify(reply)).toBe(200)
    expect(reply.choices[0].message.content).toContain('by hand')
    expect(reply.lilypad.job_id).toBe(orderHash)
    // The same order again is the same job and the same reply.
    expect((await jsonOf(send({}))).choices[0].message.content).toContain('by hand')
  })
})
