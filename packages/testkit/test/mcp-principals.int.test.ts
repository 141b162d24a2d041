import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseTokenAmount } from '@lilypad-agents/sdk'
import { sqliteStore } from '@lilypad-agents/sdk/node'
import type { Client } from '@modelcontextprotocol/client'
import { expect, test, vi } from 'vitest'
import { addToken } from '../../../servers/mcp/src/auth/token-file.ts'
import {
  bundleFile,
  callRefused,
  connectHttp,
  connectStdio,
  type Era,
  eras,
  startHttpProcess,
} from '../../../servers/mcp/test/clients.ts'
import { postModern } from '../../../servers/mcp/test/modern-call.ts'
import { call, useMcpNetwork } from './mcp-network.ts'

vi.setConfig({ testTimeout: 120_000, hookTimeout: 180_000 })

const { freshFolder, trusting } = useMcpNetwork(['echo', 'slow'])

const addPrincipal = (stateDirectory: string, name: string, limits = {}) =>
  addToken(join(stateDirectory, 'tokens.json'), {
    name,
    scopes: ['lilypad:read', 'lilypad:spend'],
    limits,
    createdAt: 1_700_000_000,
  })
const quote = async (client: Client, module: string) =>
  String((await call(client, 'lilypad_quote_job', { module, inputs: { text: 'hello' } })).quote_id)
const listJobs = async (client: Client) =>
  (await call(client, 'lilypad_list_jobs')).jobs as { job_id: string; payment: string; charged: string }[]

test('principals with one wallet each have jobs, limits and lines in the audit log of their own', async () => {
  const state = freshFolder()
  const alice = addPrincipal(state, 'alice')
  // One job of a lane costs 0.001.
  const bob = addPrincipal(state, 'bob', { perDay: parseTokenAmount('0.001') })
  const server = await startHttpProcess(trusting(state, '--auth', 'token'), bundleFile)
  const [one, other] = await Promise.all([
    connectHttp(server.url, 'modern', alice),
    connectHttp(server.url, 'legacy', bob),
  ])
  const [first, second] = await Promise.all([quote(one, 'lane-echo'), quote(other, 'lane-echo')])
  expect((await callRefused(other, 'lilypad_run_job', { quote_id: first })).code).toBe('QUOTE_UNKNOWN')
  const [ran, ranToo] = await Promise.all([
    call(one, 'lilypad_run_job', { quote_id: first }),
    call(other, 'lilypad_run_job', { quote_id: second }),
  ])
  expect(ran).toMatchObject({ done: true, verified: true, charged: '0.001' })
  expect(ranToo).toMatchObject({ done: true, verified: true, charged: '0.001' })
  expect(await listJobs(one)).toMatchObject([{ job_id: ran.job_id }])
  expect(await listJobs(other)).toMatchObject([{ job_id: ranToo.job_id }])
  expect(await call(other, 'lilypad_get_wallet')).toMatchObject({
    spent: { last_24h: '0.001', total: '0.001' },
    limits: { per_day: '0.001', total: '10' },
  })
  const third = await quote(other, 'lane-echo')
  expect(await callRefused(other, 'lilypad_run_job', { quote_id: third })).toMatchObject({
    code: 'OVER_DAY_LIMIT',
    charged: 'none',
  })
  expect(await call(one, 'lilypad_run_job', { quote_id: await quote(one, 'lane-echo') })).toMatchObject({ done: true })
  const lines = readFileSync(join(state, 'audit.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line): Record<string, unknown> => JSON.parse(line))
  const spent = lines.filter(({ charged }) => charged === '0.001')
  expect(spent.map(({ principal }) => principal).sort()).toEqual(['alice', 'alice', 'bob'])
  expect(spent.find(({ principal }) => principal === 'bob')).toMatchObject({
    event: 'call',
    tool: 'lilypad_run_job',
    quoteId: second,
    jobId: ranToo.job_id,
    code: 'OK',
  })
  expect(lines.filter(({ code }) => code === 'OVER_DAY_LIMIT')).toHaveLength(1)
  for (const secret of [alice, bob, 'hello']) expect(JSON.stringify(lines)).not.toContain(secret)
  await Promise.all([one.close(), other.close()])
  await server.close()
})

/** What a stream of changes says until it is closed. */
async function listen(url: string, token: string, uri: string) {
  const stop = new AbortController()
  const response = await postModern(url, {
    method: 'subscriptions/listen',
    params: { notifications: { resourceSubscriptions: [uri] } },
    headers: { authorization: `Bearer ${token}` },
    signal: stop.signal,
  })
  const methods: string[] = []
  const reading = (async () => {
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? [])
      methods.push(...[...chunk.matchAll(/"method":"([^"]+)"/g)].map(([, method = '']) => method))
  })().catch(() => undefined)
  return {
    methods,
    async close() {
      stop.abort()
      await reading
    },
  }
}

test('S8: changes of a job are told to its principal, and to no other that listens for it', async () => {
  const state = freshFolder()
  const [alice, bob] = [addPrincipal(state, 'alice'), addPrincipal(state, 'bob')]
  const server = await startHttpProcess(trusting(state, '--auth', 'token'), bundleFile)
  const client = await connectHttp(server.url, 'modern', alice)
  const ran = await call(client, 'lilypad_run_job', { quote_id: await quote(client, 'lane-slow'), wait_s: 0 })
  const uri = `lilypad://jobs/${ran.job_id}`
  const [own, other] = await Promise.all([listen(server.url, alice, uri), listen(server.url, bob, uri)])
  await call(client, 'lilypad_get_job', { job_id: ran.job_id, wait_s: 50 })
  await expect.poll(() => own.methods, { timeout: 20_000 }).toContain('notifications/resources/updated')
  expect(other.methods).toEqual(['notifications/subscriptions/acknowledged'])
  await Promise.all([own.close(), other.close()])
  await client.close()
  await server.close()
})

test('a job of a principal is finished by the next process, without a call, also when its token is gone', async () => {
  const state = freshFolder()
  const token = addPrincipal(state, 'alice')
  const first = await startHttpProcess(trusting(state, '--auth', 'token'), bundleFile)
  const client = await connectHttp(first.url, 'modern', token)
  const ran = await call(client, 'lilypad_run_job', { quote_id: await quote(client, 'lane-slow'), wait_s: 0 })
  expect(ran).toMatchObject({ done: false })
  await first.kill()
  rmSync(join(state, 'tokens.json'))
  const second = await startHttpProcess(trusting(state, '--auth', 'token'), bundleFile)
  // Nobody can call; what is on disk tells.
  const store = sqliteStore(join(state, 'principals', 'alice', 'state'))
  const readJobs = () => store.transaction((transaction) => transaction.listJobs())
  await expect
    .poll(async () => (await readJobs()).map(({ price, acknowledgementSent }) => ({ price, acknowledgementSent })), {
      timeout: 60_000,
    })
    .toEqual([{ price: parseTokenAmount('0.001'), acknowledgementSent: true }])
  await store.close()
  await second.close()
})

const runAndHangUp = async (url: string, quoteId: string, milliseconds: number) => {
  const answered = postModern(url, {
    method: 'tools/call',
    params: { name: 'lilypad_run_job', arguments: { quote_id: quoteId, wait_s: 40 } },
    signal: AbortSignal.timeout(milliseconds),
  })
  return answered.then(
    () => 'answered',
    () => 'hung up',
  )
}

test('P8: who hangs up before the order buys nothing or the one job that the state shows, whenever it was', async () => {
  const server = await startHttpProcess(trusting(freshFolder()), bundleFile)
  const client = await connectHttp(server.url, 'modern')
  const quotes: string[] = []
  for (let milliseconds = 1; milliseconds <= 24; milliseconds += 1) {
    const quoteId = await quote(client, 'lane-echo')
    quotes.push(quoteId)
    await runAndHangUp(server.url, quoteId, milliseconds)
  }
  await expect
    .poll(async () => (await listJobs(client)).every(({ payment }) => payment !== 'reserved'), { timeout: 60_000 })
    .toBe(true)
  const before = await call(client, 'lilypad_get_wallet')
  const jobs = (await call(client, 'lilypad_list_jobs', { limit: 50 })).jobs as unknown[]
  expect(before.spent).toMatchObject({ total: String(jobs.length / 1000) })
  // The same quote again is the same job where there is one, else its first: never a second.
  const ids = await Promise.all(
    quotes.map(async (quote_id) => (await call(client, 'lilypad_run_job', { quote_id })).job_id),
  )
  expect(new Set(ids).size).toBe(quotes.length)
  expect(((await call(client, 'lilypad_list_jobs', { limit: 50 })).jobs as unknown[]).length).toBe(quotes.length)
  await client.close()
  await server.close()
})

test('P8: who hangs up while the job runs finds it again, going on and then charged once', async () => {
  const server = await startHttpProcess(trusting(freshFolder()), bundleFile)
  const client = await connectHttp(server.url, 'modern')
  const quote_id = await quote(client, 'lane-slow')
  const startedAt = Date.now()
  const hungUp = runAndHangUp(server.url, quote_id, 700)
  expect(await hungUp).toBe('hung up')
  expect(Date.now() - startedAt).toBeLessThan(2000)
  const [job] = await listJobs(client)
  expect(job).toMatchObject({ payment: 'reserved', charged: '0' })
  expect(await call(client, 'lilypad_get_job', { job_id: job?.job_id, wait_s: 50 })).toMatchObject({
    done: true,
    verified: true,
    charged: '0.001',
  })
  expect(await listJobs(client)).toHaveLength(1)
  await client.close()
  await server.close()
})

test.each(eras)(
  'P8: a call cancelled over stdio in the %s era ends at once; the job goes on and its state says so',
  async (era: Era) => {
    const { client } = await connectStdio(trusting(freshFolder()), era, bundleFile)
    const quote_id = await quote(client, 'lane-slow')
    const stop = new AbortController()
    const pending = client.callTool(
      { name: 'lilypad_run_job', arguments: { quote_id, wait_s: 40 } },
      { signal: stop.signal, timeout: 60_000 },
    )
    await expect.poll(async () => (await listJobs(client)).length, { timeout: 20_000 }).toBe(1)
    stop.abort()
    await expect(pending).rejects.toThrow()
    const [job] = await listJobs(client)
    expect(await call(client, 'lilypad_get_job', { job_id: job?.job_id, wait_s: 0 })).toMatchObject({
      job_id: job?.job_id,
    })
    expect(await call(client, 'lilypad_run_job', { quote_id, wait_s: 50 })).toMatchObject({
      job_id: job?.job_id,
      done: true,
      charged: '0.001',
    })
    expect(await listJobs(client)).toHaveLength(1)
    await client.close()
  },
)
