import type { AIMessageChunk, ToolMessage } from '@langchain/core/messages'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { getBalance } from '../../../servers/gateway/src/account/account.ts'
import { schema, toolCall } from '../../../servers/gateway/test/client.ts'
import {
  chatRequest,
  eventually,
  startTestGateway,
  type TestGateway,
} from '../../../servers/gateway/test/test-gateway.ts'
import {
  apiKeyPayer,
  ChatLilypad,
  getReceipt,
  LilypadEmbeddings,
  LilypadError,
  type LilypadReceipt,
  LilypadToolkit,
  lilypadTool,
  PaymentRequiredError,
  type Payer,
  PriceOverCapError,
  sumCost,
  verifyReceipt,
} from '../src/index.ts'
import { walletPayer } from '../src/wallet/index.ts'

// A real chain, solver, provider and gateway; the model repeats what it is told.

let gateway: TestGateway
let key: string
let accountId: string
beforeAll(async () => {
  gateway = await startTestGateway()
}, 300_000)
afterAll(() => gateway?.close())
beforeEach(async () => {
  ;({ key, accountId } = await gateway.openAccount())
})

const full = 10n ** 18n
const settings = () => ({ apiKey: key, baseUrl: gateway.url, maxRetries: 0 })
const createModel = (fields: object = {}) => new ChatLilypad({ model: 'parrot', ...settings(), ...fields })
async function join(stream: AsyncIterable<AIMessageChunk>): Promise<AIMessageChunk> {
  let whole: AIMessageChunk | undefined
  for await (const chunk of stream) whole = whole?.concat(chunk) ?? chunk
  return whole ?? expect.unreachable()
}
const inBaseUnits = (amount: string) => BigInt(amount.split('.')[1]?.padEnd(18, '0') ?? '0')

test('a reply is the same whole and streamed, was paid as its receipt says, and the proof holds', async () => {
  const model = createModel()
  const whole = await model.invoke('frog and toad')
  const streamed = await join(await model.stream('frog and toad'))
  expect([whole.text, streamed.text]).toEqual(['frog and toad', 'frog and toad'])
  expect(streamed.usage_metadata).toEqual(whole.usage_metadata)
  const { amount } = sumCost([whole, streamed])
  expect(await getBalance(gateway.database, accountId)).toEqual({ balance: full - inBaseUnits(amount), reserved: 0n })
  for (const message of [whole, streamed]) {
    const { checks } = await verifyReceipt(message, { payer: apiKeyPayer(settings()) })
    expect(checks.filter(({ ok }) => !ok)).toEqual([])
  }
})

test('one idempotency key is one charge, and the answer comes again', async () => {
  const model = createModel()
  const replies = [1, 2].map(() => model.invoke('once', { idempotencyKey: 'k' }))
  // Side by side one of them may meet the other at work.
  const retrying = createModel({ maxRetries: 2 })
  const [first, , third] = await Promise.all([
    ...replies.map((reply) => reply.catch(() => undefined)),
    retrying.invoke('once', { idempotencyKey: 'k' }),
  ])
  const again = await model.invoke('once', { idempotencyKey: 'k' })
  expect(getReceipt(again)).toEqual(getReceipt(third ?? first ?? expect.unreachable()))
  const { amount } = sumCost([again])
  expect((await getBalance(gateway.database, accountId)).balance).toBe(full - inBaseUnits(amount))
})

test('a tool is called, whole and streamed, and structured output is asked for', async () => {
  const model = createModel().bindTools([{ type: 'function', function: { name: 'look', parameters: schema } }])
  for (const reply of [await model.invoke(toolCall), await join(await model.stream(toolCall))])
    expect(reply.tool_calls).toMatchObject([{ name: 'look', args: { city: 'pond' } }])
  const said = await createModel()
    .withStructuredOutput(schema as never, { method: 'jsonSchema' })
    .invoke('{"city":"pond"}')
  expect(said).toEqual({ city: 'pond' })
})

test('the profile is what the gateway lists, and vectors come with receipts', async () => {
  expect(await createModel().loadProfile()).toMatchObject({
    maxInputTokens: 4096,
    maxOutputTokens: 256,
    toolCalling: true,
  })
  const receipts: LilypadReceipt[] = []
  const embeddings = new LilypadEmbeddings({
    model: 'vectors',
    ...settings(),
    onReceipt: (receipt) => receipts.push(receipt),
  })
  const [frog, toads] = await embeddings.embedDocuments(['frog', 'two toads'])
  expect(frog?.length).toBe(toads?.length)
  expect(frog).not.toEqual(toads)
  expect(receipts).toHaveLength(1)
})

test('errors are typed, and nothing is charged for them', async () => {
  const { key: poor } = await gateway.openAccount({ credit: 0n })
  const errors = await Promise.all(
    [{ apiKey: 'lp-wrong' }, { apiKey: poor }, { maxPrice: '0.000000000000000001' }, { model: 'toad' }].map((fields) =>
      createModel(fields)
        .invoke('Hi')
        .catch((error: unknown) => error),
    ),
  )
  expect(errors.map((error) => LilypadError.isInstance(error) && error.code)).toEqual([
    'UNAUTHORIZED',
    'INSUFFICIENT_BALANCE',
    'PRICE_OVER_CAP',
    'MODULE_UNKNOWN',
  ])
  expect([PaymentRequiredError.isInstance(errors[1]), PriceOverCapError.isInstance(errors[2])]).toEqual([true, true])
  expect(await getBalance(gateway.database, accountId)).toEqual({ balance: full, reserved: 0n })
})

describe.each(['an API key', 'a wallet'])('jobs paid with %s', (who) => {
  let payer: Payer
  let spent: () => Promise<bigint>
  beforeEach(async () => {
    if (who === 'an API key') {
      payer = apiKeyPayer(settings())
      spent = async () => full - (await getBalance(gateway.database, accountId)).balance
    } else {
      const { lilypad } = await gateway.market.openRequester()
      payer = walletPayer({ lilypad })
      spent = async () => (await lilypad.getWallet()).spent.total
    }
  })

  test('modules of the network are tools; the result is verified here and paid once', async () => {
    const { tools } = await LilypadToolkit.fromRegistry({ payer, allow: ['parrot'], maxPrice: '0.01' })
    const [tool, quote] = tools
    const args = { request: chatRequest('one two') }
    expect(JSON.parse(await quote?.invoke({ module: 'parrot', inputs: args }))).toMatchObject({
      at_most: expect.stringContaining('LILY'),
    })
    const call = { type: 'tool_call' as const, id: 'call_1', name: 'parrot', args }
    const results = (await Promise.all([1, 2].map(() => tool?.invoke(call)))) as ToolMessage[]
    const again = (await tool?.invoke(call)) as ToolMessage
    const receipt = getReceipt(again)
    expect(new Set([...results, again].map((message) => getReceipt(message)?.jobId)).size).toBe(1)
    expect(String(again.content)).toContain('one two')
    expect(await spent()).toBe(inBaseUnits(receipt?.cost.amount ?? ''))
    expect(await verifyReceipt(again, { payer })).toMatchObject({ ok: true })
  })

  test('a job above its maximum price, or that fails, costs nothing', async () => {
    const args = { request: chatRequest('one') }
    const cheap = await lilypadTool('parrot', { payer, maxPrice: '0.000000000000000001' })
    expect(PriceOverCapError.isInstance(await cheap.invoke(args).catch((error: unknown) => error))).toBe(true)
    const tool = await lilypadTool('parrot', { payer })
    const error = await tool.invoke({ request: chatRequest('!status 400') }).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ name: 'JobFailedError', charged: 'none' })
    await eventually(async () => ((await spent()) === 0n ? true : undefined))
  })

  test('a job whose caller leaves is cancelled', async () => {
    const stop = new AbortController()
    const running = payer.run(
      { module: 'parrot', inputs: { request: chatRequest('!hang') } },
      { idempotencyKey: 'left', signal: stop.signal, onState: () => setTimeout(() => stop.abort(), 300) },
    )
    await expect(running).rejects.toThrow('aborted')
    await eventually(async () => ((await spent()) === 0n ? true : undefined))
  })
})
