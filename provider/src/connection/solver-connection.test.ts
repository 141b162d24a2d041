import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  accessType,
  connectionSubject,
  createSigner,
  type ProviderFrame,
  sha256,
  type SolverFrame,
} from '@lilypad-agents/protocol'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type WebSocket, WebSocketServer } from 'ws'
import { SolverConnection, type WorkFrame } from './solver-connection.ts'

const signer = createSigner(`0x${'1'.repeat(64)}`)
const vault = `0x${'aa'.repeat(20)}` as const
const domain = { chainId: 1, vault }
const solver = `0x${'33'.repeat(20)}` as const
const challenge: SolverFrame = {
  type: 'challenge',
  challenge: sha256('challenge'),
  solver,
  chainId: 1,
  jobVault: vault,
}

let http: Server
let server: WebSocketServer
let sockets: WebSocket[]
let received: ProviderFrame[]
let greeting: SolverFrame
let connection: SolverConnection
let ready: string[]
let frames: WorkFrame[]

beforeEach(async () => {
  ;[sockets, received, ready, frames, greeting] = [[], [], [], [], challenge]
  http = createServer()
  server = new WebSocketServer({ server: http, path: '/provider' })
  server.on('connection', (socket) => {
    sockets.push(socket)
    socket.on('message', (data) => received.push(JSON.parse(String(data))))
    socket.send(JSON.stringify(greeting))
  })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  connection = new SolverConnection({
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/`,
    domain,
    signer,
    log: pino({ level: 'silent' }),
    onReady: (address) => ready.push(address),
    onFrame: (frame) => frames.push(frame),
    backoff: { baseMilliseconds: 20 },
    heartbeatSeconds: 0.1,
  })
  connection.start()
})
afterEach(async () => {
  await connection.close()
  for (const socket of sockets) socket.terminate()
  server.close()
  http.close()
})
const say = (frame: SolverFrame | string) =>
  sockets.at(-1)?.send(typeof frame === 'string' ? frame : JSON.stringify(frame))
const expired = (text: string): SolverFrame => ({ type: 'expired', orderHash: sha256(text) })

test('signs the challenge, and works once it is welcome', async () => {
  await expect.poll(() => received.length).toBe(1)
  const [hello] = received
  expect(hello).toMatchObject({ type: 'hello', provider: signer.address })
  if (hello?.type !== 'hello') return
  expect(
    accessType.findSigner(
      domain,
      { subject: connectionSubject({ challenge: sha256('challenge'), solver }), validUntil: hello.validUntil },
      hello.signature,
    ),
  ).toBe(signer.address)
  say(expired('too early'))
  expect(connection.send({ type: 'accepted', orderHash: sha256('too early') })).toBe(false)
  say({ type: 'welcome' })
  say({ type: 'welcome' })
  say('not a frame')
  say({ type: 'error', code: 'INTERNAL', message: 'oops' })
  say(expired('work'))
  await expect.poll(() => frames).toEqual([expired('work')])
  expect(ready).toEqual([solver])
  expect(connection.send({ type: 'accepted', orderHash: sha256('work') })).toBe(true)
  await expect.poll(() => received.at(-1)).toEqual({ type: 'accepted', orderHash: sha256('work') })
})

test('comes back after the line broke, and says so', async () => {
  for (const count of [1, 2, 3]) {
    await expect.poll(() => received.length).toBe(count)
    say({ type: 'welcome' })
    await expect.poll(() => ready.length).toBe(count)
    sockets.at(-1)?.terminate()
  }
})

test('notices a line that died without a word', async () => {
  await expect.poll(() => received.length).toBe(1)
  say({ type: 'welcome' })
  await expect.poll(() => ready.length).toBe(1)
  sockets.at(-1)?.pause()
  await expect.poll(() => sockets.length, { timeout: 5000 }).toBe(2)
})

test.each([
  ['chain', { ...challenge, chainId: 2 }],
  ['vault', { ...challenge, jobVault: solver }],
])('signs nothing for another %s', async (_name, other) => {
  greeting = other
  sockets.at(-1)?.terminate()
  await expect.poll(() => sockets.length, { timeout: 5000 }).toBeGreaterThan(2)
  expect(received.length).toBeLessThanOrEqual(1)
  expect(ready).toEqual([])
})

test('does not fight for the connection with another process of the same key', async () => {
  await expect.poll(() => received.length).toBe(1)
  say({ type: 'welcome' })
  await expect.poll(() => ready.length).toBe(1)
  sockets.at(-1)?.close(4001, 'replaced')
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(sockets).toHaveLength(1)
})
