import { responsePath } from '@lilypad-agents/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { chatRequest, serverManifest, serverProgram } from '../fixtures/server-manifest.ts'
import { createLogger } from '../src/log/logger.ts'
import { createExecutors } from '../src/run/create-executors.ts'
import { type Provider, startProvider } from '../src/start-provider.ts'
import { startTestMarket, type TestMarket } from './test-market.ts'

let market: TestMarket
let provider: Provider
const { manifest, moduleVersion } = serverManifest()

beforeAll(async () => {
  market = await startTestMarket()
  const actor = await market.createActor()
  const { stateDir } = market.createNode(actor, 'n')
  provider = await startProvider({
    network: market.network,
    key: actor.key,
    stateDir,
    executors: createExecutors(['server'], { stateDir, servers: { trusted: { [moduleVersion]: serverProgram } } }),
    settlement: { maxAgeSeconds: 0 },
    refreshSeconds: 0.3,
    log: createLogger(process.env.TEST_LOG ?? 'silent'),
  })
  await market.publish(manifest)
})
afterAll(async () => {
  await provider?.close()
  await market?.close()
})

const order = (content: string, fields: Readonly<Record<string, unknown>> = {}) =>
  market.order('parrot', { request: chatRequest(content, fields) })

test('a reply is verified, priced by its tokens, and settled', async () => {
  const orderHash = await order('one two three', { max_tokens: 2 })
  const { verification, outputs, job } = await market.lilypad.complete(orderHash, { timeoutSeconds: 30 })
  expect(verification.checks.filter(({ ok }) => !ok)).toEqual([])
  const [output] = outputs
  const reply = JSON.parse(Buffer.from((await output?.read()) ?? []).toString())
  expect(reply.choices[0].message.content).toBe('one two')
  expect(job.delivery?.receipt).toMatchObject({
    status: 0,
    inputUnits: reply.usage.prompt_tokens,
    outputUnits: reply.usage.completion_tokens,
    price: 1000n + 3n * 3n + 2n * 7n,
  })
  expect(job.delivery?.manifest.predicate.executor).toMatchObject({
    name: 'server',
    isolation: { tier: 'server', shared: true, backend: 'process' },
  })
  expect((await market.lilypad.waitForSettlement(orderHash, { timeoutSeconds: 20 })).state).toBe('settled')
  expect((await provider.status()).servers.running).toMatchObject([{ module: 'parrot', state: 'ready' }])
})

test('the price never passes the maximum, for the server is told how much it may make', async () => {
  const request = chatRequest('a b c d e f g h', {})
  const { quote: full } = await market.lilypad.quote({ module: 'parrot', inputs: { request } })
  const worstInput = 3n * BigInt(Buffer.byteLength(request) + 1024)
  expect(full.maxPrice).toBe(1000n + worstInput + 256n * 7n)
  // Pays for five tokens beside the longest prompt that there could be.
  const { quote } = await market.lilypad.quote({
    module: 'parrot',
    inputs: { request },
    maxPrice: 1000n + worstInput + 5n * 7n,
  })
  const { orderHash } = await market.lilypad.order(quote.quoteId)
  const { job } = await market.lilypad.complete(orderHash, { timeoutSeconds: 30 })
  expect(job.delivery?.receipt).toMatchObject({ outputUnits: 5, price: 1000n + 8n * 3n + 5n * 7n })
})

test('an order that does not cover the longest prompt gets no quote', async () => {
  const request = chatRequest('a')
  await expect(market.lilypad.quote({ module: 'parrot', inputs: { request }, maxPrice: 1100n })).rejects.toMatchObject({
    code: 'PRICE_OVER_CAP',
  })
})

test('a server that bills what cannot be is not paid', async () => {
  const orderHash = await order('!usage {"prompt_tokens":100000,"completion_tokens":1}')
  await expect(market.lilypad.complete(orderHash, { timeoutSeconds: 30 })).rejects.toMatchObject({ code: 'JOB_FAILED' })
  const { delivery } = await market.lilypad.getStoredJob(orderHash)
  expect(delivery?.receipt).toMatchObject({ status: 1, price: 0n, inputUnits: 0, outputUnits: 0 })
  expect(delivery?.manifest.predicate).toMatchObject({
    outcome: { kind: 'trapped', reason: expect.stringContaining('more than the request allows') },
    outputs: [],
  })
})

test('a streamed reply is delivered whole', async () => {
  const orderHash = await order('frog and toad', { stream: true })
  const { verification, outputs } = await market.lilypad.complete(orderHash, { timeoutSeconds: 30 })
  expect(verification.checks.filter(({ ok }) => !ok)).toEqual([])
  expect(outputs.map(({ path }) => path)).toEqual([responsePath])
  expect(JSON.parse(Buffer.from((await outputs[0]?.read()) ?? []).toString())).toMatchObject({
    object: 'chat.completion',
    choices: [{ message: { content: 'frog and toad' } }],
  })
})
