import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { serverManifest, serverProgram } from '../../../provider/fixtures/server-manifest.ts'
import { startTestGateway, post, type TestGateway } from './test-gateway.ts'
import { getBalance } from '../src/account/account.ts'
import { requests } from '../src/db/schema.ts'
import { openDatabase } from '../src/db/open-database.ts'
import { join } from 'node:path'

let gateway: TestGateway
beforeAll(async () => {
  const server = { idleSeconds: 60, maxOutputUnits: 256, concurrency: 32 }
  gateway = await startTestGateway({ models: [{ ...serverManifest({ server }), program: serverProgram }] })
})
afterAll(() => gateway?.close())

const streams = 20

test('a gateway that closes ends every stream whole, and tells who comes to come again', async () => {
  const { key, accountId } = await gateway.openAccount()
  const { url } = gateway
  const ask = (content: string) =>
    post(url, '/v1/chat/completions', key, {
      ...{ model: 'parrot', stream: true, max_tokens: 100 },
      messages: [{ role: 'user', content }],
    })
  const open = await Promise.all(Array.from({ length: streams }, () => ask('!steadily 60')))
  const texts = open.map((response) => response.text())
  const closing = gateway.gateway.close()

  const late = await ask('too late')
  expect([late.status, late.headers.get('retry-after')]).toEqual([503, '1'])
  expect((await fetch(`${url}/ready`)).status).toBe(503)
  expect((await fetch(`${url}/health`)).status).toBe(200)

  for (const text of await Promise.all(texts)) {
    expect(text).toContain('w59')
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true)
  }
  await closing
  await expect(fetch(`${url}/health`)).rejects.toThrow()

  // Each is charged: nothing is left for the next start.
  const { database, close } = await openDatabase({ directory: join(gateway.folder, 'db') })
  const rows = await database.select().from(requests).where(eq(requests.accountId, accountId))
  expect(rows.map(({ state, outputUnits }) => [state, outputUnits])).toEqual(
    Array.from({ length: streams }, () => ['charged', 60]),
  )
  expect((await getBalance(database, accountId)).reserved).toBe(0n)
  await close()
}, 60_000)
