import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type ErrorCode, errorCodes, errorTable, isFinal } from '@lilypad-agents/protocol'
import { getAccount, type StoredJob } from '@lilypad-agents/sdk'
import { sqliteStore } from '@lilypad-agents/sdk/node'
import type { Client } from '@modelcontextprotocol/client'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  bundleFile,
  callRefused,
  callTool,
  type ClientManners,
  connectHttp,
  connectStdio as connectStdioTo,
  eras,
  startHttpProcess,
} from '../../../servers/mcp/test/clients.ts'
import { callModern, questionOf } from '../../../servers/mcp/test/modern-call.ts'
import { call, useMcpNetwork } from './mcp-network.ts'
import { type Disturbance, type Moment, type SolverProxy, startSolverProxy } from './solver-proxy.ts'

vi.setConfig({ testTimeout: 240_000, hookTimeout: 180_000 })

const lab = useMcpNetwork(['echo', 'slow'])
const { scratch, freshFolder, settings, trusting } = lab
/** What a run of the module `lane-echo` costs, in base units. */
const price = 10n ** 15n
const lily = 10n ** 18n
let proxy: SolverProxy

beforeEach(async () => {
  proxy = await startSolverProxy(lab.network.network.solverUrl)
})
afterEach(() => proxy?.close())

const viaProxy = (stateDirectory: string, ...more: string[]) =>
  trusting(stateDirectory, '--solver-url', proxy.url, ...more)
// What is published is what is tested here; the build comes before the tests.
const connectStdio = (args: readonly string[], era: 'legacy' | 'modern' = 'modern', manners: ClientManners = {}) =>
  connectStdioTo(args, era, bundleFile, manners)

const quote = async (client: Client, text = 'hello', module = 'lane-echo') =>
  String((await call(client, 'lilypad_quote_job', { module, inputs: { text } })).quote_id)

async function vaultBalance(): Promise<bigint> {
  const client = lab.network.openClient()
  try {
    const { payer } = client
    if (!payer) throw new Error('the session key has no payer')
    return (await getAccount(client.client, { payer, token: lab.network.network.contracts.lilyToken })).balance
  } finally {
    await client.close()
  }
}

/** Waits until everything that a folder ordered is paid or will not be, and compares its ledger with the chain. */
async function expectLedgerIsChain(
  stateDirectory: string,
  before: bigint,
): Promise<{ readonly jobs: number; readonly spent: bigint }> {
  const { client } = await connectStdio(trusting(stateDirectory))
  const store = sqliteStore(stateDirectory)
  const list = () => store.transaction((transaction) => transaction.listJobs())
  const isOpen = ({ state, price: paid }: StoredJob) =>
    paid === null ? !isFinal(state) : paid > 0n && state !== 'settled'
  await expect
    .poll(
      async () => {
        const open = (await list()).filter(isOpen)
        for (const { orderHash } of open) await callTool(client, 'lilypad_get_job', { job_id: orderHash })
        return open.map(({ state, reason }) => `${state} ${reason?.code ?? ''}`)
      },
      { timeout: 150_000, interval: 500 },
    )
    .toEqual([])
  await client.close()
  const jobs = await list()
  await store.close()
  const spent = jobs.reduce((sum, { price: paid }) => sum + (paid ?? 0n), 0n)
  expect(before - (await vaultBalance())).toBe(spent)
  return { jobs: jobs.length, spent }
}

test('M1: one quote run fifty times at once, by two processes, with replies lost on both sides, is one job and one payment', async () => {
  const before = await vaultBalance()
  const stateDirectory = freshFolder()
  const lost = new Map<string, number>()
  proxy.disturb = ({ method, path, phase }) => {
    const what = `${method} ${path}`
    const isMoney = path === '/jobs' || path.endsWith('/acknowledgement')
    const times = lost.get(what) ?? 0
    if (phase !== 'after' || !isMoney || times >= 3) return undefined
    lost.set(what, times + 1)
    return 'drop'
  }
  const one = await connectStdio(viaProxy(stateDirectory), 'modern')
  const two = await connectStdio(viaProxy(stateDirectory), 'legacy')
  const quote_id = await quote(one.client)
  const outcomes = await Promise.allSettled(
    Array.from({ length: 50 }, async (_, index) => {
      const { client } = index % 2 ? one : two
      const args = { quote_id, wait_s: index % 3 ? 40 : 0 }
      // Of every fifth call nobody hears the answer.
      if (index % 5 > 0) return callTool(client, 'lilypad_run_job', args)
      await client.callTool(
        { name: 'lilypad_run_job', arguments: args },
        { signal: AbortSignal.timeout(30 * (index + 1)) },
      )
      return undefined
    }),
  )
  const answers = outcomes.flatMap((outcome) =>
    outcome.status === 'fulfilled' && outcome.value ? [outcome.value] : [],
  )
  expect(answers.length).toBeGreaterThanOrEqual(40)
  const ids = new Set(answers.flatMap(({ isError, structuredContent }) => (isError ? [] : [structuredContent.job_id])))
  expect(ids.size).toBe(1)
  expect(lost.get('POST /jobs')).toBeGreaterThan(0)
  // The answers do not wait for the acknowledgement.
  await vi.waitFor(() => expect([...lost.keys()].some((what) => what.endsWith('/acknowledgement'))).toBe(true), 30_000)
  await one.client.close()
  await two.client.close()
  expect(await expectLedgerIsChain(stateDirectory, before)).toEqual({ jobs: 1, spent: price })
})

describe('M2: a server that is killed at any step loses no job, and its ledger is the chain', () => {
  const at = (method: string, path: string, phase: Moment['phase']): Moment => ({ method, path, phase })
  test.each<[string, Moment, number]>([
    ['before the solver gives a quote', at('POST', '/quotes', 'before'), 0],
    ['signed and stored, before the order leaves', at('POST', '/jobs', 'before'), 1],
    ['ordered, before the answer is heard', at('POST', '/jobs', 'after'), 1],
    ['before the job is looked at', at('GET', '/jobs/*', 'before'), 1],
    ['delivered, before the outputs are fetched', at('GET', '/jobs/*/outputs/*', 'before'), 1],
    ['outputs fetched, before they are stored', at('GET', '/jobs/*/outputs/*', 'after'), 1],
    ['acknowledged and stored, before the acknowledgement leaves', at('POST', '/jobs/*/acknowledgement', 'before'), 1],
    ['acknowledged, before the answer is heard', at('POST', '/jobs/*/acknowledgement', 'after'), 1],
  ])('%s', async (_what, moment, jobs) => {
    const before = await vaultBalance()
    const stateDirectory = freshFolder()
    const { client, pid } = await connectStdio(viaProxy(stateDirectory))
    let isKilled = false
    proxy.disturb = ({ method, path, phase }) => {
      if (isKilled || method !== moment.method || path !== moment.path || phase !== moment.phase) return undefined
      isKilled = true
      process.kill(pid, 'SIGKILL')
      return 'drop'
    }
    await quote(client)
      .then((quote_id) => client.callTool({ name: 'lilypad_run_job', arguments: { quote_id, wait_s: 30 } }))
      .catch(() => undefined)
    expect(isKilled, 'the step was reached').toBe(true)
    await client.close().catch(() => undefined)
    expect(await expectLedgerIsChain(stateDirectory, before)).toEqual({ jobs, spent: BigInt(jobs) * price })
  })
})

test('M3: whatever two processes quote, run and cancel on a real network, no limit is passed', async () => {
  const before = await vaultBalance()
  const stateDirectory = freshFolder()
  const limits = [
    '--max-total',
    '0.006',
    '--max-per-session',
    '0.004',
    '--max-concurrent',
    '3',
    '--max-jobs-per-hour',
    '7',
  ]
  const clients = await Promise.all([0, 1].map(() => connectStdio(trusting(stateDirectory, ...limits))))
  const quotes: string[] = []
  const jobs = new Set<string>()
  const codes: string[] = []
  let seed = 20_261_123
  const draw = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
    return Math.floor((seed / 2 ** 31) * below)
  }
  const act = async (index: number) => {
    const { client } = clients[draw(2)] ?? {}
    if (!client) return
    const kind = draw(10)
    if (kind < 3 || quotes.length === 0)
      quotes.push(await quote(client, `text ${index}`, draw(4) ? 'lane-echo' : 'lane-slow'))
    else if (kind < 9) {
      const quote_id = quotes[draw(quotes.length)]
      const answer = await callTool(client, 'lilypad_run_job', { quote_id, wait_s: draw(2) })
      const { error, job_id } = answer.structuredContent as {
        error?: { code: string; charged: string }
        job_id?: string
      }
      if (job_id) jobs.add(job_id)
      if (error) {
        codes.push(error.code)
        expect(error.charged).toBe('none')
      }
    } else {
      const [job_id] = [...jobs].slice(draw(Math.max(1, jobs.size)))
      if (job_id) await callTool(client, 'lilypad_cancel_job', { job_id })
    }
  }
  for (let index = 0; index < 60; index += 3) await Promise.all([act(index), act(index + 1), act(index + 2)])
  const store = sqliteStore(stateDirectory)
  const kept = await store.transaction((transaction) => transaction.listJobs())
  await store.close()
  expect(kept.map(({ orderHash }) => orderHash).sort()).toEqual([...jobs].sort())
  expect(kept.length).toBeGreaterThan(2)
  expect(kept.length).toBeLessThanOrEqual(7)
  expect(codes.length).toBeGreaterThan(0)
  expect(codes.filter((code) => !code.startsWith('OVER_'))).toEqual([])
  for (const { client } of clients) await client.close()
  const { spent } = await expectLedgerIsChain(stateDirectory, before)
  expect(spent).toBeGreaterThan(0n)
  expect(spent).toBeLessThanOrEqual(6n * price)
})

describe('M4: a person decides, and only what they approved is bought', () => {
  const tool = 'lilypad_run_job'
  const elicit = (decision: string, asked: string[] = []): ClientManners => ({
    elicit: ({ message }) => {
      asked.push(message)
      return { action: 'accept', content: { decision } }
    },
  })

  describe.each(['stdio', 'http'] as const)('over %s', (transport) => {
    test.each(eras)('in the %s era, by a form', async (era) => {
      const before = await vaultBalance()
      const stateDirectory = freshFolder()
      const open = async (manners: ClientManners) => {
        if (transport === 'stdio') {
          const { client } = await connectStdio(settings(stateDirectory), era, manners)
          return { client, close: () => client.close() }
        }
        const server = await startHttpProcess(settings(stateDirectory), bundleFile)
        const client = await connectHttp(server.url, era, undefined, manners)
        return { client, close: () => client.close().then(server.close) }
      }
      const asked: string[] = []
      const yes = await open(elicit('approve', asked))
      const quote_id = await quote(yes.client)
      expect(await call(yes.client, tool, { quote_id })).toMatchObject({ done: true, verified: true, charged: '0.001' })
      // The same quote again is the same job: nobody is asked about it.
      expect(await call(yes.client, tool, { quote_id })).toMatchObject({ done: true, charged: '0.001' })
      expect(asked).toEqual([expect.stringContaining('Costs at most: 0.001 LILY')])
      await yes.close()
      const no = await open(elicit('decline'))
      const declined = await callRefused(no.client, tool, { quote_id: await quote(no.client) })
      expect(declined).toMatchObject({ code: 'APPROVAL_DECLINED', charged: 'none' })
      await no.close()
      expect(await expectLedgerIsChain(stateDirectory, before)).toEqual({ jobs: 1, spent: price })
    })
  })

  test('before a task is made', async () => {
    const server = await startHttpProcess(settings(freshFolder()), bundleFile)
    const capabilities = { elicitation: { form: {} }, extensions: { 'io.modelcontextprotocol/tasks': {} } }
    const ask = (name: string, args: Record<string, unknown>, params = {}) =>
      callModern(server.url, { name, args, capabilities, params })
    const quoted = await ask('lilypad_quote_job', { module: 'lane-slow', inputs: { text: 'hello' } })
    const { quote_id, needs_approval } = (quoted.result?.structuredContent ?? {}) as {
      quote_id?: string
      needs_approval?: boolean
    }
    expect(needs_approval).toBe(true)
    const { requestState } = questionOf(await ask(tool, { quote_id }))
    const inputResponses = { approval: { action: 'accept', content: { decision: 'approve' } } }
    const { result } = await ask(tool, { quote_id }, { requestState, inputResponses })
    expect(result).toMatchObject({ resultType: 'task', status: 'working' })
    // The answer again is no second word: it is the same job.
    expect((await ask(tool, { quote_id }, { requestState, inputResponses })).result).toMatchObject({
      taskId: result?.taskId,
    })
    await server.close()
  })

  test('on a page', async () => {
    const before = await vaultBalance()
    const stateDirectory = freshFolder()
    const server = await startHttpProcess(settings(stateDirectory, '--approval', 'url'), bundleFile)
    const capabilities = { elicitation: { url: {} } }
    const reader = await connectHttp(server.url, 'modern')
    const quote_id = await quote(reader)
    const run = (params = {}) =>
      callModern(server.url, { name: tool, args: { quote_id, wait_s: 30 }, capabilities, params })
    const { requestState, inputRequests } = questionOf(await run())
    const page = new URL(String(inputRequests.approval.params.url))
    const token = page.searchParams.get('token') ?? ''
    const inputResponses = { approval: { action: 'accept' } }
    // The client says that the page was opened, the person decides a little later.
    const running = run({ requestState, inputResponses })
    await new Promise((resolve) => setTimeout(resolve, 400))
    await fetch(new URL(page.pathname, page), {
      method: 'POST',
      body: new URLSearchParams({ token, decision: 'approve' }),
    })
    expect((await running).result?.structuredContent).toMatchObject({ done: true, charged: '0.001' })
    await reader.close()
    await server.close()
    expect(await expectLedgerIsChain(stateDirectory, before)).toEqual({ jobs: 1, spent: price })
  })

  const hasScript = process.platform === 'linux'
  test.skipIf(!hasScript)('in a terminal, for a client that cannot ask', async () => {
    const before = await vaultBalance()
    const stateDirectory = freshFolder()
    const { client } = await connectStdio(settings(stateDirectory))
    const quote_id = await quote(client)
    const refused = await callRefused(client, tool, { quote_id })
    expect(refused).toMatchObject({ code: 'APPROVAL_REQUIRED', charged: 'none' })
    const command = /`([^`]+)`/.exec(refused.fix)?.[1] ?? ''
    // The command is taken as it was told, and gets a terminal of its own.
    const child = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] })
    let shown = ''
    child.stdout.on('data', (chunk: Buffer) => {
      shown += chunk.toString()
      if (shown.includes('Type 0.001 to approve') && child.stdin.writable) child.stdin.end('0.001\n')
    })
    const [code] = await once(child, 'exit')
    expect(code, shown).toBe(0)
    expect(shown).toContain(`Quote: ${quote_id}`)
    expect(await call(client, tool, { quote_id })).toMatchObject({ done: true, charged: '0.001' })
    // The word was used: it is good for no second quote.
    expect(await callRefused(client, tool, { quote_id: await quote(client) })).toMatchObject({
      code: 'APPROVAL_REQUIRED',
    })
    await client.close()
    expect(await expectLedgerIsChain(stateDirectory, before)).toEqual({ jobs: 1, spent: price })
  })
})

describe('M6: what an error says was charged is what the chain says', () => {
  const refusing =
    (code: ErrorCode, method: string, path: string) =>
    (moment: Moment): Disturbance =>
      moment.method === method && moment.path === path && moment.phase === 'before'
        ? // Whoever refuses says that a lot was charged; it is not believed.
          {
            status: errorTable[code].http,
            body: { error: { code, message: 'no', charged: '999', retryable: errorTable[code].retryable } },
          }
        : undefined

  test('every code, from a solver that refuses to quote: nothing', async () => {
    const before = await vaultBalance()
    const stateDirectory = freshFolder()
    const { client } = await connectStdio(viaProxy(stateDirectory))
    for (const code of errorCodes) {
      proxy.disturb = refusing(code, 'POST', '/quotes')
      const refused = await callRefused(client, 'lilypad_quote_job', { module: 'lane-echo', inputs: { text: code } })
      expect([refused.code, refused.charged]).toEqual([code, 'none'])
    }
    await client.close()
    expect(await expectLedgerIsChain(stateDirectory, before)).toEqual({ jobs: 0, spent: 0n })
  })

  test('every code, from a solver that refuses a signed order: reserved, until it is known', async () => {
    const before = await vaultBalance()
    const stateDirectory = freshFolder()
    const { client } = await connectStdio(viaProxy(stateDirectory, '--max-concurrent', '200', '--stop-after', '0'))
    for (const code of errorCodes) {
      proxy.disturb = refusing(code, 'POST', '/jobs')
      const quote_id = await quote(client, code)
      const { isError, structuredContent } = await callTool(client, 'lilypad_run_job', { quote_id, wait_s: 0 })
      const told = (isError ? structuredContent.error : structuredContent.problem) as
        | { code: string; charged: string }
        | undefined
      if (isError) expect([told?.code, told?.charged], code).toEqual([code, 'reserved'])
      // What may pass by itself is tried again, and the answer is the job.
      else expect(structuredContent, code).toMatchObject({ payment: 'reserved', charged: '0' })
    }
    const wallet = await call(client, 'lilypad_get_wallet')
    const signed = BigInt(errorCodes.length)
    expect(wallet).toMatchObject({ spent: { total: String(Number((signed * price * 1000n) / lily) / 1000) } })
    expect(await vaultBalance()).toBe(before)
    await client.close()
    // Every signed order is still good: with a solver that takes them, they are run and paid, once each.
    proxy.disturb = () => undefined
    const { jobs, spent } = await expectLedgerIsChain(stateDirectory, before)
    expect(jobs).toBe(errorCodes.length)
    expect(spent).toBeLessThanOrEqual(signed * price)
  })

  test.each<[ErrorCode, readonly string[]]>([
    ['OVER_JOB_LIMIT', ['--max-per-job', '0.0009']],
    ['OVER_SESSION_LIMIT', ['--max-per-session', '0.0009']],
    ['OVER_DAY_LIMIT', ['--max-per-day', '0.0009']],
    ['OVER_TOTAL_LIMIT', ['--max-total', '0.0009']],
    ['OVER_HOUR_LIMIT', ['--max-jobs-per-hour', '0']],
    ['OVER_CONCURRENT_LIMIT', ['--max-concurrent', '0']],
    ['MODULE_NOT_ALLOWED', ['--deny-module', 'lane-echo']],
    ['MODULE_NOT_ALLOWED', ['--allow-module', 'lane-slow']],
    ['PUBLISHER_NOT_ALLOWED', ['--allow-publisher', `0x${'1'.repeat(40)}`]],
    ['APPROVAL_REQUIRED', ['--approval', 'cli']],
    ['APPROVAL_DECLINED', ['--approval', 'deny']],
    ['READ_ONLY', ['--mode', 'read-only']],
  ])('%s with %j: nothing', async (code, more) => {
    const before = await vaultBalance()
    const stateDirectory = freshFolder()
    const { client } = await connectStdio(trusting(stateDirectory, ...more))
    const refused = await callRefused(client, 'lilypad_run_job', { quote_id: await quote(client) })
    expect(refused).toMatchObject({ code, charged: 'none' })
    await client.close()
    expect(await vaultBalance()).toBe(before)
    const store = sqliteStore(stateDirectory)
    expect(await store.transaction((transaction) => transaction.listLedger())).toEqual([])
    await store.close()
  })

  test('PUBLISHER_NOT_ALLOWED for the author whom the registry names, and nobody else', async () => {
    const { client } = await connectStdio(trusting(freshFolder()))
    const { author } = (await call(client, 'lilypad_get_module', { module: 'lane-echo' })) as { author?: string }
    const store = lab.network.openClient()
    const publisher = author ?? (await store.getModule('lane-echo')).author
    await store.close()
    await client.close()
    const denied = await connectStdio(trusting(freshFolder(), '--deny-publisher', publisher))
    const refused = await callRefused(denied.client, 'lilypad_run_job', { quote_id: await quote(denied.client) })
    expect(refused).toMatchObject({ code: 'PUBLISHER_NOT_ALLOWED', charged: 'none' })
    await denied.client.close()
    const allowed = await connectStdio(trusting(freshFolder(), '--allow-publisher', publisher))
    expect(await call(allowed.client, 'lilypad_run_job', { quote_id: await quote(allowed.client) })).toMatchObject({
      done: true,
    })
    await allowed.client.close()
  })

  test('SPENDING_STOPPED: nothing, for every process on the folder, until it is resumed', async () => {
    const stateDirectory = freshFolder()
    const store = sqliteStore(stateDirectory)
    const stopped = { reason: 'failures' as const, count: 3, at: 1_800_000_000 }
    await store.transaction((transaction) => transaction.putBreaker({ failures: 3, stopped, resumedAt: 0 }))
    const { client } = await connectStdio(trusting(stateDirectory))
    const quote_id = await quote(client)
    const refused = await callRefused(client, 'lilypad_run_job', { quote_id })
    expect(refused).toMatchObject({ code: 'SPENDING_STOPPED', charged: 'none' })
    expect(refused.fix).toContain(` resume --state-dir ${stateDirectory}`)
    const wallet = await call(client, 'lilypad_get_wallet')
    expect(wallet.stopped).toContain('3 orders in a row')
    await store.transaction((transaction) =>
      transaction.putBreaker({ failures: 0, stopped: null, resumedAt: 1_800_000_001 }),
    )
    await store.close()
    expect(await call(client, 'lilypad_run_job', { quote_id })).toMatchObject({ done: true })
    await client.close()
  })
})

test('M7: key and RPC token are in no byte that leaves the process, and not in the state folder', async () => {
  const stateDirectory = freshFolder()
  const token = 'canary-c0ffee-rpc-token'
  const key = readFileSync(lab.network.state.keyFile('session'), 'utf8').trim().slice(2)
  const withToken = (url: string) => `${url}/?token=${token}`
  const good = trusting(stateDirectory, '--rpc-url', withToken(lab.network.network.rpcUrl), '--log-level', 'debug')
  const { client, errors } = await connectStdio(good)
  const seen: string[] = []
  const use = async (name: string, args: Record<string, unknown> = {}) => {
    const { structuredContent } = await callTool(client, name, args)
    seen.push(JSON.stringify(structuredContent))
    return structuredContent
  }
  const quote_id = await quote(client)
  const { job_id } = await use('lilypad_run_job', { quote_id })
  for (const name of ['lilypad_get_job', 'lilypad_verify_job', 'lilypad_get_outputs']) await use(name, { job_id })
  for (const name of ['lilypad_get_wallet', 'lilypad_list_jobs', 'lilypad_search_modules']) await use(name)
  for (const uri of ['lilypad://network', 'lilypad://ledger', 'lilypad://docs/policy', `lilypad://jobs/${job_id}`])
    seen.push(JSON.stringify(await client.readResource({ uri })))
  await client.close()
  seen.push(errors())

  // An endpoint that is away, and one that is none: their errors are what tells most.
  for (const url of ['http://127.0.0.1:1', `${lab.network.network.solverUrl}/none`]) {
    const bad = await connectStdio(trusting(freshFolder(), '--rpc-url', withToken(url), '--log-level', 'debug'))
    seen.push(JSON.stringify(await callTool(bad.client, 'lilypad_get_wallet')))
    seen.push(
      JSON.stringify(await callTool(bad.client, 'lilypad_quote_job', { module: 'lane-echo', inputs: { text: 'a' } })),
    )
    await bad.client.close()
    seen.push(bad.errors())
  }
  const run = promisify(execFile)
  for (const command of [
    ['doctor'],
    ['doctor', '--json'],
    ['ledger'],
    ['approve'],
    ['doctor', '--rpc-url', withToken('http://127.0.0.1:1')],
  ]) {
    const [name = '', ...rest] = command
    const { stdout, stderr } = await run(process.execPath, [bundleFile, name, ...good, ...rest]).catch(
      (error: { stdout: string; stderr: string }) => error,
    )
    seen.push(stdout, stderr)
  }
  for (const name of readdirSync(stateDirectory, { recursive: true, encoding: 'utf8' })) {
    const path = join(stateDirectory, name)
    if (statSync(path).isFile()) seen.push(readFileSync(path, 'latin1'))
  }
  expect(seen.join('').length).toBeGreaterThan(10_000)
  const bytes = seen.join('\n').toLowerCase()
  for (const secret of [
    key,
    token,
    Buffer.from(key, 'hex').toString('latin1').toLowerCase(),
    BigInt(`0x${key}`).toString(),
  ])
    expect(bytes.includes(secret.toLowerCase())).toBe(false)
})

test('the doctor finds a whole network well', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    bundleFile,
    'doctor',
    '--json',
    ...settings(freshFolder()),
  ])
  const { ok, findings } = JSON.parse(stdout) as { ok: boolean; findings: { name: string; found: string }[] }
  expect(ok, stdout).toBe(true)
  expect(findings.map(({ name }) => name)).toEqual([
    ...['network file', 'chain', 'contracts', 'solver', 'key file', 'grant', 'deposit', 'state folder', 'limits'],
  ])
  expect(findings.find(({ name }) => name === 'contracts')?.found).toMatch(/^14 contracts have the code/)
})

test('a network file whose code hashes are not those of the contracts signs nothing', async () => {
  const file = join(scratch, 'wrong-network.json')
  const told = JSON.parse(readFileSync(lab.network.state.networkFile, 'utf8'))
  writeFileSync(file, JSON.stringify({ ...told, codeHashes: { ...told.codeHashes, jobVault: `0x${'1'.repeat(64)}` } }))
  const before = await vaultBalance()
  const { client } = await connectStdio(trusting(freshFolder(), '--network', file))
  const refused = await callRefused(client, 'lilypad_quote_job', { module: 'lane-echo', inputs: { text: 'a' } })
  expect(refused).toMatchObject({ code: 'WRONG_CONTRACT', charged: 'none' })
  await client.close()
  expect(await vaultBalance()).toBe(before)
})
