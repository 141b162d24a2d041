import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseTokenAmount } from '@lilypad-agents/sdk'
import type { Client } from '@modelcontextprotocol/client'
import { afterAll, describe, expect, test } from 'vitest'
import { addToken, revokeToken, type StoredToken } from '../src/auth/token-file.ts'
import type { McpConfig } from '../src/config/config.ts'
import type { HttpConfig } from '../src/config/http-settings.ts'
import { startMcpHttp } from '../src/index.ts'
import { bundleFile, callRefused, callTool, connectHttp, eras } from './clients.ts'
import { postModern } from './modern-call.ts'
import { seedConfig, seedJobs, seedNetwork } from './seed-jobs.ts'

const folder = mkdtempSync(join(tmpdir(), 'lilypad-mcp-principals-'))
const closers: (() => Promise<void>)[] = []
let folders = 0
afterAll(async () => {
  for (const close of closers) await close()
  rmSync(folder, { recursive: true, force: true })
})

const toHttp = (place: string, change: Partial<HttpConfig> = {}): HttpConfig => ({
  host: '127.0.0.1',
  allowedHosts: [],
  allowedOrigins: [],
  auth: { kind: 'token', file: join(place, 'tokens.json') },
  trustedProxies: 0,
  requestsPerMinute: 100_000,
  principalsDirectory: join(place, 'principals'),
  principalWallet: 'shared',
  principalLimits: { perDay: parseTokenAmount('1'), total: parseTokenAmount('10') },
  ...change,
})
const entry = (name: string, change: Partial<StoredToken> = {}): Omit<StoredToken, 'sha256'> => ({
  name,
  scopes: ['lilypad:read', 'lilypad:spend'],
  limits: {},
  createdAt: 1_700_000_000,
  ...change,
})

/** A server with tokens, in a folder of its own. */
async function start(change: Partial<HttpConfig> = {}, config: Partial<McpConfig> = {}) {
  const place = join(folder, String(folders++))
  const tokenFile = join(place, 'tokens.json')
  const alice = addToken(tokenFile, entry('alice'))
  const bob = addToken(tokenFile, entry('bob'))
  const reader = addToken(tokenFile, entry('reader', { scopes: ['lilypad:read'] }))
  const [job = ''] = await seedJobs(join(place, 'principals', 'alice', 'state'), [{}])
  const server = await startMcpHttp(
    seedConfig(join(place, 'state'), { outputDirectory: join(place, 'out'), http: toHttp(place, change), ...config }),
  )
  closers.push(server.close)
  const audit = (name: 'audit' | 'refused' = 'audit') =>
    readFileSync(join(place, 'state', `${name}.jsonl`), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line): Record<string, unknown> => JSON.parse(line))
  return { url: server.url, place, tokenFile, alice, bob, reader, job, audit }
}

const modern = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': { extensions: { 'io.modelcontextprotocol/tasks': {} } },
}
const initialize = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } },
}

function post(url: string, token: string | undefined, body: unknown, headers: Record<string, string> = {}) {
  return fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    body: JSON.stringify(body),
  })
}
async function ask(url: string, token: string | undefined, method: string, params: Record<string, unknown> = {}) {
  const name = params.name ?? params.taskId ?? params.uri
  const response = await post(
    url,
    token,
    { jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: modern } },
    {
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(typeof name === 'string' ? { 'mcp-name': name } : {}),
    },
  )
  const text = await response.text()
  const json = /^data: (.*)$/m.exec(text)?.[1] ?? text
  return { status: response.status, headers: response.headers, body: JSON.parse(json), text }
}

describe('P6: how it may be reached', () => {
  test.each<[string, Partial<HttpConfig>, RegExp]>([
    ['every address without a login', { host: '0.0.0.0', auth: { kind: 'none' } }, /Login: none/],
    ['every address of IPv6 without a login', { host: '::', auth: { kind: 'none' } }, /Login: none/],
    [
      'every address without a login, with names',
      { host: '0.0.0.0', allowedHosts: ['a.example'], auth: { kind: 'none' } },
      /Login: none/,
    ],
    ['every address without names', { host: '0.0.0.0' }, /Hosts: none named/],
    [
      'a public name on loopback without a login',
      { allowedHosts: ['a.example'], auth: { kind: 'none' } },
      /Login: none/,
    ],
    [
      'a public address on loopback without a login',
      { publicUrl: 'https://a.example/mcp', auth: { kind: 'none' } },
      /Login: none/,
    ],
    ['a name that only looks like loopback', { host: '127.0.0.1.evil.example' }, /Hosts: none named/],
    [
      'tokens over plain http',
      { allowedHosts: ['a.example'], publicUrl: 'http://a.example/mcp' },
      /use https|public-url/,
    ],
    [
      'OAuth without an address for its tokens',
      { host: '0.0.0.0', allowedHosts: ['a.example'], auth: { kind: 'oauth', issuer: 'https://issuer.example' } },
      /--public-url/,
    ],
  ])('%s is refused before anything is opened', async (_what, change, words) => {
    const place = join(folder, String(folders++))
    const started = startMcpHttp(seedConfig(join(place, 'state'), { http: toHttp(place, change) }))
    await expect(started).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    await expect(started.catch((error) => [...error.details, error.hint].join(' '))).resolves.toMatch(words)
  })

  test('named hosts and pages are let in, others are not, and browsers are told so', async () => {
    const { url, alice } = await start({ allowedHosts: ['mcp.example.com'], allowedOrigins: ['app.example.com'] })
    const { port } = new URL(url)
    const status = (head: string): Promise<string> =>
      new Promise((resolve, reject) => {
        const socket = connect(Number(port), '127.0.0.1')
        let text = ''
        socket.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk
        })
        socket.on('end', () => resolve(text)).on('error', reject)
        socket.write(`${head}\r\nAuthorization: Bearer ${alice}\r\nConnection: close\r\n\r\n`)
      })
    for (const host of ['mcp.example.com', 'mcp.example.com:443', 'localhost'])
      expect(await status(`GET /mcp HTTP/1.1\r\nHost: ${host}`), host).toMatch(/^HTTP\/1.1 405/)
    for (const host of ['evil.example', 'mcp.example.com.evil.example', '0.0.0.0'])
      for (const path of ['/mcp', '/health', '/.well-known/oauth-protected-resource'])
        expect(await status(`GET ${path} HTTP/1.1\r\nHost: ${host}`), host).toMatch(/^HTTP\/1.1 403/)
    for (const origin of ['null', 'https://evil.example', 'https://app.example.com.evil.example', 'file://'])
      expect(await status(`OPTIONS /mcp HTTP/1.1\r\nHost: localhost\r\nOrigin: ${origin}`), origin).toMatch(
        /^HTTP\/1.1 403/,
      )
    const preflight = await status('OPTIONS /mcp HTTP/1.1\r\nHost: localhost\r\nOrigin: https://app.example.com')
    expect(preflight).toMatch(/^HTTP\/1.1 204/)
    expect(preflight).toMatch(/access-control-allow-origin: https:\/\/app.example.com\r\n/i)
    expect(preflight).toMatch(/access-control-allow-headers: authorization/i)
    const local = await status('OPTIONS /mcp HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost:3000')
    expect(local).not.toMatch(/access-control-allow-origin/i)
    const { headers, body } = await ask(url, alice, 'tools/list')
    expect(body.result.tools.length).toBeGreaterThan(5)
    expect(headers.get('access-control-allow-origin')).toBeNull()
    const fromPage = await post(url, alice, initialize, { origin: 'https://app.example.com' })
    expect(fromPage.headers.get('access-control-allow-origin')).toBe('https://app.example.com')
    expect(fromPage.headers.get('mcp-session-id')).toMatch(/./)
    await fromPage.body?.cancel()
  })
})

describe('tokens', () => {
  test.each(eras)('a client of the %s era works with its token', async (era) => {
    const { url, alice, job } = await start()
    const client = await connectHttp(url, era, alice)
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('lilypad_run_job')
    expect((await callTool(client, 'lilypad_list_jobs')).structuredContent).toMatchObject({ jobs: [{ job_id: job }] })
    await client.close()
  })

  test('without a right one nothing is answered, and the log says who tried, not with what', async () => {
    const { url, alice, tokenFile, audit } = await start()
    const ended = addToken(tokenFile, entry('ended', { expiresAt: 1_700_000_001 }))
    for (const token of [undefined, 'guess', `${alice}x`, alice.slice(0, -1), 'lilypad_', ended]) {
      const { status, headers, text } = await ask(url, token, 'tools/list')
      expect(status, text).toBe(401)
      expect(headers.get('www-authenticate')).toMatch(/^Bearer error="invalid_token"/)
      expect(text).not.toContain('lilypad_search')
    }
    for (const authorization of ['', 'Basic YTpi', 'Bearer', `Bearer ${alice} ${alice}`, `bearer  a b`]) {
      const response = await post(url, undefined, initialize, { authorization })
      expect(response.status, authorization).toBe(401)
      expect(response.headers.get('mcp-session-id')).toBeNull()
    }
    expect((await fetch(url, { headers: { 'mcp-session-id': 'guess' } })).status).toBe(401)
    const lines = audit('refused')
    expect(lines).toHaveLength(12)
    expect(lines[0]).toEqual({
      time: expect.any(String),
      event: 'refused',
      address: '127.0.0.1',
      code: 'INVALID_TOKEN',
    })
    for (const secret of [alice, ended, 'guess', 'YTpi']) expect(JSON.stringify(lines)).not.toContain(secret)
    // Without OAuth there is nobody to lead to.
    expect((await fetch(new URL('/.well-known/oauth-protected-resource/mcp', url))).status).toBe(404)
    expect((await fetch(new URL('/health', url))).status).toBe(200)
  })

  test('one that may only read cannot spend, whatever it calls it', async () => {
    const { url, reader, audit } = await start()
    const { body } = await ask(url, reader, 'tools/list')
    expect(body.result.tools.map(({ name }: { name: string }) => name)).not.toContain('lilypad_run_job')
    const handle = `0x${'1'.repeat(64)}`
    for (const [method, params] of [
      ['tools/call', { name: 'lilypad_run_job', arguments: { quote_id: handle } }],
      ['tools/call', { name: 'lilypad_cancel_job', arguments: { job_id: handle } }],
      ['tools/call', { name: 'lilypad_save_outputs', arguments: { job_id: handle } }],
      ['tasks/cancel', { taskId: handle }],
    ] as const) {
      const { status, headers } = await ask(url, reader, method, params)
      expect(status, method).toBe(403)
      expect(headers.get('www-authenticate')).toContain('error="insufficient_scope"')
      expect(headers.get('www-authenticate')).toContain('scope="lilypad:read lilypad:spend"')
    }
    // Also not by hiding the call in a session or among others.
    const call = { jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'lilypad_run_job', arguments: {} } }
    expect((await post(url, reader, call)).status).toBe(403)
    expect((await post(url, reader, [{ jsonrpc: '2.0', id: 1, method: 'ping' }, call])).status).toBe(403)
    expect((await ask(url, reader, 'tools/call', { name: 'lilypad_list_jobs', arguments: {} })).status).toBe(200)
    expect(
      audit('refused').every(({ code, principal }) => code === 'INSUFFICIENT_SCOPE' && principal === 'reader'),
    ).toBe(true)
  })

  test('one that is revoked is refused at once, and its open streams end', async () => {
    const { url, alice, bob, tokenFile } = await start()
    const opened = await post(url, alice, initialize)
    const session = opened.headers.get('mcp-session-id') ?? ''
    await opened.text()
    const stream = await fetch(url, {
      headers: { authorization: `Bearer ${alice}`, accept: 'text/event-stream', 'mcp-session-id': session },
    })
    expect(stream.status).toBe(200)
    revokeToken(tokenFile, 'alice')
    expect((await ask(url, alice, 'tools/list')).status).toBe(401)
    await expect(stream.text()).rejects.toThrow()
    expect((await ask(url, bob, 'tools/list')).status).toBe(200)
  })

  test('are added, listed and revoked by a command that shows each once', () => {
    const state = join(folder, String(folders++))
    const run = (...args: string[]) =>
      execFileSync(process.execPath, [bundleFile, 'token', ...args, '--state-dir', state], {
        env: {},
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      })
    const token = run('add', 'alice', '--max-per-day', '0.5', '--expires-in-days', '30', '--own-key').trim()
    expect(token).toMatch(/^lilypad_[\w-]{43}$/)
    expect(readFileSync(join(state, 'principals', 'alice', 'key'), 'utf8')).toMatch(/^0x[0-9a-f]{64}\n$/)
    expect(run('list')).toMatch(/^alice {2}lilypad:read lilypad:spend {2}perDay 0.5 {2}until 20\d\d-/)
    expect(run('list')).not.toContain(token.slice(8))
    expect(() => run('add', 'alice')).toThrow(/CONFIG_INVALID/)
    expect(() => run('add', '../bob')).toThrow(/CONFIG_INVALID/)
    expect(run('revoke', 'alice')).toMatch(/alice is revoked/)
    expect(run('list')).toMatch(/^There is no token in .*tokens\.json\.$/m)
  })
})

describe('S8: principals', () => {
  test.each(eras)('see nothing of each other in the %s era', async (era) => {
    const { url, alice, bob, job } = await start()
    const [one, other]: Client[] = await Promise.all([connectHttp(url, era, alice), connectHttp(url, era, bob)])
    if (!one || !other) throw new Error('not connected')
    expect((await callTool(one, 'lilypad_get_job', { job_id: job })).structuredContent).toMatchObject({ job_id: job })
    expect((await one.readResource({ uri: `lilypad://jobs/${job}` })).contents).toHaveLength(1)
    for (const tool of ['get_job', 'get_outputs', 'verify_job', 'cancel_job', 'save_outputs'])
      expect((await callRefused(other, `lilypad_${tool}`, { job_id: job })).code, tool).toBe('JOB_UNKNOWN')
    expect((await callRefused(other, 'lilypad_run_job', { quote_id: job })).code).toBe('QUOTE_UNKNOWN')
    expect((await callTool(other, 'lilypad_list_jobs')).structuredContent).toMatchObject({ jobs: [], spend_total: '0' })
    for (const suffix of ['', '/logs', '/manifest', '/receipt', '/outputs/out.txt'])
      await expect(other.readResource({ uri: `lilypad://jobs/${job}${suffix}` }), suffix).rejects.toMatchObject({
        code: -32602,
      })
    await expect(
      other.complete({
        ref: { type: 'ref/resource', uri: 'lilypad://jobs/{id}' },
        argument: { name: 'id', value: '0x' },
      }),
    ).resolves.toMatchObject({ completion: { values: [] } })
    await Promise.all([one.close(), other.close()])
  })

  test('cannot name the tasks of each other', async () => {
    const { url, alice, bob, job } = await start()
    expect((await ask(url, alice, 'tasks/get', { taskId: job })).body.result).toMatchObject({ taskId: job })
    for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel'])
      expect((await ask(url, bob, method, { taskId: job })).body.error.code, method).toBe(-32602)
  })

  test('cannot use the sessions of each other, nor end them', async () => {
    const { url, alice, bob } = await start()
    const opened = await post(url, alice, initialize)
    const session = opened.headers.get('mcp-session-id') ?? ''
    await opened.text()
    const ping = { jsonrpc: '2.0', id: 2, method: 'ping' }
    const headers = { 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25' }
    const withToken = (token: string) => ({
      headers: { ...headers, authorization: `Bearer ${token}`, accept: 'text/event-stream' },
    })
    expect((await post(url, bob, ping, headers)).status).toBe(404)
    expect((await fetch(url, withToken(bob))).status).toBe(404)
    expect((await fetch(url, { method: 'DELETE', ...withToken(bob) })).status).toBe(404)
    expect((await post(url, alice, ping, headers)).status).toBe(200)
  })

  test('what each may spend of one wallet is bounded, also together', async () => {
    const { url, tokenFile, alice, bob, reader } = await start({
      principalLimits: { perDay: parseTokenAmount('6'), total: parseTokenAmount('60') },
    })
    const carol = addToken(
      tokenFile,
      entry('carol', { limits: { perJob: parseTokenAmount('0.25'), perDay: parseTokenAmount('0.5') } }),
    )
    const policyOf = async (token: string) => {
      const { body } = await ask(url, token, 'resources/read', { uri: 'lilypad://docs/policy' })
      return String(body.result.contents[0].text)
    }
    // The wallet allows 10 a day and 100 in all.
    expect(await policyOf(alice)).toMatch(/\b6 LILY/)
    expect(await policyOf(bob)).toMatch(/\b4 LILY/)
    const tools = async (token: string) =>
      (await ask(url, token, 'tools/list')).body.result.tools.map(({ name }: { name: string }) => name)
    expect(await tools(bob)).toContain('lilypad_run_job')
    expect(await tools(carol)).not.toContain('lilypad_run_job')
    expect(await tools(reader)).not.toContain('lilypad_run_job')
  })
})

describe('too much', () => {
  test('requests are refused with the time to wait, for each principal and each address', async () => {
    const { url, alice, bob } = await start({ requestsPerMinute: 40 })
    const statuses: number[] = []
    for (let count = 0; count < 12; count++) statuses.push((await ask(url, alice, 'tools/list')).status)
    expect(statuses).toEqual([...Array(10).fill(200), 429, 429])
    const { headers, body } = await ask(url, alice, 'tools/list')
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
    expect(body).toMatchObject({
      jsonrpc: '2.0',
      id: null,
      error: {
        message: 'Too many requests with this token.',
        data: { code: 'RATE_LIMITED', retryable: true, fix: /^wait \d+ s/ },
      },
    })
    expect((await ask(url, bob, 'tools/list')).status).toBe(200)
    // Guesses use up what the address may ask.
    const guesses: number[] = []
    for (let count = 0; count < 10; count++) guesses.push((await ask(url, 'guess', 'tools/list')).status)
    expect(guesses.slice(0, 4)).toEqual([401, 401, 401, 401])
    expect(guesses.at(-1)).toBe(429)
  })

  test('many messages in one request cost as much as many requests', async () => {
    const { url, alice } = await start({ requestsPerMinute: 40 })
    const ping = (id: number) => ({ jsonrpc: '2.0', id, method: 'ping' })
    const batch = Array.from({ length: 9 }, (_, id) => ping(id))
    await (await post(url, alice, batch)).text()
    const refused = await post(url, alice, batch)
    expect(refused.status).toBe(429)
    expect(await refused.json()).toMatchObject({ error: { message: 'Too many messages with this token.' } })
  })

  test('thousands of messages in one request are not answered', async () => {
    const { url, alice } = await start()
    const batch = Array.from({ length: 51 }, (_, id) => ({ jsonrpc: '2.0', id, method: 'ping' }))
    const refused = await post(url, alice, batch)
    expect([refused.status, await refused.text()]).toEqual([400, expect.stringContaining('more than 50 messages')])
  })

  test('sessions of a principal are bounded: its oldest gives way, not those of others', async () => {
    const { url, alice, bob } = await start()
    const open = async (token: string) => {
      const response = await post(url, token, initialize)
      await response.text()
      return response.headers.get('mcp-session-id') ?? ''
    }
    const ping = async (token: string, session: string) => {
      const headers = { 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25' }
      return (await post(url, token, { jsonrpc: '2.0', id: 2, method: 'ping' }, headers)).status
    }
    const first = await open(alice)
    const of = await open(bob)
    for (let count = 0; count < 20; count++) await open(alice)
    expect(await ping(alice, first)).toBe(404)
    expect(await ping(bob, of)).toBe(200)
  })

  test('streams at once are bounded, and one that ends makes room', async () => {
    const { url, alice, bob } = await start()
    const sessions: string[] = []
    for (let count = 0; count < 16; count++) {
      const response = await post(url, alice, initialize)
      await response.text()
      sessions.push(response.headers.get('mcp-session-id') ?? '')
    }
    const stop = new AbortController()
    const open = (token: string) =>
      postModern(url, {
        method: 'subscriptions/listen',
        params: { notifications: { resourceSubscriptions: ['lilypad://ledger'] } },
        headers: { authorization: `Bearer ${token}` },
        signal: stop.signal,
      })
    for (const session of sessions) {
      const stream = await fetch(url, {
        signal: stop.signal,
        headers: { authorization: `Bearer ${alice}`, accept: 'text/event-stream', 'mcp-session-id': session },
      })
      expect(stream.status).toBe(200)
    }
    for (let count = 0; count < 16; count++) expect((await open(alice)).status).toBe(200)
    const refused = await open(alice)
    expect(refused.status).toBe(429)
    expect(await refused.text()).toMatch(/More than 32 requests at once/)
    expect((await ask(url, bob, 'tools/list')).status).toBe(200)
    stop.abort()
    await expect.poll(async () => (await ask(url, alice, 'tools/list')).status).toBe(200)
  })

  test('a client that sends its headers slowly is sent away', async () => {
    const { url } = await start()
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    socket.on('error', () => undefined)
    socket.write('POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-Slow: ')
    const startedAt = performance.now()
    const drip = setInterval(() => socket.write('a'), 300)
    await new Promise((resolve) => socket.once('close', resolve))
    clearInterval(drip)
    expect(performance.now() - startedAt).toBeLessThan(15_000)
  })
})

test('calls that change something are in the audit log, without what was said in them', async () => {
  const { url, alice, job, audit } = await start()
  const quote = `0x${'7'.repeat(64)}`
  const secret = 'my secret prompt'
  await ask(url, alice, 'tools/call', { name: 'lilypad_run_job', arguments: { quote_id: quote, note: secret } })
  await ask(url, alice, 'tools/call', { name: 'lilypad_run_job', arguments: { quote_id: quote } })
  await ask(url, alice, 'tools/call', { name: 'lilypad_get_job', arguments: { job_id: job } })
  await ask(url, alice, 'tasks/cancel', { taskId: job })
  const lines = audit().map(({ time, ...line }) => line)
  expect(lines).toEqual([
    {
      event: 'call',
      principal: 'alice',
      tool: 'lilypad_run_job',
      quoteId: quote,
      charged: 'none',
      code: 'INVALID_REQUEST',
    },
    {
      event: 'call',
      principal: 'alice',
      tool: 'lilypad_run_job',
      quoteId: quote,
      charged: 'none',
      code: 'QUOTE_UNKNOWN',
    },
    { event: 'call', principal: 'alice', tool: 'tasks/cancel', jobId: job, code: 'OK' },
  ])
  expect(JSON.stringify(audit())).not.toContain(secret)
})

test('the token goes to nobody: not to the solver, not to the chain', async () => {
  const seen: string[] = []
  const network = createServer((request, response) => {
    seen.push(JSON.stringify([request.url, request.rawHeaders]))
    request.on('data', (chunk: Buffer) => seen.push(chunk.toString()))
    request.on('end', () => response.writeHead(503).end('{}'))
  })
  await new Promise<void>((resolve) => network.listen(0, '127.0.0.1', resolve))
  const address = network.address()
  if (typeof address !== 'object' || !address) throw new Error('no address')
  const here = `http://127.0.0.1:${address.port}`
  const { url, alice } = await start({}, { network: { ...seedNetwork, solverUrl: here, rpcUrl: here } as never })
  for (const name of ['lilypad_search_modules', 'lilypad_get_wallet'])
    await ask(url, alice, 'tools/call', { name, arguments: {} })
  expect(seen.length).toBeGreaterThan(2)
  for (const text of [alice, alice.slice(8), 'authorization', 'Authorization'])
    expect(seen.join('\n')).not.toContain(text)
  network.closeAllConnections()
  await new Promise((resolve) => network.close(resolve))
})

test('a corrupted token file lets nobody in', async () => {
  const { url, alice, tokenFile } = await start()
  expect((await ask(url, alice, 'tools/list')).status).toBe(200)
  writeFileSync(tokenFile, '{"version":1,"tokens":[{}]}')
  const { status, body } = await ask(url, alice, 'tools/list')
  expect(status).toBe(500)
  expect(body.error.message).toMatch(/^Something went wrong here. Reference: /)
})
