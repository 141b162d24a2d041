import { mkdtempSync, rmSync } from 'node:fs'
import { request as send } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startMcpHttp } from '../src/index.ts'
import { seedConfig } from './seed-jobs.ts'

const folder = mkdtempSync(join(tmpdir(), 'lilypad-mcp-hostile-'))
let server: Awaited<ReturnType<typeof startMcpHttp>>
beforeAll(async () => {
  server = await startMcpHttp(seedConfig(join(folder, 'state')))
})
afterAll(async () => {
  await server?.close()
  rmSync(folder, { recursive: true, force: true })
})

const modern = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
}
const message = (method: string, params: Record<string, unknown> = {}) =>
  JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { _meta: modern, ...params } })
const headersOf = (method: string, name?: string) => ({
  'mcp-protocol-version': '2026-07-28',
  'mcp-method': method,
  ...(name ? { 'mcp-name': name } : {}),
})
type Answer = { readonly status: number; readonly body: string; readonly cpuMs: number }

/** Posts with headers that fetch would not send. */
function post(body: string | Buffer, headers: Record<string, string> = {}, method = 'POST'): Promise<Answer> {
  const { port } = new URL(server.url)
  // The server is in this process, and what it uses does not depend on what else the machine does.
  const before = process.cpuUsage()
  return new Promise((resolve, reject) => {
    const outgoing = send(
      {
        host: '127.0.0.1',
        port,
        path: '/mcp',
        method,
        headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
      },
      (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk
        })
        response.on('end', () => {
          const { user, system } = process.cpuUsage(before)
          resolve({ status: response.statusCode ?? 0, body: text, cpuMs: (user + system) / 1000 })
        })
      },
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}
const isAlive = async () => (await fetch(new URL('/health', server.url))).status === 200
const deep = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`

describe('P6: who may ask', () => {
  test.each(['evil.example', 'evil.example:80', '127.0.0.1.evil.example', 'localhost.evil.example', '0.0.0.0', '[::]'])(
    'host %s is refused',
    async (host) => expect((await post(message('tools/list'), { host, ...headersOf('tools/list') })).status).toBe(403),
  )
  test.each(['http://evil.example', 'null', 'file://', 'chrome-extension://abc', 'https://127.0.0.1.evil.example', ''])(
    'origin %j is refused on every method',
    async (origin) => {
      for (const method of ['POST', 'GET', 'DELETE', 'OPTIONS']) {
        const { status } = await post(method === 'POST' ? message('tools/list') : '', { origin }, method)
        // An empty value is none: some clients send the header without one.
        if (origin !== '') expect(status, method).toBe(403)
      }
    },
  )
  test.each(['http://localhost:3000', 'http://127.0.0.1', 'http://[::1]:8080'])('origin %s is ours', async (origin) => {
    const { status } = await post(message('tools/list'), { origin, ...headersOf('tools/list') })
    expect(status).toBe(200)
  })
})

describe('P7: what comes in', () => {
  test('it answers what is right', async () => {
    const { status, body } = await post(message('tools/list'), headersOf('tools/list'))
    expect(status).toBe(200)
    expect(JSON.parse(body)).toMatchObject({ result: { resultType: 'complete' } })
  })

  const call = (args: unknown) => message('tools/call', { name: 'lilypad_get_job', arguments: args })
  test.each<[string, () => [string | Buffer, Record<string, string>], number, RegExp]>([
    ['another method in the header', () => [message('tools/list'), headersOf('tools/call')], 400, /-32020/],
    ['another name in the header', () => [call({}), headersOf('tools/call', 'lilypad_get_wallet')], 400, /-32020/],
    ['no method in the header', () => [message('tools/list'), { 'mcp-protocol-version': '2026-07-28' }], 400, /-320/],
    [
      'another revision in the header',
      () => [message('tools/list'), { ...headersOf('tools/list'), 'mcp-protocol-version': '2025-11-25' }],
      400,
      /-320/,
    ],
    [
      'a name that is not base64 though it says so',
      () => [call({}), headersOf('tools/call', '=?base64?%%%?=')],
      400,
      /-320/,
    ],
    ['6 MiB', () => [Buffer.alloc(6 * 1024 * 1024, 0x20), {}], 413, /exceeds/],
    ['6 MiB of one text', () => [`{"a":"${'x'.repeat(6 * 1024 * 1024)}"}`, {}], 413, /exceeds/],
    ['10,000 levels', () => [deep(10_000), {}], 400, /-32/],
    [
      '10,000 levels in arguments',
      () => [call({ job_id: JSON.parse(deep(3000)) }), headersOf('tools/call', 'lilypad_get_job')],
      400,
      /nested/,
    ],
    ['no JSON', () => ['{', {}], 400, /-32700/],
    ['nothing', () => ['', {}], 400, /-32700/],
    ['not UTF-8', () => [Buffer.from([0xff, 0xfe, 0x7b]), {}], 400, /-32700/],
    ['a number', () => ['7', {}], 400, /-32/],
    ['an unknown method', () => [message('no/such'), headersOf('no/such')], 404, /-32601/],
    ['a form', () => ['a=b', { 'content-type': 'application/x-www-form-urlencoded' }], 415, /Content-Type/],
    [
      'a schema of others among the arguments',
      () => [
        call({ $ref: 'http://127.0.0.1:1/x', job_id: { $ref: 'http://127.0.0.1:1/x' } }),
        headersOf('tools/call', 'lilypad_get_job'),
      ],
      200,
      /INVALID_REQUEST/,
    ],
    ['a method of objects', () => [message('__proto__'), headersOf('__proto__')], 404, /-32601/],
    [
      'a tool of objects',
      () => [message('tools/call', { name: 'constructor', arguments: {} }), headersOf('tools/call', 'constructor')],
      200,
      /-32602/,
    ],
    [
      'no capabilities',
      () => [
        JSON.stringify({
          jsonrpc: '2.0',
          id: 1,
          method: 'tools/list',
          params: { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } },
        }),
        headersOf('tools/list'),
      ],
      400,
      /-32602/,
    ],
    [
      'a session that is none',
      () => ['{"jsonrpc":"2.0","id":1,"method":"ping"}', { 'mcp-session-id': 'guess' }],
      404,
      /Session/,
    ],
  ])('%s gets the right answer, soon', async (_what, make, status, words) => {
    const [body, headers] = make()
    // The first of its kind may compile; the second is measured.
    await post(body, headers)
    const answer = await post(body, headers)
    expect(answer.status, answer.body.slice(0, 300)).toBe(status)
    expect(answer.body).toMatch(words)
    expect(answer.cpuMs).toBeLessThan(body.length > 1_000_000 ? 1000 : 100)
    expect(await isAlive()).toBe(true)
  })

  test('sessions are bounded: the oldest gives way', async () => {
    const open = async () => {
      const response = await fetch(server.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
        body: JSON.stringify({
          jsonrpc: '2.0',
          id: 1,
          method: 'initialize',
          params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } },
        }),
      })
      await response.text()
      return response.headers.get('mcp-session-id') ?? ''
    }
    const first = await open()
    expect(first).toMatch(/^[0-9a-f-]{36}$/)
    const ping = (id: string) =>
      post('{"jsonrpc":"2.0","id":2,"method":"ping"}', { 'mcp-session-id': id, 'mcp-protocol-version': '2025-11-25' })
    expect((await ping(first)).status).toBe(200)
    for (let count = 0; count < 100; count++) await open()
    expect((await ping(first)).status).toBe(404)
    const last = await open()
    expect((await post('', { 'mcp-session-id': last }, 'DELETE')).status).toBe(200)
    expect((await ping(last)).status).toBe(404)
  })
})

test('who wants to be told about tasks hears at once that it will not be: they are polled', async () => {
  const body = message('subscriptions/listen', { notifications: { taskIds: [`0x${'1'.repeat(64)}`] } })
  const answer = await post(body, headersOf('subscriptions/listen'))
  expect(answer.status).toBe(200)
  const messages = [...answer.body.matchAll(/^data: (.*)$/gm)].map(([, json = '']) => JSON.parse(json))
  expect(messages).toMatchObject([
    { method: 'notifications/subscriptions/acknowledged', params: { notifications: {} } },
    { id: 1, result: { resultType: 'complete' } },
  ])
})

describe('P8: a call that is given up', () => {
  test('a caller that hangs up ends the wait', async () => {
    const stop = new AbortController()
    const name = 'lilypad_get_job'
    const pending = fetch(server.url, {
      method: 'POST',
      signal: stop.signal,
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...headersOf('tools/call', name),
      },
      body: message('tools/call', { name, arguments: { job_id: `0x${'1'.repeat(64)}`, wait_s: 50 } }),
    })
    stop.abort()
    await expect(pending).rejects.toThrow()
    expect(await isAlive()).toBe(true)
  })
})
