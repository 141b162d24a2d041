import { createServer, type RequestListener, type Server } from 'node:http'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { connectEngine } from './connect-engine.ts'

let folder: string
let socketPath: string
let server: Server

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lilypad-engine-'))
  socketPath = join(folder, 'engine.sock')
})
afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  await rm(folder, { recursive: true, force: true })
})

async function answerWith(listener: RequestListener) {
  server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  return connectEngine(socketPath).getContainer('one')
}

test.each<[string, string]>([
  ['before its first byte', ''],
  ['in the middle of it', '{"Status'],
])('a wait for the end of a container fails when the engine dies with the answer open, %s', async (_, begun) => {
  const container = await answerWith((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.flushHeaders()
    if (begun !== '') response.write(begun)
    setTimeout(() => response.destroy(), 50)
  })
  await expect(container.wait({ condition: 'next-exit' })).rejects.toMatchObject({ code: 'ECONNRESET' })
})

test('whole answers are values, empty ones are nothing, and refusals keep their status', async () => {
  const container = await answerWith((request, response) => {
    if (request.url?.endsWith('/json') === true) response.end('{"State":{"Running":true}}')
    else if (request.url?.includes('/start') === true) response.writeHead(204).end()
    else response.writeHead(409).end('{"message":"is being removed"}')
  })
  expect(await container.inspect()).toEqual({ State: { Running: true } })
  expect(String(await container.start())).toBe('')
  await expect(container.remove({ force: true })).rejects.toMatchObject({
    statusCode: 409,
    message: expect.stringContaining('is being removed'),
  })
})
