import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { keccak256, LilypadError } from '@lilypad-agents/protocol'
import { sqliteStore } from '@lilypad-agents/sdk/node'
import { afterAll, describe, expect, test } from 'vitest'
import { ownCommand } from '../src/commands/own-command.ts'
import { runCommand } from '../src/commands/run-command.ts'
import type { Terminal } from '../src/commands/terminal.ts'
import { readCommand } from '../src/config/read-command.ts'
import { canaryKey, makeSilentNetwork } from './clients.ts'
import { seedJobs, seedQuotes } from './seed-jobs.ts'

const silent = makeSilentNetwork()
const folder = mkdtempSync(join(tmpdir(), 'lilypad-mcp-commands-'))
afterAll(() => {
  for (const path of [silent.folder, folder]) rmSync(path, { recursive: true, force: true })
})
let folders = 0
const newState = () => join(folder, `state-${folders++}`)
const now = () => Math.floor(Date.now() / 1000)

/** Runs a command with a person who gives these answers, or with nobody. */
async function run(args: readonly string[], state: string, answers?: readonly string[]) {
  const [name = '', ...rest] = args
  const base = [name, '--network', silent.networkFile, '--state-dir', state]
  const command = readCommand({ args: [...base, ...rest], env: {} })
  if (!('settings' in command)) throw new Error('expected a command of a person')
  const asked: string[] = []
  let shown = ''
  const left = [...(answers ?? [])]
  const terminal: Terminal = {
    isInteractive: answers !== undefined,
    write: (text) => {
      shown += text
    },
    ask: async (question) => {
      asked.push(question)
      return left.shift() ?? ''
    },
  }
  const code = await runCommand(command, terminal).catch((error: unknown) => {
    if (LilypadError.is(error)) return error.code
    throw error
  })
  return { code, shown, asked }
}
async function inStore<T>(
  state: string,
  work: Parameters<ReturnType<typeof sqliteStore>['transaction']>[0],
): Promise<T> {
  const store = sqliteStore(state)
  try {
    return (await store.transaction(work)) as T
  } finally {
    await store.close()
  }
}
const approvalOf = (state: string, id: `0x${string}`) =>
  inStore<{ state: string; way: string; maxPrice: bigint } | undefined>(state, (transaction) =>
    transaction.findApproval(id),
  )

test.each([['approve'], ['approve', keccak256('some')], ['ledger'], ['resume']])(
  'of a folder that no server uses, %s says so and makes nothing',
  async (...args) => {
    const state = newState()
    expect(await run(args, state, ['y'])).toEqual({ code: 'CONFIG_INVALID', shown: '', asked: [] })
    expect(existsSync(state)).toBe(false)
  },
)

test('the command that a person is told starts the program as it was started, on its own folder', () => {
  const args = ['--network', silent.networkFile, '--state-dir', `${folder}/two words`]
  const launch = ['/opt/node', '/opt/it is/lilypad-mcp.js']
  const command = readCommand({ args, env: {}, launch })
  if (!('config' in command)) throw new Error('expected a server')
  expect(ownCommand(command.config, 'resume')).toBe(
    `/opt/node '/opt/it is/lilypad-mcp.js' resume --state-dir '${folder}/two words' --network ${silent.networkFile}`,
  )
  expect(ownCommand({ stateDirectory: '/s' }, 'approve', '0x12')).toBe('lilypad-mcp approve 0x12 --state-dir /s')
})

describe('approve', () => {
  const wanted = async () => {
    const state = newState()
    const [id = keccak256('none')] = await seedQuotes(state, [{ maxPrice: 25n * 10n ** 16n }])
    await inStore(state, (transaction) =>
      transaction.putApproval({
        ...{ id, maxPrice: 25n * 10n ** 16n, left: 10n ** 18n, way: null, decidedAt: null },
        state: 'wanted',
        wantedAt: now(),
        validUntil: now() + 300,
      }),
    )
    return { state, id }
  }

  test('without an id shows what waits', async () => {
    const { state, id } = await wanted()
    const { shown } = await run(['approve'], state)
    expect(shown).toMatch(new RegExp(`${id} +sample +0.25 LILY`))
    await run(['approve', id], state, ['0.25'])
    expect((await run(['approve'], state)).shown).toBe(`Nothing waits for approval in ${state}.\n`)
  })

  test.each([
    ['0.25', 'approved', 0],
    ['y', 'approved', 0],
    ['', 'declined', 1],
    ['0.3', 'declined', 1],
    ['n', 'declined', 1],
    ['25', 'declined', 1],
  ])('shows the facts; %j makes it %s', async (answer, decision, exitCode) => {
    const { state, id } = await wanted()
    const { code, shown, asked } = await run(['approve', id], state, [answer])
    expect(code).toBe(exitCode)
    for (const fact of [
      'Costs at most: 0.25 LILY',
      'May still be spent: 1 LILY',
      'Publisher: 0x',
      'Chain: 31337 (silent)',
    ])
      expect(shown).toContain(fact)
    expect(asked).toEqual([expect.stringContaining('Type 0.25 to approve')])
    expect(await approvalOf(state, id)).toMatchObject({ state: decision, way: 'cli', maxPrice: 25n * 10n ** 16n })
  })

  test('needs a terminal', async () => {
    const { state, id } = await wanted()
    expect(await run(['approve', id], state)).toMatchObject({ code: 'UNAUTHORIZED', asked: [] })
    expect(await approvalOf(state, id)).toMatchObject({ state: 'wanted' })
  })

  test('of a quote that is unknown, expired, no quote, or ordered says so and asks nothing', async () => {
    const state = newState()
    const [expired = ''] = await seedQuotes(state, [{ seconds: -1 }])
    const [job = keccak256('none')] = await seedJobs(state, [{}])
    const quoteOf = await inStore<string>(state, (transaction) => transaction.findJob(job)?.quoteId)
    const asked = await Promise.all(
      [keccak256('unknown'), expired, '0x12', quoteOf].map((id) => run(['approve', id], state, ['y'])),
    )
    expect(asked.map(({ code }) => code)).toEqual([
      'QUOTE_UNKNOWN',
      'QUOTE_EXPIRED',
      'INVALID_REQUEST',
      'QUOTE_UNKNOWN',
    ])
    expect(asked.every((each) => each.asked.length === 0)).toBe(true)
  })
})

describe('ledger', () => {
  test('shows jobs and payments with what they cost, as a table and as JSON', async () => {
    const state = newState()
    const [job = keccak256('none')] = await seedJobs(state, [{}])
    await inStore(state, (transaction) =>
      transaction.putPayment({
        ...{ id: keccak256('payment'), payee: `0x${'1'.repeat(40)}`, purpose: 'a page\u001b[31m', session: 'one' },
        ...{ maxPrice: 10n ** 16n, price: 10n ** 15n, state: 'committed', reservedAt: now(), validUntil: now() },
      }),
    )
    const { shown } = await run(['ledger'], state)
    expect(shown).toMatch(/^at +for +state +payment +charged +at most +id\n/)
    expect(shown).toMatch(new RegExp(`sample +settled +settled +\\S+ +\\S+ +${job}`))
    expect(shown).toMatch(/a page\S* +committed +settled +0\.001 +0\.01 /)
    expect(shown).not.toContain('\u001b')
    const json = JSON.parse((await run(['ledger', '--json'], state)).shown)
    expect(json.entries).toHaveLength(2)
    expect(json.entries[0]).toMatchObject({ kind: 'payment', charged: '0.001', max_charge: '0.01' })
    expect(json.entries[1]).toMatchObject({ kind: 'job', id: job, state: 'settled' })
    expect(json.stopped).toBeNull()
  })

  test('of a new folder is empty', async () => {
    const state = newState()
    mkdirSync(state, { mode: 0o700 })
    expect((await run(['ledger'], state)).shown).toContain('0 LILY in 24 hours, 0 LILY ever')
  })
})

describe('resume', () => {
  const stopped = { failures: 3, stopped: { reason: 'failures' as const, count: 3, at: 1_800_000_000 }, resumedAt: 0 }
  const stop = async () => {
    const state = newState()
    await inStore(state, (transaction) => transaction.putBreaker(stopped))
    return state
  }
  const breaker = (state: string) => inStore(state, (transaction) => transaction.findBreaker())

  test('lets spending go on when a person says so', async () => {
    const state = await stop()
    expect((await run(['ledger'], state)).shown).toContain(
      'Spending is stopped. Reason: 3 orders in a row without a result',
    )
    const { code, shown } = await run(['resume'], state, ['y'])
    expect(code).toBe(0)
    expect(shown).toContain('Spending goes on')
    expect(await breaker(state)).toMatchObject({ failures: 0, stopped: null })
    expect((await run(['resume'], state, ['y'])).shown).toBe('Spending is not stopped.\n')
  })

  test.each([['n'], ['']])('not with %j, and not without a terminal', async (answer) => {
    const state = await stop()
    expect((await run(['resume'], state, [answer])).code).toBe(1)
    expect((await run(['resume'], state)).code).toBe('UNAUTHORIZED')
    expect(await breaker(state)).toEqual(stopped)
  })
})

describe('doctor', () => {
  type Finding = { name: string; ok: boolean; found: string; fix?: string }
  const examine = async (args: readonly string[], state = newState()) => {
    const { code, shown } = await run(['doctor', '--json', ...args], state)
    const { ok, findings } = JSON.parse(shown) as { ok: boolean; findings: Finding[] }
    expect(code).toBe(ok ? 0 : 1)
    // Whatever is not right says what to do.
    for (const finding of findings) if (!finding.ok) expect(finding.fix?.length, finding.name).toBeGreaterThan(10)
    expect(shown).not.toContain(canaryKey.slice(2))
    return Object.fromEntries(findings.map((finding) => [finding.name, finding]))
  }

  test('of a network that does not answer finds what is not there and what is right', async () => {
    const found = await examine(['--key-file', silent.keyFile])
    expect(Object.entries(found).map(([name, { ok }]) => [name, ok])).toEqual([
      ['network file', true],
      ['chain', false],
      ['solver', false],
      ['key file', true],
      ['deposit', false],
      ['state folder', true],
      ['limits', true],
    ])
  })

  test('of a chain of real money without a key finds what the server does: it only reads', async () => {
    const live = join(folder, 'live.json')
    writeFileSync(live, JSON.stringify({ ...silent.network, chainId: 1 }))
    const found = await examine(['--network', live])
    expect(found['network file']).toMatchObject({ ok: true })
    expect(found['key file']).toMatchObject({ found: 'none: this server only reads' })
    expect((await examine(['--network', live, '--key-file', silent.keyFile]))['network file']).toMatchObject({
      ok: false,
      fix: expect.stringContaining('--mode live'),
    })
  })

  test.each<[string, () => readonly string[], string, RegExp]>([
    ['a missing network file', () => ['--network', join(folder, 'none.json')], 'network file', /lilypad up/],
    ['a missing key file', () => ['--key-file', join(folder, 'none.key')], 'key file', /make a new key/],
    [
      'a key that others can read',
      () => {
        const path = join(folder, 'open.key')
        writeFileSync(path, `${canaryKey}\n`)
        chmodSync(path, 0o644)
        return ['--key-file', path]
      },
      'key file',
      /chmod 600/,
    ],
    ['a grant that is none', () => ['--key-file', silent.keyFile, '--grant-file', silent.networkFile], 'key file', /./],
    ['limits that contradict', () => ['--max-per-job', '5', '--max-per-day', '1'], 'limits', /none is over the next/],
  ])('%s', async (_what, args, name, fix) => {
    const found = await examine(args())
    expect(found[name]).toMatchObject({ ok: false, fix: expect.stringMatching(fix) })
  })

  test.skipIf(process.platform === 'win32')(
    'a state folder that others can read, and spending that is stopped',
    async () => {
      const open = newState()
      mkdirSync(open)
      chmodSync(open, 0o755)
      expect((await examine([], open))['state folder']).toMatchObject({ ok: false, fix: `chmod 700 ${open}` })
      const stopped = newState()
      await inStore(stopped, (transaction) =>
        transaction.putBreaker({ failures: 0, stopped: { reason: 'unknown', count: 2, at: 1 }, resumedAt: 0 }),
      )
      expect((await examine([], stopped))['state folder']?.fix).toContain('lilypad-mcp resume')
    },
  )

  test('as text, a line for each and what to do', async () => {
    const { code, shown } = await run(['doctor'], newState())
    expect(code).toBe(1)
    expect(shown).toMatch(/^ok {2} network file: silent, chain 31337/m)
    expect(shown).toMatch(/^FAIL chain: .*\n {5}do: /m)
    expect(shown).toContain('100 LILY ever; every order needs approval (elicit)')
  })
})
