import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Hex } from '@lilypad-agents/protocol'
import { type ChainClient, getTokenBalance, parseTokenAmount } from '@lilypad-agents/sdk'
import { sql } from 'drizzle-orm'
import { pino } from 'pino'
import { type RunningGateway, startGateway } from '../src/start-gateway.ts'
import { createStranger, openBank, x402Config } from './stranger.ts'
import { eventually, type Json, jsonOf, post, startTestGateway, type TestGateway } from './test-gateway.ts'

const { DATABASE_URL: databaseUrl } = process.env

describe.skipIf(databaseUrl === undefined)('two gateways over one Postgres', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lp-replica-'))
  let base: TestGateway
  let second: RunningGateway
  let bank: ChainClient

  beforeAll(async () => {
    base = await startTestGateway({ config: { databaseUrl, x402: x402Config } })
    bank = openBank(base.market.network)
    second = await startGateway({ ...base.config, stateDirectory: folder }, { log: pino({ level: 'silent' }) })
  })
  afterAll(async () => {
    await second?.close()
    await base?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const token = () => base.market.network.contracts.lilyToken
  const balanceOf = (account: Hex) => getTokenBalance(bank, { token: token(), account })
  const chat = (content: string) => ({ model: 'parrot', messages: [{ role: 'user', content }], max_tokens: 8 })
  const path = '/v1/chat/completions'

  /** A payment of a fresh stranger for what one gateway offered. */
  async function pay(url: string, body: unknown) {
    const buyer = await createStranger(bank, { token: token(), amount: 10n ** 18n })
    const { headers } = await post(url, path, undefined, body)
    const required = JSON.parse(Buffer.from(headers.get('payment-required') ?? '', 'base64').toString())
    const payload = await buyer.client.createPaymentPayload(required)
    return { buyer, payment: Buffer.from(JSON.stringify(payload)).toString('base64') }
  }

  const send = (url: string, payment: string, body: unknown) =>
    post(url, path, undefined, body, { headers: { 'payment-signature': payment } })

  async function settle(): Promise<void> {
    await eventually(async () => {
      const rows = (await base.database.execute(
        sql`select count(*)::int as open from x402_payments
            where state in ('taken', 'settled', 'returning') and pay_to = ${base.config.signer?.address}`,
      )) as unknown as Json[]
      return rows[0].open === 0 ? true : undefined
    }, 30)
  }

  test.each(['!wait 400', 'at once'])(
    'a payment that comes to both at once is one job and one charge: %s',
    async (content) => {
      const body = chat(`${content}`)
      const { buyer, payment } = await pay(base.url, body)
      const urls = [second.url, base.url, second.url, base.url]
      const answers = await Promise.all(urls.map((url) => send(url, payment, body)))
      expect(answers.map(({ status }) => status).every((status) => status === 200 || status === 409)).toBe(true)
      const replies = await Promise.all(
        [base.url, second.url].map((url) =>
          eventually(async () => {
            const answer = await send(url, payment, body)
            return answer.status === 200 ? jsonOf(answer) : undefined
          }),
        ),
      )
      const bodies = [...(await Promise.all(answers.filter(({ ok }) => ok).map(jsonOf))), ...replies]
      expect(new Set(bodies.map(({ lilypad }) => lilypad.job_id)).size).toBe(1)
      await settle()
      const cost = parseTokenAmount(bodies[0].lilypad.cost.amount)
      expect(await balanceOf(buyer.address)).toBe(buyer.amount - cost)
    },
  )

  test('a retry at the other gateway is not told a second price', async () => {
    const body = chat('!wait 900')
    const { buyer, payment } = await pay(second.url, body)
    const first = send(base.url, payment, body)
    await eventually(async () => ((await post(second.url, path, undefined, body)).status === 409 ? true : undefined))
    expect((await first).status).toBe(200)
    await settle()
    expect(await balanceOf(buyer.address)).toBeGreaterThan(0n)
  })

  test('change goes back once, whichever gateway closes the payment', async () => {
    const bodies = Array.from({ length: 6 }, (_, index) => chat(`number ${index}`))
    const paid = await Promise.all(bodies.map((body, index) => pay(index % 2 ? base.url : second.url, body)))
    const costs = await Promise.all(
      paid.map(async ({ payment }, index) => {
        const reply = await jsonOf(send(index % 2 ? second.url : base.url, payment, bodies[index]))
        return parseTokenAmount(reply.lilypad.cost.amount)
      }),
    )
    await settle()
    for (const [index, { buyer }] of paid.entries())
      expect(await balanceOf(buyer.address)).toBe(buyer.amount - (costs[index] ?? 0n))
  })
})
