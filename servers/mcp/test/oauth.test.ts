import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  Client,
  type OAuthClientProvider,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from '@modelcontextprotocol/client'
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { principalOf } from '../src/auth/oauth-authenticator.ts'
import { startMcpHttp } from '../src/index.ts'
import { type AuthorizationServer, startAuthorizationServer, testClient } from './authorization-server.ts'
import { type Era, eras, modeOf } from './clients.ts'
import { seedConfig, seedJobs } from './seed-jobs.ts'

const folder = mkdtempSync(join(tmpdir(), 'lilypad-mcp-oauth-'))
let issuer: AuthorizationServer
let server: Awaited<ReturnType<typeof startMcpHttp>>
let account = 'alice'
let job = ''

const start = (place: string, options: { issuer: string; jwksUrl?: string }) =>
  startMcpHttp(
    seedConfig(join(place, 'state'), {
      http: {
        host: '127.0.0.1',
        allowedHosts: [],
        allowedOrigins: [],
        auth: { kind: 'oauth', ...options },
        trustedProxies: 0,
        requestsPerMinute: 100_000,
        principalsDirectory: join(place, 'principals'),
        principalWallet: 'shared',
        principalLimits: { perDay: 10n ** 18n, total: 10n ** 19n },
      },
    }),
  )

beforeAll(async () => {
  issuer = await startAuthorizationServer({ resource: () => server.url, accountOf: () => account })
  const state = join(folder, 'principals', principalOf(issuer.issuer, 'alice'), 'state')
  ;[job = ''] = await seedJobs(state, [{}])
  server = await start(folder, { issuer: issuer.issuer })
})
afterAll(async () => {
  await server?.close()
  await issuer?.close()
  rmSync(folder, { recursive: true, force: true })
})

/** Somebody at a browser: goes where the client sends them, with cookies, until they are back at the client. */
async function browse(url: URL): Promise<URLSearchParams> {
  const cookies = new Map<string, string>()
  let at = url
  for (let hops = 0; hops < 10; hops++) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(at, { redirect: 'manual', headers: { cookie } })
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      cookies.set(name, value)
    }
    const location = response.headers.get('location')
    if (!location) throw new Error(`stopped at ${at.pathname}: ${response.status} ${await response.text()}`)
    at = new URL(location, at)
    if (at.pathname === '/callback') return at.searchParams
  }
  throw new Error('goes round in circles')
}

/** A client's memory, as an application would keep it. */
function createMemory(): OAuthClientProvider & { asked(): URL | undefined; scope(): string | undefined } {
  let asked: URL | undefined
  let verifier = ''
  const kept: {
    tokens?: Awaited<ReturnType<OAuthClientProvider['tokens']>>
    discovery?: Awaited<ReturnType<NonNullable<OAuthClientProvider['discoveryState']>>>
  } = {}
  return {
    redirectUrl: testClient.redirect_uris[0],
    clientMetadata: { redirect_uris: testClient.redirect_uris },
    clientInformation: () => testClient,
    tokens: () => kept.tokens,
    saveTokens(tokens) {
      kept.tokens = tokens
    },
    discoveryState: () => kept.discovery,
    saveDiscoveryState(state) {
      kept.discovery = state
    },
    redirectToAuthorization(url) {
      asked = url
    },
    saveCodeVerifier(value) {
      verifier = value
    },
    codeVerifier: () => verifier,
    asked: () => asked,
    scope: () => kept.tokens?.scope,
  }
}

async function connect(era: Era, memory: ReturnType<typeof createMemory>) {
  const client = new Client({ name: 'test', version: '1.0.0' }, { versionNegotiation: { mode: modeOf[era] } })
  const transport = new StreamableHTTPClientTransport(new URL(server.url), { authProvider: memory })
  await client.connect(transport)
  return { client, transport }
}

/** The whole flow of the official client: refused, sent to the issuer, back with a code, connected. */
async function logIn(era: Era, memory: ReturnType<typeof createMemory>) {
  const transport = new StreamableHTTPClientTransport(new URL(server.url), { authProvider: memory })
  const first = new Client({ name: 'test', version: '1.0.0' }, { versionNegotiation: { mode: modeOf[era] } })
  await expect(first.connect(transport)).rejects.toBeInstanceOf(UnauthorizedError)
  const asked = memory.asked()
  if (!asked) throw new Error('the client was not sent anywhere')
  await transport.finishAuth(await browse(asked))
  return connect(era, memory)
}

const askList = (token: string, url = server.url) =>
  fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      authorization: `Bearer ${token}`,
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
  })

describe.each(eras)('the official client, in the %s era', (era) => {
  test('finds the issuer, logs in for this server alone, reads, and is asked for more when it spends', async () => {
    account = 'alice'
    const memory = createMemory()
    const { client, transport } = await logIn(era, memory)
    expect(memory.asked()?.searchParams.get('resource')).toBe(server.url)
    expect(memory.asked()?.searchParams.get('code_challenge_method')).toBe('S256')
    expect(memory.scope()).toBe('lilypad:read')
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('lilypad_run_job')
    const listed = await client.callTool({ name: 'lilypad_list_jobs', arguments: {} })
    expect(listed.structuredContent).toMatchObject({ jobs: [{ job_id: job }] })
    const spend = { name: 'lilypad_run_job', arguments: { quote_id: `0x${'1'.repeat(64)}` } }
    await expect(client.callTool(spend)).rejects.toBeInstanceOf(UnauthorizedError)
    expect(memory.asked()?.searchParams.get('scope')).toBe('lilypad:read lilypad:spend')
    await transport.finishAuth(await browse(memory.asked() as URL))
    await client.close()
    const more = await connect(era, memory)
    expect(memory.scope()).toBe('lilypad:read lilypad:spend')
    expect((await more.client.callTool(spend)).structuredContent).toMatchObject({ error: { code: 'QUOTE_UNKNOWN' } })
    await more.client.close()
  })

  test('S8: another subject of the same issuer sees nothing of the first', async () => {
    account = 'bob'
    const { client } = await logIn(era, createMemory())
    const listed = await client.callTool({ name: 'lilypad_list_jobs', arguments: {} })
    expect(listed.structuredContent).toMatchObject({ jobs: [] })
    await expect(client.readResource({ uri: `lilypad://jobs/${job}` })).rejects.toMatchObject({ code: -32602 })
    await client.close()
  })
})

test('RFC 9728: the challenge leads to the metadata, and that to the issuer', async () => {
  const response = await askList('guess')
  expect(response.status).toBe(401)
  const challenge = response.headers.get('www-authenticate') ?? ''
  expect(challenge).toContain('scope="lilypad:read"')
  const url = /resource_metadata="([^"]+)"/.exec(challenge)?.[1] ?? ''
  expect(url).toBe(new URL('/.well-known/oauth-protected-resource/mcp', server.url).href)
  const metadata = {
    resource: server.url,
    authorization_servers: [issuer.issuer],
    scopes_supported: ['lilypad:read', 'lilypad:spend'],
    bearer_methods_supported: ['header'],
    resource_name: 'Lilypad MCP server',
  }
  expect(await (await fetch(url)).json()).toEqual(metadata)
  expect(await (await fetch(new URL('/.well-known/oauth-protected-resource', server.url))).json()).toEqual(metadata)
})

describe('a token', () => {
  const soon = () => Math.floor(Date.now() / 1000)
  test.each<[string, () => Promise<string>]>([
    ['of another audience', () => issuer.sign({ aud: 'https://other.example/mcp' })],
    ['of our origin only', () => issuer.sign({ aud: new URL(server.url).origin })],
    ['without an audience', () => issuer.sign({ aud: undefined } as never)],
    ['of another issuer', () => issuer.sign({ iss: 'https://evil.example' })],
    ['that has ended', () => issuer.sign({ exp: soon() - 60 })],
    ['without an end', () => issuer.sign({ exp: undefined } as never)],
    ['that is not valid yet', () => issuer.sign({ nbf: soon() + 600 })],
    ['without a subject', () => issuer.sign({ sub: undefined } as never)],
    ['that is bound to a key of its sender', () => issuer.sign({ cnf: { jkt: 'x' } })],
    ['of a key that the issuer does not have', () => issuer.sign({}, { kid: 'second' })],
    [
      'signed by somebody else under the name of its key',
      async () => {
        const { privateKey } = await generateKeyPair('ES256')
        return new SignJWT({
          iss: issuer.issuer,
          sub: 'alice',
          aud: server.url,
          exp: soon() + 600,
          scope: 'lilypad:spend',
        })
          .setProtectedHeader({ alg: 'ES256', kid: 'first' })
          .sign(privateKey)
      },
    ],
    [
      'signed with the public key as a shared secret',
      async () => {
        const secret = Buffer.from(JSON.stringify(await exportJWK((await generateKeyPair('ES256')).publicKey)))
        return new SignJWT({ iss: issuer.issuer, sub: 'alice', aud: server.url, exp: soon() + 600 })
          .setProtectedHeader({ alg: 'HS256', kid: 'first' })
          .sign(secret)
      },
    ],
    [
      'that is not signed',
      async () => new UnsecuredJWT({ iss: issuer.issuer, sub: 'alice', aud: server.url, exp: soon() + 600 }).encode(),
    ],
    ['that is too long', () => issuer.sign({ note: 'x'.repeat(9000) })],
  ])('%s is refused, without a word of what is in it', async (_what, make) => {
    const token = await make()
    const response = await askList(token)
    const text = await response.text()
    expect(response.status, text).toBe(401)
    expect(response.headers.get('www-authenticate')).toContain('error="invalid_token"')
    expect(text).not.toMatch(/evil\.example|other\.example|xxxx/)
  })

  test.each([
    ['a scope that may read', { scope: 'openid lilypad:read' }, 200],
    ['scopes in a list', { scope: undefined, scp: ['lilypad:read'] }, 200],
    ['only the scope that spends', { scope: 'lilypad:spend' }, 403],
    ['other scopes', { scope: 'openid lilypad:readall' }, 403],
    ['no scopes', { scope: undefined }, 403],
  ])('with %s gets %s', async (_what, claims, status) => {
    const response = await askList(await issuer.sign(claims as never))
    expect(response.status).toBe(status)
    if (status === 403) {
      expect(response.headers.get('www-authenticate')).toMatch(/insufficient_scope.*scope="lilypad:read"/)
      expect(response.headers.get('www-authenticate')).toContain('resource_metadata=')
    }
    await response.body?.cancel()
  })

  test('that may not spend takes no share of the wallet from those who may, and one that may nothing no folder', async () => {
    // The wallet allows 10 a day, a principal 1: without shares for readers, twelve of them leave it whole.
    const place = join(folder, 'shares')
    const other = await start(place, { issuer: issuer.issuer })
    const asked = async (sub: string, scope: string) => {
      const response = await askList(await issuer.sign({ aud: other.url, sub, scope }), other.url)
      return { status: response.status, text: await response.text() }
    }
    for (let count = 0; count < 12; count++) {
      const { status, text } = await asked(`reader ${count}`, 'lilypad:read')
      expect([status, text.includes('lilypad_run_job')]).toEqual([200, true])
    }
    expect((await asked('nobody', 'openid')).status).toBe(403)
    expect(existsSync(join(place, 'principals', principalOf(issuer.issuer, 'nobody')))).toBe(false)
    expect((await asked('spender', 'lilypad:read lilypad:spend')).text).toContain('lilypad_run_job')
    await other.close()
  })

  test('a subject of any text gets a folder with a plain name', async () => {
    const subject = '../../etc|alice\n'
    expect((await askList(await issuer.sign({ sub: subject }))).status).toBe(200)
    expect(principalOf(issuer.issuer, subject)).toMatch(/^sub-[0-9a-f]{32}$/)
    expect(principalOf(issuer.issuer, 'a')).not.toBe(principalOf(`${issuer.issuer}a`, ''))
  })

  test('no token, subject or claim is in the audit log', async () => {
    const token = await issuer.sign({ sub: 'secret-subject', scope: 'lilypad:read' })
    const body = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'lilypad_run_job', arguments: {} } }
    const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
    await fetch(server.url, {
      method: 'POST',
      headers: { ...headers, authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
    })
    const text = readFileSync(join(folder, 'state', 'refused.jsonl'), 'utf8')
    expect(text).toContain('INSUFFICIENT_SCOPE')
    expect(text).toContain(principalOf(issuer.issuer, 'secret-subject'))
    for (const secret of [token, token.split('.')[2] ?? '', 'secret-subject', issuer.issuer])
      expect(text).not.toContain(secret)
  })
})

describe('the keys of the issuer', () => {
  test('are fetched once, and made-up key ids do not make us fetch them again and again', async () => {
    await (await askList(await issuer.sign({}))).text()
    const before = issuer.keyRequests()
    for (let count = 0; count < 5; count++) await (await askList(await issuer.sign({}))).text()
    for (let count = 0; count < 5; count++)
      await (await askList(await issuer.sign({}, { kid: `made-up-${count}` }))).text()
    expect(issuer.keyRequests() - before).toBeLessThanOrEqual(1)
  })

  test('that cannot be had are not held against the token', async () => {
    issuer.setAway(true)
    const other = await start(join(folder, 'away'), { issuer: issuer.issuer })
    const response = await askList(await issuer.sign({ aud: other.url }), other.url)
    expect(response.status).toBe(504)
    expect(response.headers.get('retry-after')).toBe('10')
    expect(await response.json()).toMatchObject({ error: { data: { code: 'TIMED_OUT', retryable: true } } })
    issuer.setAway(false)
    await other.close()
  })

  test.each([
    ['the metadata of another issuer', (own: string) => ({ issuer: 'https://evil.example', jwks_uri: `${own}/jwks` })],
    ['keys on another origin', (own: string) => ({ issuer: own, jwks_uri: 'http://127.0.0.1:1/jwks' })],
    ['no keys', (own: string) => ({ issuer: own })],
  ])('are not taken from %s', async (_what, metadata) => {
    const asked: string[] = []
    const impostor = createServer((request, response) => {
      asked.push(request.url ?? '')
      const { port } = impostor.address() as { port: number }
      const isMetadata = request.url?.startsWith('/.well-known/')
      response.writeHead(isMetadata ? 200 : 404, { 'content-type': 'application/json' })
      response.end(JSON.stringify(isMetadata ? metadata(`http://127.0.0.1:${port}`) : {}))
    })
    await new Promise<void>((resolve) => impostor.listen(0, '127.0.0.1', resolve))
    const { port } = impostor.address() as { port: number }
    const other = await start(join(folder, `impostor-${port}`), { issuer: `http://127.0.0.1:${port}` })
    const token = await issuer.sign({ aud: other.url, iss: `http://127.0.0.1:${port}` })
    expect((await askList(token, other.url)).status).toBe(504)
    expect(asked).toEqual(['/.well-known/oauth-authorization-server'])
    await other.close()
    impostor.closeAllConnections()
    await new Promise((resolve) => impostor.close(resolve))
  })
})
