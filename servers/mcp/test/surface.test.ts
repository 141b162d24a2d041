import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createSigner } from '@lilypad-agents/protocol'
import type { Client } from '@modelcontextprotocol/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { helpText, type McpConfig, startMcpHttp, tools, version } from '../src/index.ts'
import { z } from 'zod'
import { toolList } from '../src/generated/tool-list.ts'
import packageJson from '../package.json' with { type: 'json' }
import { countTokens } from './tokens.ts'
import { callRefused, callTool, canaryKey, connectHttp, eras, makeSilentNetwork } from './clients.ts'

const silent = makeSilentNetwork()
const closers: (() => Promise<void>)[] = []
let url: string
let readOnlyUrl: string
let spendingConfig: McpConfig

beforeAll(async () => {
  const config = {
    network: silent.network as never,
    policy: { perJob: 10n ** 18n, perDay: 10n ** 19n, total: 10n ** 20n },
    port: 0,
    logLevel: 'silent' as const,
  }
  spendingConfig = {
    ...config,
    stateDirectory: silent.stateDirectory,
    signer: createSigner(canaryKey as `0x${string}`),
  }
  const spending = await startMcpHttp(spendingConfig)
  const readOnly = await startMcpHttp({ ...config, stateDirectory: `${silent.stateDirectory}-reading` })
  closers.push(spending.close, readOnly.close)
  url = spending.url
  readOnlyUrl = readOnly.url
})

afterAll(async () => {
  await Promise.all(closers.map((close) => close()))
  rmSync(silent.folder, { recursive: true, force: true })
})

test('the README names every tool and every setting', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  for (const { name } of tools) expect(readme).toContain(`\`${name}\``)
  for (const [setting] of helpText().matchAll(/--[a-z-]+(?= <)|LILYPAD_[A-Z_]+/g))
    expect(readme).toContain(`\`${setting}\``)
})

test('S1: the list of tools grows by a twentieth at most, unless somebody means it', () => {
  // Those for paid servers are listed only where the owner named some.
  const always = toolList.filter(({ ofPaidServers }) => !ofPaidServers)
  const now = Object.fromEntries(always.map(({ tool }) => [tool.name, countTokens(tool)]))
  const total = (counts: Readonly<Record<string, number>>) =>
    Object.values(counts).reduce((sum, count) => sum + count, 0)
  const file = new URL('./surface/tokens.json', import.meta.url)
  if (process.env.LILYPAD_UPDATE === 'tokens') writeFileSync(file, `${JSON.stringify(now, null, 2)}\n`)
  const before = z.record(z.string(), z.number()).parse(JSON.parse(readFileSync(file, 'utf8')))
  const changed = [...new Set([...Object.keys(before), ...Object.keys(now)])]
    .filter((name) => before[name] !== now[name])
    .map((name) => `${name}: ${before[name] ?? 'none'} -> ${now[name] ?? 'none'}`)
  if (changed.length > 0) console.log(`tokens: ${total(before)} -> ${total(now)}\n${changed.join('\n')}`)
  expect(total(now), `${changed.join('; ')}; LILYPAD_UPDATE=tokens takes it over`).toBeLessThanOrEqual(
    total(before) * 1.05,
  )
})

test('the version is that of the package', () => expect(version).toBe(packageJson.version))

describe.each(eras)('in the %s era', (era) => {
  let client: Client
  let reader: Client
  beforeAll(async () => {
    client = await connectHttp(url, era)
    reader = await connectHttp(readOnlyUrl, era)
  })
  afterAll(async () => {
    await client.close()
    await reader.close()
  })

  test('lists the tools, the same each time', async () => {
    const { tools } = await client.listTools()
    expect(
      tools.map(
        ({ name, annotations }) =>
          `${name} ${Object.values(annotations ?? {})
            .slice(1)
            .map((hint) => (hint ? 'T' : 'F'))
            .join('')}`,
      ),
    ).toMatchInlineSnapshot(`
      [
        "lilypad_search_modules TFTT",
        "lilypad_get_module TFTT",
        "lilypad_quote_job TFFT",
        "lilypad_run_job FTTT",
        "lilypad_get_job TFTT",
        "lilypad_cancel_job FTTT",
        "lilypad_get_outputs TFTT",
        "lilypad_save_outputs FFTF",
        "lilypad_verify_job TFTT",
        "lilypad_get_wallet TFTT",
        "lilypad_list_jobs TFTF",
      ]
    `)
    expect(await client.listTools()).toEqual(await client.listTools())
  })

  test('S1, S2: every tool says everything about itself, within the budget of a context', async () => {
    const { tools } = await client.listTools()
    for (const { name, title, description, inputSchema, outputSchema, annotations } of tools) {
      expect(title, name).toBeTruthy()
      expect(description?.length, name).toBeGreaterThan(40)
      expect(inputSchema.type).toBe('object')
      expect(inputSchema.additionalProperties).toBe(false)
      expect(outputSchema?.type).toBe('object')
      expect(annotations?.title).toBe(title)
      const { readOnlyHint, destructiveHint, idempotentHint, openWorldHint } = annotations ?? {}
      for (const hint of [readOnlyHint, destructiveHint, idempotentHint, openWorldHint])
        expect(typeof hint, name).toBe('boolean')
    }
    expect(tools.length).toBeLessThanOrEqual(12)
    expect(countTokens(tools)).toBeLessThanOrEqual(4500)
    for (const tool of tools) expect(countTokens(tool), tool.name).toBeLessThanOrEqual(550)
  })

  test('instructions are short and tell the four rules', async () => {
    const instructions = client.getInstructions() ?? ''
    expect(countTokens(instructions)).toBeLessThanOrEqual(250)
    for (const word of ['Order', 'Cost', 'Wait', 'Trust']) expect(instructions).toContain(word)
    expect(reader.getInstructions()).toContain('--key-file')
  })

  test('without a key, nothing that spends is offered, and calling it says what to do', async () => {
    const { tools } = await reader.listTools()
    expect(tools.map(({ name }) => name)).not.toContain('lilypad_run_job')
    expect(tools.every(({ annotations }) => annotations?.readOnlyHint)).toBe(true)
    const refused = await callRefused(reader, 'lilypad_run_job', { quote_id: `0x${'1'.repeat(64)}` })
    expect(refused).toMatchObject({ code: 'READ_ONLY', charged: 'none' })
    expect(refused.fix).toContain('--key-file')
    expect((await callTool(reader, 'lilypad_get_wallet')).structuredContent).toMatchObject({ mode: 'read-only' })
    expect((await callTool(reader, 'lilypad_list_jobs')).structuredContent).toMatchObject({ jobs: [] })
  })

  test('with a key and --read-only it says everywhere that it only reads', async () => {
    const config = { ...spendingConfig, stateDirectory: `${silent.stateDirectory}-withheld` }
    const server = await startMcpHttp({ ...config, selection: { isReadOnly: true } })
    closers.push(server.close)
    const withheld = await connectHttp(server.url, era)
    const { tools } = await withheld.listTools()
    expect(tools.every(({ annotations }) => annotations?.readOnlyHint)).toBe(true)
    expect(withheld.getInstructions()).toContain('Cost: nothing here spends.')
    const [policy] = (await withheld.readResource({ uri: 'lilypad://docs/policy' })).contents
    expect(policy).toMatchObject({ text: expect.stringContaining('started with `--read-only`. It reads;') })
    expect(await (await fetch(new URL('/health', server.url))).json()).toMatchObject({ mode: 'read-only' })
    await withheld.close()
  })

  test.each([
    ['lilypad_get_module', {}, 'module'],
    ['lilypad_get_module', { module: 'No Such!' }, 'module'],
    ['lilypad_get_module', { module: 'tts', extra: 1 }, 'extra'],
    ['lilypad_quote_job', { module: 'tts' }, 'inputs'],
    ['lilypad_quote_job', { module: 'tts', inputs: {}, max_price: '1e3' }, 'max_price'],
    ['lilypad_quote_job', { module: 'tts', inputs: { image: { path: 'x', surprise: 1 } } }, 'inputs.image'],
    ['lilypad_run_job', { quote_id: '0x12' }, 'quote_id'],
    ['lilypad_run_job', { quote_id: `0x${'1'.repeat(64)}`, wait_s: 51 }, 'wait_s'],
    ['lilypad_get_job', { job_id: 7 }, 'job_id'],
    ['lilypad_get_outputs', { job_id: `0x${'1'.repeat(64)}`, path: 'x'.repeat(600) }, 'path'],
    ['lilypad_search_modules', { limit: 0 }, 'limit'],
  ])('%s with %j is refused, naming %s', async (name, args, field) => {
    const refused = await callRefused(client, name, args)
    expect(refused).toMatchObject({ code: 'INVALID_REQUEST', charged: 'none', retryable: false })
    expect(refused.message).toContain(field)
  })

  test('arguments that came as JSON text are read', async () => {
    expect(await callRefused(client, 'lilypad_search_modules', { limit: '5' })).toMatchObject({
      code: 'SOLVER_UNREACHABLE',
    })
    expect(await callRefused(client, 'lilypad_quote_job', { module: 'tts', inputs: '{"text":"hi"}' })).toMatchObject({
      code: 'SOLVER_UNREACHABLE',
    })
  })

  test('an unknown tool is a protocol error', async () => {
    await expect(client.callTool({ name: 'lilypad_send_money', arguments: {} })).rejects.toMatchObject({ code: -32602 })
  })

  test('a network that does not answer gives an error that says so, and nothing about keys', async () => {
    const solverAway = await callRefused(client, 'lilypad_search_modules', { query: 'speech' })
    expect(solverAway).toMatchObject({ code: 'SOLVER_UNREACHABLE', charged: 'none', retryable: true })
    const chainAway = await callRefused(client, 'lilypad_get_wallet')
    expect(chainAway).toMatchObject({ code: 'RPC_UNREACHABLE', charged: 'none', retryable: true })
    expect(JSON.stringify([solverAway, chainAway])).not.toContain(canaryKey.slice(2))
  })

  test('unknown handles are told apart, quickly', async () => {
    const handle = `0x${'1'.repeat(64)}`
    const startedAt = Date.now()
    expect(await callRefused(client, 'lilypad_run_job', { quote_id: handle, wait_s: 50 })).toMatchObject({
      code: 'QUOTE_UNKNOWN',
      charged: 'none',
    })
    expect(await callRefused(client, 'lilypad_get_job', { job_id: handle, wait_s: 50 })).toMatchObject({
      code: 'JOB_UNKNOWN',
    })
    expect(await callRefused(client, 'lilypad_get_outputs', { job_id: handle })).toMatchObject({ code: 'JOB_UNKNOWN' })
    expect(await callRefused(client, 'lilypad_verify_job', { job_id: handle })).toMatchObject({ code: 'JOB_UNKNOWN' })
    expect(Date.now() - startedAt).toBeLessThan(3000)
  })
})

describe('over HTTP', () => {
  const post = (headers: Record<string, string>, body = '{"jsonrpc":"2.0","id":1,"method":"ping"}') =>
    fetch(url, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    })

  test('it listens on the loopback interface only', () => expect(new URL(url).hostname).toBe('127.0.0.1'))

  test.each(['http://evil.example', 'https://127.0.0.1.evil.example', 'null'])(
    'a page of %s is refused',
    async (origin) => {
      expect((await post({ origin })).status).toBe(403)
    },
  )

  test('another host name is refused', async () => {
    const { port } = new URL(url)
    const { request } = await import('node:http')
    const status = await new Promise<number | undefined>((resolve, reject) => {
      request(
        { host: '127.0.0.1', port, path: '/mcp', method: 'POST', headers: { host: 'evil.example' } },
        (response) => {
          response.resume()
          resolve(response.statusCode)
        },
      )
        .on('error', reject)
        .end('{}')
    })
    expect(status).toBe(403)
  })

  test('only POST serves MCP', async () => {
    expect((await fetch(url)).status).toBe(405)
    expect((await fetch(url, { method: 'DELETE' })).status).toBe(405)
    expect((await fetch(new URL('/else', url))).status).toBe(404)
  })

  test('health tells the mode', async () => {
    expect(await (await fetch(new URL('/health', url))).json()).toEqual({
      status: 'ok',
      name: 'lilypad-mcp',
      version,
      mode: 'spending',
    })
  })

  test('a revision that nobody speaks is refused with what is spoken', async () => {
    const response = await post(
      { 'mcp-protocol-version': '2031-01-01', 'mcp-method': 'tools/list' },
      JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/list',
        params: {
          _meta: {
            'io.modelcontextprotocol/protocolVersion': '2031-01-01',
            'io.modelcontextprotocol/clientCapabilities': {},
          },
        },
      }),
    )
    const body = await response.text()
    expect(body).toContain('-32022')
    expect(body).toContain('2026-07-28')
  })

  test('a body over the limit and a body that is not JSON are refused', async () => {
    expect((await post({}, `{"a":"${'x'.repeat(2_000_000)}"}`)).status).toBe(413)
    expect((await post({}, '{')).status).toBe(400)
    expect((await fetch(new URL('/health', url))).status).toBe(200)
  })
})
