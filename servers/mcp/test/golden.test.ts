import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Client } from '@modelcontextprotocol/client'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { callTool, connectHttp, connectStdio, type Era, eras, startHttpProcess } from './clients.ts'
import { seedJobs, writeSeedFiles } from './seed-jobs.ts'

const folder = mkdtempSync(join(tmpdir(), 'lilypad-mcp-golden-'))
const state = join(folder, 'state')
const connections: { readonly name: string; readonly client: Client; close(): Promise<void> }[] = []
let ids: readonly string[] = []

beforeAll(async () => {
  ids = await seedJobs(state, [
    { outputs: { 'out.txt': Buffer.from('hello'), 'data.bin': Buffer.from([0, 1, 2]) } },
    { name: 'other', outputs: { 'page 1.txt': Buffer.from('\u202eone\u200b') }, orderedAt: 1_700_000_050 },
  ])
  const args = [...writeSeedFiles(folder), '--state-dir', state]
  for (const era of eras) {
    const { client } = await connectStdio(args, era)
    connections.push({ name: `stdio ${era}`, client, close: () => client.close() })
  }
  const server = await startHttpProcess(args)
  for (const era of eras) {
    const client = await connectHttp(server.url, era)
    connections.push({ name: `http ${era}`, client, close: () => client.close() })
  }
  connections.push({ name: 'server', client: undefined as never, close: server.close })
}, 120_000)
afterAll(async () => {
  for (const { close } of connections) await close()
  rmSync(folder, { recursive: true, force: true })
})

const unknown = `0x${'9'.repeat(64)}`
const calls = (): readonly (readonly [string, Record<string, unknown>])[] => {
  const [first = '', second = ''] = ids
  return [
    ['lilypad_search_modules', {}],
    ['lilypad_search_modules', { query: 'speech', limit: 3 }],
    ['lilypad_search_modules', { limit: 0 }],
    ['lilypad_search_modules', { q: 'speech', maxResults: '3' }],
    ['lilypad_search_modules', { cursor: 'x'.repeat(300) }],
    ['lilypad_get_module', { module: 'tts' }],
    ['lilypad_get_module', { module: 'No Such' }],
    ['lilypad_get_module', {}],
    ['lilypad_quote_job', { module: 'tts', inputs: { text: 'hi' } }],
    ['lilypad_quote_job', { module: 'tts', inputs: '{"text":"hi"}' }],
    ['lilypad_quote_job', { module: 'tts' }],
    ['lilypad_quote_job', { module: 'tts', inputs: {}, max_price: 'lots' }],
    ['lilypad_quote_job', { module: 'tts', inputs: { file: { path: '../x' } } }],
    ['lilypad_run_job', { quote_id: unknown }],
    ['lilypad_run_job', { quote_id: 'abc' }],
    ['lilypad_run_job', { quote_id: unknown, wait_s: 51 }],
    ['lilypad_get_job', { job_id: first }],
    ['lilypad_get_job', { jobId: first, log_lines: 10 }],
    ['lilypad_get_job', { job_id: second }],
    ['lilypad_get_job', { job_id: unknown }],
    ['lilypad_get_job', { job_id: 7 }],
    ['lilypad_cancel_job', { job_id: first }],
    ['lilypad_cancel_job', { job_id: unknown }],
    ['lilypad_get_outputs', { job_id: first }],
    ['lilypad_get_outputs', { job_id: first, path: 'out.txt' }],
    ['lilypad_get_outputs', { job_id: first, path: 'out.txt', offset: 3 }],
    ['lilypad_get_outputs', { job_id: first, path: '../out.txt' }],
    ['lilypad_get_outputs', { job_id: second, filename: 'page 1.txt' }],
    ['lilypad_get_outputs', { job_id: unknown }],
    ['lilypad_get_outputs', { job_id: first, cursor: 'nonsense' }],
    ['lilypad_save_outputs', { job_id: first }],
    ['lilypad_save_outputs', { job_id: first, subdir: '..' }],
    ['lilypad_verify_job', { job_id: first }],
    ['lilypad_verify_job', { job_id: unknown }],
    ['lilypad_get_wallet', {}],
    ['lilypad_get_wallet', { anything: 1 }],
    ['lilypad_list_jobs', {}],
    ['lilypad_list_jobs', { status: 'open' }],
    ['lilypad_list_jobs', { limit: 1 }],
    ['lilypad_list_jobs', { since: 'yesterday-ish' }],
    ['lilypad_list_jobs', { status: 'paid', since: '2023-11-14T22:13:30Z' }],
  ]
}

test('P3: forty calls say the same over stdio and HTTP, in both eras', async () => {
  expect(calls().length).toBeGreaterThanOrEqual(40)
  const differences: string[] = []
  for (const [tool, args] of calls()) {
    const answers: string[] = []
    for (const { name, client } of connections.filter((connection) => connection.name !== 'server')) {
      const { structuredContent, isError } = await callTool(client, tool, args)
      // Content is of any kind, so only its JSON is compared; the name tells who differed.
      answers.push(JSON.stringify({ structuredContent, isError }))
      if (answers.at(-1) !== answers[0]) differences.push(`${tool} ${JSON.stringify(args)} over ${name}`)
    }
  }
  expect(differences).toEqual([])
}, 120_000)

test.each(eras)('S2: what is listed in the %s era is what was reviewed', async (era: Era) => {
  const client = connections.find(({ name }) => name === `stdio ${era}`)?.client
  const list = {
    tools: (await client?.listTools())?.tools,
    prompts: (await client?.listPrompts())?.prompts,
    templates: (await client?.listResourceTemplates())?.resourceTemplates,
  }
  await expect(`${JSON.stringify(list, undefined, 2)}\n`).toMatchFileSnapshot(`./surface/${era}.snap`)
})
