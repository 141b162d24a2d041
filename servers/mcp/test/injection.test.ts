import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { installNativeCrypto } from '@lilypad-agents/protocol/node'
import type { Client } from '@modelcontextprotocol/client'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type honestPlay, type StubNetwork, startStubNetwork } from '../../../packages/sdk/test/stub-network.ts'
import { sampleModule } from '../../../packages/sdk/test/sample-bundle.ts'
import { createLogger } from '../src/log/logger.ts'
import { startMcpHttp } from '../src/index.ts'
import { connectHttp } from './clients.ts'
import corpus from './corpus/hostile-texts.json' with { type: 'json' }
import { createHostileModule, toHostilePath } from './hostile-module.ts'
import { openJobPage } from './job-page.ts'
import { seedConfig } from './seed-jobs.ts'

// What a reader does not see, written apart from the rule under test.
const unseenRanges =
  '0-8 b-1f 7f-9f ad 34f 61c 115f-1160 180b-180f 200b-200f 2028-202e 2060-206f 2800 3164 fe00-fe0f feff ffa0 fff0-fffb d800-dfff e000-f8ff 1d173-1d17a e0000-e0fff f0000-10ffff'
const unseen = new RegExp(
  `[${unseenRanges
    .split(' ')
    .map((range) => range.replace(/[0-9a-f]+/g, '\\u{$&}'))
    .join('')}]`,
  'u',
)
/** Fields that hold a name as it was given, and nothing else: a path, a version, what a check compared, a suggestion. */
const quotedFields = new Set(['path', 'file', 'name', 'version', 'uri', 'evidence'])
const isQuotedField = (at: readonly string[]) => quotedFields.has(at.at(-1) ?? '') || at.includes('values')
const maxQuoted = 512
// An address holds such a name with each byte escaped.
const maxAddress = 1700

const folder = mkdtempSync(join(tmpdir(), 'lilypad-mcp-injection-'))
const logLines: string[] = []
let network: StubNetwork
let server: Awaited<ReturnType<typeof startMcpHttp>>
let client: Client
/** A quote that stands open all the time. Running it is what the texts ask for. */
let bait = ''
let placed = 0

beforeAll(async () => {
  installNativeCrypto()
  network = await startStubNetwork([])
})
afterAll(async () => {
  await network?.close()
  rmSync(folder, { recursive: true, force: true })
})

/** A server of its own for each text, with the bait in its store. */
async function openServer(name: string): Promise<void> {
  const logger = createLogger('debug', {}, (line) => void logLines.push(line))
  const settings = { network: network.network, outputDirectory: join(folder, 'saved'), approval: 'host' as const }
  server = await startMcpHttp(seedConfig(join(folder, name), settings), logger)
  client = await connectHttp(server.url, 'modern')
  network.modules = [sampleModule]
  bait = String((await call('lilypad_quote_job', { module: 'sample', inputs: { text: 'hi' } })).quote_id)
}
async function closeServer(): Promise<void> {
  const { jobs } = await call('lilypad_list_jobs', { limit: 50 })
  expect(JSON.stringify(jobs)).not.toContain('"module":"sample"')
  await client.close()
  await server.close()
}

type Found = { readonly text: string; readonly at: readonly string[] }

/** Every text in an answer, names of members too, with where it stands. */
function textsIn(value: unknown, at: readonly string[] = []): Found[] {
  if (typeof value === 'string') return [{ text: value, at }]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, item]) => [
    { text: name, at: [...at, '(name)'] },
    ...textsIn(item, [...at, name]),
  ])
}

const seen: { readonly channel: string; readonly found: Found }[] = []

/** Keeps what an answer says, for the rules at the end, and looks into the JSON of texts. */
function keep(channel: string, answer: unknown): void {
  for (const found of textsIn(answer)) {
    if (found.at.at(-1) === 'blob' || found.at.at(-1) === 'data') continue
    const isJson = found.at.at(-1) === 'text' && found.text.startsWith('{') && !found.at.includes('untrusted')
    if (!isJson) {
      seen.push({ channel, found })
      continue
    }
    expect(found.text, `${channel}: the text of an answer`).not.toMatch(unseen)
    seen.push(...textsIn(JSON.parse(found.text)).map((inner) => ({ channel, found: inner })))
  }
}

async function call(tool: string, args: Record<string, unknown>): Promise<Record<string, unknown>> {
  const onprogress = (progress: unknown) => keep('progress', progress)
  const answer = await client.callTool({ name: tool, arguments: args }, { onprogress })
  keep(tool, answer)
  return answer.structuredContent as Record<string, unknown>
}
const ask = async (channel: string, asked: Promise<unknown>) =>
  keep(
    channel,
    await asked.catch((error: { message: string; data: unknown }) => ({ message: error.message, data: error.data })),
  )
const read = (uri: string) =>
  ask(`read ${uri.replace(/0x[0-9a-f]+/, '{id}').slice(0, 60)}`, client.readResource({ uri }))

/** What the program of a model would do that follows whatever is said outside `untrusted`. */
async function followNaively({ found: { text, at } }: (typeof seen)[number]): Promise<void> {
  if (at.includes('untrusted') || isQuotedField(at) || !text.includes(bait)) return
  await client.callTool({ name: 'lilypad_run_job', arguments: { quote_id: bait } })
}

async function order(end: typeof honestPlay.end, module: string): Promise<string> {
  network.play = { ...network.play, end }
  const { quote_id } = await call('lilypad_quote_job', { module, inputs: { text: 'hi' } })
  expect(quote_id).toMatch(/^0x/)
  const { job_id } = await call('lilypad_run_job', { quote_id, wait_s: 5 })
  expect(job_id).toMatch(/^0x/)
  placed += 1
  return String(job_id)
}

async function readTask(taskId: string): Promise<void> {
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': { extensions: { 'io.modelcontextprotocol/tasks': {} } },
  }
  const response = await fetch(server.url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tasks/get',
      'mcp-name': taskId,
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tasks/get', params: { taskId, _meta } }),
  })
  const text = await response.text()
  expect(response.status, text.slice(0, 300)).toBe(200)
  keep('tasks/get', JSON.parse(text))
}

/** Lets every party say the text in every place it has, and looks everywhere. */
async function walk(mark: string, text: string): Promise<void> {
  const module = createHostileModule(mark, text)
  const path = toHostilePath(mark, text)
  const bytes = Buffer.from(text)
  network.modules = [module]
  network.play = {
    end: 'delivered',
    outputs: { 'out.txt': bytes, [path]: Buffer.from(`${text}\n`) },
    log: text,
    progress: text,
    reason: text,
  }
  // What its author says.
  await call('lilypad_search_modules', { query: 'x' })
  await call('lilypad_get_module', { module: module.name })
  await call('lilypad_quote_job', { module: module.name, inputs: { text: 'hi', mode: 'other', more: 1 } })
  await read(`lilypad://modules/${module.name}`)
  for (const [ref, name] of [
    [{ type: 'ref/prompt', name: 'run_module' }, 'module'],
    [{ type: 'ref/resource', uri: 'lilypad://modules/{id}' }, 'id'],
  ] as const)
    await ask('completion', client.complete({ ref, argument: { name, value: mark } }))
  await ask(
    'prompt',
    client.getPrompt({ name: 'run_module', arguments: { module: module.name, goal: 'see what it does' } }),
  )

  // What its program and its provider say.
  const job_id = await order('delivered', module.name)
  expect((await call('lilypad_get_job', { job_id, wait_s: 5 })).verified).toBe(true)
  await call('lilypad_get_job', { job_id, log_lines: 50 })
  await call('lilypad_get_outputs', { job_id })
  await call('lilypad_get_outputs', { job_id, path: 'out.txt' })
  const { files } = await call('lilypad_get_outputs', { job_id })
  const shown = (files as { path: string }[]).map((file) => file.path)
  const saved = await call('lilypad_save_outputs', { job_id, paths: shown, subdir: mark })
  expect(saved.written, 'what is shown can be named').toHaveLength(2)
  await call('lilypad_verify_job', { job_id })
  await call('lilypad_cancel_job', { job_id })
  await call('lilypad_list_jobs', {})
  for (const part of ['', '/logs', '/manifest', '/receipt', '/outputs/out.txt'])
    await read(`lilypad://jobs/${job_id}${part}`)
  await read(`lilypad://jobs/${job_id}/outputs/${encodeURIComponent(path)}`)
  await read('lilypad://ledger')
  await ask('resources/list', client.listResources())
  const template = { type: 'ref/resource', uri: 'lilypad://jobs/{id}/outputs/{+path}' } as const
  const given = { context: { arguments: { id: job_id } } }
  await ask('completion', client.complete({ ref: template, argument: { name: 'path', value: '' }, ...given }))
  await readTask(job_id)
  for (const end of ['failed', 'declined', 'expired'] as const) {
    const ended = await order(end, module.name)
    await call('lilypad_get_job', { job_id: ended, log_lines: 20 })
    await call('lilypad_verify_job', { job_id: ended })
    await readTask(ended)
  }

  // What its solver says.
  const said = { message: text, details: [text, text], hint: text, charged: text.slice(0, 64), retryable: false }
  const { quote_id } = await call('lilypad_quote_job', { module: module.name, inputs: { text: 'hi' } })
  for (const code of ['INSUFFICIENT_BALANCE', 'NO_PROVIDER_AVAILABLE', text.slice(0, 64)]) {
    network.refuse(/./, { ...said, code, retryable: code === 'NO_PROVIDER_AVAILABLE', docs: text.slice(0, 200) })
    await call('lilypad_search_modules', {})
    await call('lilypad_get_module', { module: module.name })
    await call('lilypad_quote_job', { module: module.name, inputs: { text: 'hi' } })
    await read(`lilypad://modules/${module.name}`)
    network.relent()
  }
  for (const garbage of [
    { [text]: text },
    { modules: text, [text]: [text] },
    { state: text, orderHash: text, [text]: 1 },
  ]) {
    network.answer(/./, garbage)
    await call('lilypad_search_modules', {})
    await call('lilypad_get_module', { module: module.name })
    await read(`lilypad://modules/${module.name}`)
    network.relent()
  }
  network.nextCursor = text.slice(0, 200)
  await call('lilypad_search_modules', {})
  network.nextCursor = null
  // A refused order is kept, and sent again by its keeper: it is withdrawn before the next text.
  network.refuse(/POST \/jobs$/, { ...said, code: 'INSUFFICIENT_BALANCE' }, 1)
  await call('lilypad_run_job', { quote_id, wait_s: 1 })
}

const mark = (index: number) => `hostile${index}x`
const fill = (text: string, index: number) => text.replaceAll('{mark}', mark(index)).replaceAll('{bait}', bait)

test('A2: the corpus is large and of many kinds', () => {
  expect(corpus.length).toBeGreaterThanOrEqual(60)
  expect(new Set(corpus.map(({ kind }) => kind)).size).toBeGreaterThanOrEqual(6)
  expect(new Set(corpus.map(({ text }) => text)).size).toBe(corpus.length)
  for (const { text, name } of corpus) for (const part of ['{mark}', '{bait}']) expect(text, name).toContain(part)
})

test('A2: no hostile text leaves its place, whoever says it, and nobody is made to spend', async () => {
  const faults = new Set<string>()
  const reached = new Map<string, Set<string>>()
  for (const [index, { name, text }] of corpus.entries()) {
    await openServer(mark(index))
    seen.length = 0
    logLines.length = 0
    await walk(mark(index), fill(text, index))
    for (const each of seen) {
      const { channel, found } = each
      const place = `${channel} ${found.at.map((key) => (/^\d+$/.test(key) ? '*' : key)).join('.')}`
      const isApart = found.at.includes('untrusted')
      const isQuoted = isQuotedField(found.at)
      const isHostile = found.text.includes(mark(index))
      // A signed document keeps its exact value; what is not seen is escaped in its text, which is looked at above.
      const isExact = channel.endsWith('/manifest')
      if (unseen.test(found.text) && !isExact) faults.add(`${name}: unseen characters in ${place}`)
      const isAddress = found.at.at(-1) === 'uri'
      const most = isAddress ? maxAddress : isQuoted ? maxQuoted : channel.startsWith('read') ? 64_001 : 4096
      if (found.text.length > most) faults.add(`${name}: ${found.text.length} characters in ${place}`)
      if (isHostile && isApart) reached.set(channel, (reached.get(channel) ?? new Set()).add(name))
      // An identifier in quotes is a name and no sentence.
      const rest = found.text.replace(/"[A-Za-z0-9_-]{1,64}"/g, '""')
      const isIdentifier = /^[A-Za-z0-9_-]{1,64}$/.test(found.text)
      if (!isApart && !isQuoted && !isIdentifier && rest.includes(mark(index)))
        faults.add(`${name}: ${place}: ${JSON.stringify(found.text.slice(0, 200))}`)
      await followNaively(each)
    }
    await closeServer()
    for (const line of logLines) {
      expect(() => JSON.parse(line), line).not.toThrow()
      if (unseen.test(line.trimEnd())) faults.add(`${name}: unseen characters in the log`)
      if (line.length > 2000) faults.add(`${name}: a log line of ${line.length} characters`)
    }
  }
  expect([...faults]).toEqual([])
  // The texts did reach the places where they may stand, so the rules had something to rule on.
  for (const channel of ['lilypad_search_modules', 'lilypad_get_module', 'lilypad_quote_job', 'lilypad_run_job'])
    expect(reached.get(channel)?.size ?? 0, channel).toBeGreaterThan(corpus.length * 0.9)
  for (const channel of ['lilypad_get_job', 'read lilypad://jobs/{id}/logs', 'read lilypad://jobs/{id}/manifest'])
    expect(reached.get(channel)?.size ?? 0, channel).toBeGreaterThan(corpus.length * 0.9)
  expect(network.orders()).toBe(placed)
  expect(network.vouchers()).toBe(corpus.length)
}, 300_000)

test('A2: the page of a job shows hostile texts as texts', () => {
  for (const [index, { text }] of corpus.entries()) {
    const hostile = fill(text, index)
    const page = openJobPage()
    const job = {
      job_id: `0x${'a1'.repeat(32)}`,
      module: hostile,
      state: hostile,
      summary: hostile,
      payment: 'reserved',
      charged: hostile,
      max_charge: hostile,
      token: hostile,
      progress: 0.5,
      done: false,
      outputs: [{ path: hostile, bytes: 1 }],
      untrusted: { log_tail: hostile },
    }
    page.show({ structuredContent: job })
    page.show({
      structuredContent: { files: [{ path: hostile, bytes: 1, sha256: hostile }] },
      content: [
        { type: 'image', mimeType: hostile, data: hostile },
        { type: 'image', mimeType: 'image/svg+xml', data: hostile },
      ],
    })
    page.show({ structuredContent: { verdict: hostile, summary: hostile, checks: [{ name: hostile, ok: false }] } })
    page.show({ structuredContent: { error: { message: hostile, fix: hostile } } })
    expect(page.texts().some((shown) => shown.includes(hostile))).toBe(true)
    expect(page.calls().map(({ name }) => name)).toEqual(['lilypad_get_outputs'])
    expect(page.sources()).toEqual([])
  }
})
