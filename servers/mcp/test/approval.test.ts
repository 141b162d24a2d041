import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sha256 } from '@lilypad-agents/protocol'
import { sqliteStore } from '@lilypad-agents/sdk/node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createApprovalSeal } from '../src/approval/approval-state.ts'
import type { McpConfig } from '../src/config/config.ts'
import { startMcpHttp } from '../src/index.ts'
import { callRefused, connectHttp } from './clients.ts'
import { callModern, questionOf, refusalOf } from './modern-call.ts'
import { type QuoteSeed, seedConfig, seedNetwork, seedQuotes } from './seed-jobs.ts'

const folder = mkdtempSync(join(tmpdir(), 'lilypad-mcp-approval-'))
const closers: (() => Promise<void>)[] = []
afterAll(async () => {
  for (const close of closers) await close()
  rmSync(folder, { recursive: true, force: true })
})

const form = { elicitation: { form: {} } }
const tool = 'lilypad_run_job'
let folders = 0
const now = () => Math.floor(Date.now() / 1000)

async function start(change: Partial<McpConfig> = {}, stateDirectory = join(folder, `state-${folders++}`)) {
  const server = await startMcpHttp(seedConfig(stateDirectory, change))
  closers.push(server.close)
  const quote = async (seed: QuoteSeed = {}) => (await seedQuotes(stateDirectory, [seed]))[0] ?? sha256('none')
  const run = (quote_id: string, params: Record<string, unknown> = {}, capabilities: Record<string, unknown> = form) =>
    callModern(server.url, { name: tool, args: { quote_id, wait_s: 0 }, capabilities, params })
  const read = async () => {
    const store = sqliteStore(stateDirectory)
    const kept = await store.transaction((transaction) => ({
      jobs: transaction.listJobs().length,
      approvals: transaction.listApprovals(),
    }))
    await store.close()
    return kept
  }
  return { url: server.url, stateDirectory, quote, run, read, close: server.close }
}
type Started = Awaited<ReturnType<typeof start>>

const word = (decision: unknown, action = 'accept') => ({
  inputResponses: { approval: { action, ...(decision === undefined ? {} : { content: { decision } }) } },
})
// Nobody answers on the network of the seeds, so an order that is approved ends there, before it is signed.
const approved = { code: 'RPC_UNREACHABLE', charged: 'none' }

describe('a form', () => {
  let server: Started
  beforeAll(async () => {
    server = await start()
  })

  test('shows what is bought, from whom, through which contract, and what is left', async () => {
    const quoteId = await server.quote({ maxPrice: 25n * 10n ** 16n })
    const { requestState, inputRequests } = questionOf(await server.run(quoteId))
    const { message, requestedSchema } = inputRequests.approval.params
    for (const fact of [
      'Module: sample',
      'Publisher: 0x',
      'Provider: 0x',
      'Costs at most: 0.25 LILY',
      `Paid through contract: ${seedNetwork.contracts.jobVault}`,
      'Chain: 31337 (seeded)',
      'May still be spent: 10 LILY',
      `Quote: ${quoteId}`,
    ])
      expect(message).toContain(fact)
    expect(requestedSchema).toMatchObject({ properties: { decision: { enum: ['approve', 'decline'] } } })
    expect(requestState).toMatch(/^[\w-]{100,2000}$/)
    expect(Buffer.from(requestState, 'base64url').toString('latin1')).not.toContain(quoteId)
    expect(await server.read()).toMatchObject({ jobs: 0 })
  })

  test('a word is kept until it is used, so that nobody is asked twice', async () => {
    const quoteId = await server.quote()
    const { requestState } = questionOf(await server.run(quoteId))
    expect(refusalOf(await server.run(quoteId, { requestState, ...word('approve') }))).toMatchObject(approved)
    expect(refusalOf(await server.run(quoteId, {}, {}))).toMatchObject(approved)
    const { approvals } = await server.read()
    expect(approvals.find(({ id }) => id === quoteId)).toMatchObject({ state: 'approved', way: 'elicit' })
  })

  test('another process on the folder knows the word, the next one too', async () => {
    const quoteId = await server.quote()
    const { requestState } = questionOf(await server.run(quoteId))
    const other = await start({}, server.stateDirectory)
    expect(refusalOf(await other.run(quoteId, { requestState, ...word('approve') }))).toMatchObject(approved)
    await other.close()
    closers.pop()
    expect(refusalOf(await server.run(quoteId))).toMatchObject(approved)
  })

  test.each([
    ['no in the form', word('decline')],
    ['a declined form', word(undefined, 'decline')],
  ])('%s ends it: nobody is asked again', async (_what, answer) => {
    const quoteId = await server.quote()
    const { requestState } = questionOf(await server.run(quoteId))
    const declined = { code: 'APPROVAL_DECLINED', charged: 'none' }
    expect(refusalOf(await server.run(quoteId, { requestState, ...answer }))).toMatchObject(declined)
    expect(refusalOf(await server.run(quoteId))).toMatchObject(declined)
  })

  test('a form that was only closed is asked again', async () => {
    const quoteId = await server.quote()
    const { requestState } = questionOf(await server.run(quoteId))
    const refused = refusalOf(await server.run(quoteId, { requestState, ...word(undefined, 'cancel') }))
    expect(refused).toMatchObject({ code: 'APPROVAL_DECLINED' })
    expect(questionOf(await server.run(quoteId)).requestState).not.toBe(requestState)
  })

  test('over a limit nobody is asked, and the setting is named', async () => {
    const quoteId = await server.quote({ maxPrice: 2n * 10n ** 18n })
    const refused = refusalOf(await server.run(quoteId))
    expect(refused).toMatchObject({ code: 'OVER_JOB_LIMIT', charged: 'none' })
    expect(refused.fix).toContain('--max-per-job')
    expect((await server.read()).approvals.find(({ id }) => id === quoteId)).toBeUndefined()
  })

  test('a client of the old era is asked over its connection', async () => {
    const quoteId = await server.quote()
    const asked: string[] = []
    const client = await connectHttp(server.url, 'legacy', undefined, {
      elicit: ({ message }) => {
        asked.push(message)
        return { action: 'accept', content: { decision: 'decline' } }
      },
    })
    expect(await callRefused(client, tool, { quote_id: quoteId })).toMatchObject({ code: 'APPROVAL_DECLINED' })
    expect(asked).toEqual([expect.stringContaining(quoteId)])
    await client.close()
  })
})

describe('M4: an approval that is not the one that was asked for', () => {
  let server: Started
  let seal: ReturnType<typeof createApprovalSeal>
  beforeAll(async () => {
    server = await start()
    seal = createApprovalSeal(server.stateDirectory, `${seedNetwork.chainId} ${seedNetwork.contracts.jobVault}`)
  })
  const ask = async () => {
    const quoteId = await server.quote()
    return { quoteId, requestState: questionOf(await server.run(quoteId)).requestState }
  }
  const expectRefused = async (quoteId: string, params: Record<string, unknown>, code: string, reason = '') => {
    const refused = refusalOf(await server.run(quoteId, params))
    expect(refused).toMatchObject({ code, charged: 'none' })
    expect(refused.message).toContain(reason)
    const { jobs, approvals } = await server.read()
    expect(jobs).toBe(0)
    expect(approvals.find(({ id }) => id === quoteId)?.state).toBe('wanted')
  }

  const expectNonceUsed = async (requestState: string) => {
    const store = sqliteStore(server.stateDirectory)
    const { nonce, exp } = seal.open(requestState)
    const isFree = await store.transaction((transaction) => transaction.useOnce(`approval ${nonce}`, exp, now()))
    expect(isFree).toBe(false)
    await store.close()
  }

  test('answers without a sealed question count for nothing: it is asked', async () => {
    const { quoteId } = await ask()
    questionOf(await server.run(quoteId, word('approve')))
    expect(await server.read()).toMatchObject({ jobs: 0 })
  })

  test('forged', async () => {
    const { quoteId } = await ask()
    for (const requestState of ['', 'x', Buffer.alloc(200, 7).toString('base64url'), 'A'.repeat(100_000), '{"exp":9}'])
      await expectRefused(quoteId, { requestState, ...word('approve') }, 'APPROVAL_INVALID', 'not made here')
  })

  test('tampered, in any byte', async () => {
    const { quoteId, requestState } = await ask()
    const bytes = Buffer.from(requestState, 'base64url')
    for (const at of [
      0,
      11,
      12,
      40,
      Math.floor(bytes.length / 2),
      bytes.length - 17,
      bytes.length - 16,
      bytes.length - 1,
    ]) {
      const changed = Buffer.from(bytes)
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at)
      await expectRefused(
        quoteId,
        { requestState: changed.toString('base64url'), ...word('approve') },
        'APPROVAL_INVALID',
      )
    }
    const cut = bytes.subarray(0, bytes.length - 1).toString('base64url')
    await expectRefused(quoteId, { requestState: cut, ...word('approve') }, 'APPROVAL_INVALID')
  })

  test('replayed, and after a restart too', async () => {
    const { quoteId, requestState } = await ask()
    const closed = { requestState, ...word(undefined, 'cancel') }
    expect(refusalOf(await server.run(quoteId, closed))).toMatchObject({ code: 'APPROVAL_DECLINED' })
    await expectRefused(quoteId, { requestState, ...word('approve') }, 'APPROVAL_INVALID', 'used before')
    const next = await start({}, server.stateDirectory)
    expect(refusalOf(await next.run(quoteId, { requestState, ...word('approve') }))).toMatchObject({
      code: 'APPROVAL_INVALID',
    })
  })

  test('one question answered twice at once counts once', async () => {
    const { quoteId, requestState } = await ask()
    const params = { requestState, ...word('approve') }
    const answers = await Promise.all(Array.from({ length: 10 }, () => server.run(quoteId, params)))
    const codes = new Set(answers.map((answer) => refusalOf(answer).code))
    // Whoever comes after the word was kept needs no answer of its own.
    expect([...codes].filter((code) => code !== 'RPC_UNREACHABLE' && code !== 'APPROVAL_INVALID')).toEqual([])
    expect(codes).toContain('RPC_UNREACHABLE')
    await expectNonceUsed(requestState)
    expect(await server.read()).toMatchObject({ jobs: 0 })
  })

  test('of another quote', async () => {
    const [one, two] = [await ask(), await ask()]
    await expectRefused(
      two.quoteId,
      { requestState: one.requestState, ...word('approve') },
      'APPROVAL_INVALID',
      'another quote',
    )
  })

  test.each([
    ['of another principal', { principal: 'mallory' }, 'APPROVAL_INVALID', 'somebody else'],
    ['of another amount, by one', { max_charge: 10n ** 15n - 1n }, 'APPROVAL_INVALID', 'another amount'],
    ['of other inputs', { inputs_digest: sha256('other') }, 'APPROVAL_INVALID', 'other inputs'],
    ['expired', { exp: now() - 1 }, 'APPROVAL_EXPIRED', 'expired'],
  ])('%s, though sealed here', async (_what, change, code, reason) => {
    const { quoteId, requestState } = await ask()
    const state = { ...seal.open(requestState), ...change }
    await expectRefused(quoteId, { requestState: seal.seal(state), ...word('approve') }, code, reason)
  })

  test('sealed for another network', async () => {
    const { quoteId, requestState } = await ask()
    const elsewhere = createApprovalSeal(server.stateDirectory, `1 ${seedNetwork.contracts.jobVault}`)
    const state = elsewhere.seal(seal.open(requestState))
    await expectRefused(quoteId, { requestState: state, ...word('approve') }, 'APPROVAL_INVALID')
  })

  test('lasts ten minutes at most, and no longer than the quote', async () => {
    const long = questionOf(await server.run(await server.quote({ seconds: 5000 })))
    expect(seal.open(long.requestState).exp).toBeLessThanOrEqual(now() + 600)
    const short = questionOf(await server.run(await server.quote({ seconds: 50 })))
    expect(seal.open(short.requestState).exp).toBeLessThanOrEqual(now() + 50)
  })

  test.each([
    ['no decision', word(undefined)],
    ['another word', word('yes')],
    ['a list', word(['approve'])],
    ['another field', { inputResponses: { approval: { action: 'accept', content: { confirm: true } } } }],
    ['another question', { inputResponses: { other: { action: 'accept', content: { decision: 'approve' } } } }],
    ['no answers', {}],
  ])('%s is none', async (_what, answer) => {
    const { quoteId, requestState } = await ask()
    await expectRefused(quoteId, { requestState, ...answer }, 'APPROVAL_INVALID')
  })

  test('a client that cannot ask gets the exact command for a terminal', async () => {
    const quoteId = await server.quote()
    for (const capabilities of [{}, { sampling: {} }, { elicitation: { url: {} } }]) {
      const refused = refusalOf(await server.run(quoteId, {}, capabilities))
      expect(refused).toMatchObject({ code: 'APPROVAL_REQUIRED', charged: 'none', retryable: false })
      expect(refused.fix).toContain(`lilypad-mcp approve ${quoteId} --state-dir ${server.stateDirectory}`)
    }
    expect((await server.read()).approvals.find(({ id }) => id === quoteId)).toMatchObject({ state: 'wanted' })
  })

  test('the key of the seal is for its owner alone, and one for the folder', () => {
    const path = join(server.stateDirectory, 'approval.key')
    expect(readFileSync(path)).toHaveLength(32)
    if (process.platform !== 'win32') expect(statSync(path).mode & 0o077).toBe(0)
  })
})

describe('M5: nothing that comes from the client raises a limit or skips an approval', () => {
  let server: Started
  beforeAll(async () => {
    server = await start({ networkFile: '/nowhere/network.json' })
  })
  const yes = { approval: 'host', mode: 'live', max_per_job: '1000', auto_approve_under: '1000', confirm: true }
  const capabilities = { experimental: { lilypad: yes }, extensions: { 'lilypad/approval': yes } }

  test.each<
    [
      string,
      Omit<Parameters<typeof callModern>[1], 'name' | 'args'> & { args?: Record<string, unknown>; query?: string },
    ]
  >([
    ['arguments', { args: yes }],
    ['an argument for approval', { args: { approve: true } }],
    ['an argument for a limit', { args: { max_charge: '1000' } }],
    ['metadata', { meta: { ...yes, 'lilypad/approval': 'host' } }],
    ['parameters', { params: yes }],
    ['capabilities', { capabilities }],
    [
      'who the client says it is',
      { meta: { 'io.modelcontextprotocol/clientInfo': { name: 'local', version: '1', ...yes } } },
    ],
    ['headers', { headers: { 'x-lilypad-approval': 'host', 'x-lilypad-max-per-job': '1000', 'lilypad-mode': 'live' } }],
    ['headers as variables', { headers: { 'LILYPAD-APPROVAL': 'host', LILYPAD_MAX_PER_JOB: '1000' } }],
    ['the address', { query: '?approval=host&max_per_job=1000' }],
    ['a payment of another kind', { meta: { 'x402/payment': { amount: '1' } } }],
    [
      'an answer to nothing',
      { params: { inputResponses: { approval: { action: 'accept', content: { decision: 'approve', ...yes } } } } },
    ],
  ])('%s', async (_what, { args = {}, query = '', ...call }) => {
    const over = await server.quote({ maxPrice: 10n ** 18n + 1n })
    const within = await server.quote()
    const url = `${server.url}${query}`
    const ask = async (quote_id: string) =>
      refusalOf(await callModern(url, { ...call, name: tool, args: { quote_id, wait_s: 0, ...args } })).code
    expect(['OVER_JOB_LIMIT', 'INVALID_REQUEST']).toContain(await ask(over))
    expect(['APPROVAL_REQUIRED', 'INVALID_REQUEST']).toContain(await ask(within))
    expect(await server.read()).toMatchObject({ jobs: 0 })
  })

  test('an answer to the form that says more than yes', async () => {
    const quoteId = await server.quote()
    const { requestState } = questionOf(await server.run(quoteId))
    const answer = { inputResponses: { approval: { action: 'accept', content: { decision: 'approve', ...yes } } } }
    await server.run(quoteId, { requestState, ...answer })
    expect(questionOf(await server.run(await server.quote())).resultType).toBe('input_required')
    const over = await server.quote({ maxPrice: 10n ** 18n + 1n })
    expect(refusalOf(await server.run(over))).toMatchObject({ code: 'OVER_JOB_LIMIT' })
  })

  test('the environment of a client, and what it says when it opens', async () => {
    const quoteId = await server.quote()
    const client = await connectHttp(server.url, 'legacy', undefined, {
      name: 'approval=host',
      capabilities: { experimental: { lilypad: yes } },
    })
    expect(await callRefused(client, tool, { quote_id: quoteId })).toMatchObject({ code: 'APPROVAL_REQUIRED' })
    await client.close()
  })
})

describe('other ways', () => {
  test('host: nothing is asked here', async () => {
    const server = await start({ approval: 'host' })
    expect(refusalOf(await server.run(await server.quote(), {}, {}))).toMatchObject(approved)
  })

  test('under the amount nothing is asked, from it on it is', async () => {
    const server = await start({ policy: { ...seedConfig('').policy, approveFrom: 10n ** 15n } })
    expect(refusalOf(await server.run(await server.quote({ maxPrice: 10n ** 15n - 1n })))).toMatchObject(approved)
    questionOf(await server.run(await server.quote({ maxPrice: 10n ** 15n })))
  })

  test('deny: refused, and a word in a terminal does not help', async () => {
    const server = await start({ approval: 'deny' })
    const quoteId = await server.quote()
    const refused = refusalOf(await server.run(quoteId))
    expect(refused).toMatchObject({ code: 'APPROVAL_DECLINED' })
    expect(refused.fix).toContain('--approval deny')
    const store = sqliteStore(server.stateDirectory)
    const wantedAt = Math.floor(Date.now() / 1000)
    const kept = {
      id: quoteId,
      maxPrice: 10n ** 15n,
      left: 0n,
      wantedAt,
      decidedAt: wantedAt,
      validUntil: wantedAt + 99,
    }
    await store.transaction((transaction) => transaction.putApproval({ ...kept, state: 'approved', way: 'cli' }))
    await store.close()
    expect(refusalOf(await server.run(quoteId))).toMatchObject({ code: 'APPROVAL_DECLINED' })
  })

  test('cli: a form is not shown, and the word of one does not count', async () => {
    const server = await start({ approval: 'cli' })
    const quoteId = await server.quote()
    expect(refusalOf(await server.run(quoteId))).toMatchObject({ code: 'APPROVAL_REQUIRED' })
    const other = await start({}, server.stateDirectory)
    const { requestState } = questionOf(await other.run(quoteId))
    expect(refusalOf(await other.run(quoteId, { requestState, ...word('approve') }))).toMatchObject(approved)
    expect(refusalOf(await server.run(quoteId))).toMatchObject({ code: 'APPROVAL_REQUIRED' })
  })

  describe('url: a page on this machine', () => {
    const opens = { elicitation: { url: {} } }
    let server: Started
    beforeAll(async () => {
      server = await start({ approval: 'url' })
    })
    const open = async () => {
      const quoteId = await server.quote()
      const { requestState, inputRequests } = questionOf(await server.run(quoteId, {}, opens))
      const page = new URL(String(inputRequests.approval.params.url))
      return { quoteId, requestState, page, token: page.searchParams.get('token') ?? '' }
    }
    const post = (page: URL, body: Record<string, string>, headers: Record<string, string> = {}) =>
      fetch(new URL(page.pathname, page), { method: 'POST', body: new URLSearchParams(body), headers })

    test('shows the facts, and what is chosen there is the word', async () => {
      const { quoteId, requestState, page, token } = await open()
      expect(page.hostname).toBe('127.0.0.1')
      const shown = await fetch(page)
      expect(shown.headers.get('content-security-policy')).toContain("default-src 'none'")
      const text = await shown.text()
      for (const fact of [quoteId, '0.001 LILY', seedNetwork.contracts.jobVault]) expect(text).toContain(fact)
      expect((await post(page, { token, decision: 'approve' })).status).toBe(200)
      expect((await post(page, { token, decision: 'approve' })).status).toBe(410)
      const params = { requestState, ...word(undefined) }
      expect(refusalOf(await server.run(quoteId, params, opens))).toMatchObject(approved)
    })

    test('no on the page', async () => {
      const { quoteId, requestState, page, token } = await open()
      await post(page, { token, decision: 'decline' })
      const params = { requestState, ...word(undefined) }
      expect(refusalOf(await server.run(quoteId, params, opens))).toMatchObject({ code: 'APPROVAL_DECLINED' })
    })

    test('pages of others, wrong links and other hosts decide nothing', async () => {
      const { quoteId, page, token } = await open()
      expect((await post(page, { token, decision: 'approve' }, { origin: 'https://evil.example' })).status).toBe(403)
      expect((await post(page, { token: 'x', decision: 'approve' })).status).toBe(410)
      expect((await post(page, { token, decision: 'maybe' })).status).toBe(400)
      expect((await fetch(new URL('/approve', page))).status).toBe(410)
      expect((await fetch(new URL('/other', page))).status).toBe(404)
      expect((await server.read()).approvals.find(({ id }) => id === quoteId)).toMatchObject({ state: 'wanted' })
    })

    test('a client that opens no links never sees one', async () => {
      const refused = refusalOf(await server.run(await server.quote(), {}, form))
      expect(refused).toMatchObject({ code: 'APPROVAL_REQUIRED' })
      expect(JSON.stringify(refused)).not.toContain('http://')
    })
  })
})
