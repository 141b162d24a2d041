import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type OpenApp, openApp } from '../../test/open-app.ts'
import type { GatewayContext } from '../context.ts'

const maxBodyBytes = 4 * 1024 ** 2
let app: OpenApp
const sockets: Socket[] = []

beforeAll(async () => {
  // Nothing is paid and no order is carried here.
  const x402 = { config: { isFacilitator: false }, relay: { solver: {} }, tokens: [] } as unknown as NonNullable<
    GatewayContext['x402']
  >
  const opened = await openApp()
  app = await openApp({ x402, database: opened.database, rules: { ...opened.context.rules, maxBodyBytes } })
  const { close } = app
  app.close = () => close().then(opened.close)
})
afterAll(async () => {
  for (const socket of sockets) socket.destroy()
  await app?.close()
})

/** Begins a request whose body never comes. */
function begin(headers: string): Promise<Socket> {
  const { port, hostname } = new URL(app.url)
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => {
      socket.write(
        `POST /v1/chat/completions HTTP/1.1\r\nhost: ${hostname}\r\ncontent-type: application/json\r\n${headers}\r\n\r\n`,
        () => resolve(socket),
      )
    })
    socket.once('error', reject)
    sockets.push(socket)
  })
}

const ask = (
  key?: string,
  body: string | Uint8Array<ArrayBuffer> = '{"model":"m"}',
  more: Readonly<Record<string, string>> = {},
) =>
  fetch(`${app.url}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...more,
    },
    body,
  }).then(({ status }) => status)

const full = `content-length: ${maxBodyBytes}`

test.each([
  ['says how long it is', full],
  ['is in pieces', 'transfer-encoding: chunked'],
  ['is packed', 'content-length: 4000\r\ncontent-encoding: gzip'],
])('what strangers send that %s is held up to a bound, and keys do not wait for it', async (_, headers) => {
  const { key } = await app.openAccount()
  expect(await ask()).not.toBe(429)
  const held = await Promise.all(Array.from({ length: 12 }, () => begin(headers)))
  await expect.poll(() => ask(undefined, ' '.repeat(maxBodyBytes - 1))).toBe(429)
  expect(await ask(key)).not.toBe(429)
  for (const socket of held) socket.destroy()
  await expect.poll(() => ask(undefined, ' '.repeat(maxBodyBytes - 1))).not.toBe(429)
})
