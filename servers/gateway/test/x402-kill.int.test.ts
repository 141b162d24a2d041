import { once } from 'node:events'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { getTokenBalance, parseTokenAmount } from '@lilypad-agents/sdk'
import { startGatewayProcess } from './gateway-process.ts'
import { createStranger, openBank } from './stranger.ts'
import { eventually, jsonOf, post, startTestGateway, type TestGateway } from './test-gateway.ts'

vi.setConfig({ testTimeout: 240_000 })

let base: TestGateway
let settings: readonly string[]

beforeAll(async () => {
  base = await startTestGateway()
  const { actor } = await base.market.openRequester()
  const { environment } = base.market.createNode(actor, 'gateway')
  settings = [
    ...['--network', environment.LILYPAD_NETWORK_FILE, '--key-file', environment.LILYPAD_KEY_FILE],
    ...['--state-dir', join(base.folder, 'killed'), '--port', '0', '--x402', 'sell'],
    ...['--x402-min-transfer', '0', '--x402-max-gas-price', '1000', '--x402-gas-per-day', '10'],
  ]
})
afterAll(() => base?.close())

const path = '/v1/chat/completions'
const body = { model: 'parrot', messages: [{ role: 'user', content: '!wait 1500' }], max_tokens: 3 }

// Milliseconds after the payment was sent: while it is settled, and while its job runs.
test.each([20, 700])('killed %i ms after a payment, the gateway charges it once and returns the rest', async (ms) => {
  const bank = openBank(base.market.network)
  const token = base.market.network.contracts.lilyToken
  const buyer = await createStranger(bank, { token, amount: 10n ** 18n })
  const first = await startGatewayProcess(settings)
  const { headers } = await post(first.url, path, undefined, body)
  const required = JSON.parse(Buffer.from(headers.get('payment-required') ?? '', 'base64').toString())
  const payment = await buyer.client.createPaymentPayload(required)
  const pay = (url: string) =>
    post(url, path, undefined, body, {
      headers: { 'payment-signature': Buffer.from(JSON.stringify(payment)).toString('base64') },
    })
  const asked = pay(first.url).then(
    ({ status }) => status,
    () => 'cut',
  )
  await new Promise((resolve) => setTimeout(resolve, ms))
  const died = once(first.child, 'exit')
  first.child.kill('SIGKILL')
  await died
  const before = await asked
  const second = await startGatewayProcess(settings)
  try {
    // The client sends the very same payment until it is told how it ended.
    const after = await eventually(async () => {
      const answer = await pay(second.url)
      if (answer.status === 409 && answer.headers.get('x-should-retry') === 'true') return undefined
      return { status: answer.status, reply: await jsonOf(answer) }
    }, 60)
    expect([200, 402, 409]).toContain(after.status)
    if (before === 200) expect(after.status).toBe(200)
    const { amount } = required.accepts.find(({ scheme }: { scheme: string }) => scheme === 'exact')
    const spent = async () => buyer.amount - (await getTokenBalance(bank, { token, account: buyer.address }))
    // All of it is back, or all but what one answer costs.
    const cost = await eventually(async () => {
      const now = await spent()
      return now < BigInt(amount) ? now : undefined
    }, 60)
    if (after.status === 200) expect(cost).toBe(parseTokenAmount(after.reply.lilypad.cost.amount))
    if (after.status === 402) expect(cost).toBe(0n)
  } finally {
    const exited = once(second.child, 'exit')
    second.child.kill('SIGTERM')
    await exited
  }
})
