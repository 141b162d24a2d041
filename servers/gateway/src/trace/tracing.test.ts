import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { afterEach, expect, test } from 'vitest'
import { createTracing } from './tracing.ts'

const traceId = '0af7651916cd43dd8448eb211c80319c'
const parent = `00-${traceId}-b7ad6b7169203331-01`
const undo: (() => unknown)[] = []
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

async function listen(handler: Parameters<typeof createServer>[1]): Promise<string> {
  const server = createServer(handler)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  undo.push(() => new Promise((resolve) => server.close(resolve).closeAllConnections()))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A gateway of one route that asks a solver, with what the solver and a collector got. */
async function start(hasCollector: boolean) {
  const asked: IncomingHttpHeaders[] = []
  // biome-ignore lint/suspicious/noExplicitAny: what a collector gets, as it comes
  const spans: any[] = []
  const solver = await listen((request, response) => {
    asked.push(request.headers)
    response.end('{}')
  })
  const collector = await listen(async (request, response) => {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece)
    const { resourceSpans } = JSON.parse(Buffer.concat(pieces).toString())
    for (const { scopeSpans } of resourceSpans) for (const scope of scopeSpans) spans.push(...scope.spans)
    response.end('{}')
  })
  const tracing = await createTracing(hasCollector ? collector : undefined)
  const app = express()
  app.use(tracing.middleware)
  app.get('/ask/:what', async (_request, response) => {
    await new Promise((resolve) => setTimeout(resolve, 5))
    await tracing.fetch(`${solver}/quotes`, { method: 'POST', headers: { 'content-type': 'application/json' } })
    response.json({})
  })
  return { url: await listen(app), asked, spans, tracing }
}

test('the trace of a request goes on to the solver, also where nobody collects it', async () => {
  const { url, asked } = await start(false)
  await fetch(`${url}/ask/x`, { headers: { traceparent: parent, tracestate: 'frog=1' } })
  expect(asked[0]).toMatchObject({ traceparent: parent, tracestate: 'frog=1', 'content-type': 'application/json' })
})

test('without a trace, or with one that is none, nothing is sent', async () => {
  const { url, asked } = await start(false)
  await fetch(`${url}/ask/x`)
  await fetch(`${url}/ask/x`, { headers: { traceparent: '00-zz-zz-01' } })
  expect(asked.map(({ traceparent }) => traceparent)).toEqual([undefined, undefined])
})

test('a collector gets the spans of both sides, with the route and not what a caller wrote', async () => {
  const { url, asked, spans, tracing } = await start(true)
  await fetch(`${url}/ask/secret-frog`, { headers: { traceparent: parent } })
  await tracing.close()
  const [client, server] = spans.sort((a, b) => a.name.localeCompare(b.name)).reverse()
  expect([client.name, server.name]).toEqual(['POST solver', 'GET /ask/:what'])
  expect([client.traceId, server.traceId, server.parentSpanId]).toEqual([traceId, traceId, 'b7ad6b7169203331'])
  expect(client.parentSpanId).toBe(server.spanId)
  expect(asked[0]?.traceparent).toBe(`00-${traceId}-${client.spanId}-01`)
  expect(JSON.stringify(spans)).not.toContain('secret-frog')
})
