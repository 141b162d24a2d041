import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ErrorCode, errorCodes, errorTable, LilypadError } from '@lilypad-agents/protocol'
import { installNativeCrypto } from '@lilypad-agents/protocol/node'
import type { Client } from '@modelcontextprotocol/client'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sampleModule } from '../../../packages/sdk/test/sample-bundle.ts'
import {
  honestPlay,
  type StubNetwork,
  type StubPlay,
  startStubNetwork,
} from '../../../packages/sdk/test/stub-network.ts'
import type { McpConfig } from '../src/config/config.ts'
import { startMcpHttp } from '../src/index.ts'
import { fixOf } from '../src/tool/problem.ts'
import { callTool, connectHttp } from './clients.ts'
import { readFix, type Step } from './evals/read-fix.ts'
import type { Facts } from './evals/toolbox.ts'
import { seedConfig } from './seed-jobs.ts'

const folder = mkdtempSync(join(tmpdir(), 'lilypad-mcp-fixes-'))
let network: StubNetwork
beforeAll(async () => {
  installNativeCrypto()
  network = await startStubNetwork([sampleModule])
})
afterAll(async () => {
  await network?.close()
  rmSync(folder, { recursive: true, force: true })
})

const unknown = `0x${'9'.repeat(64)}`
const inputs = { text: 'hi' }
type Call = { readonly tool: string; readonly args: Facts }
type Session = {
  readonly client: Client
  /** A quote that can be run, and a job that was run to its end. */
  readonly quote_id: unknown
  readonly job_id: unknown
}

const quote =
  (args: Facts = {}) =>
  () => ({ tool: 'lilypad_quote_job', args: { module: 'sample', inputs, ...args } })
const run = ({ quote_id }: Session) => ({ tool: 'lilypad_run_job', args: { quote_id, wait_s: 2 } })
const ofJob =
  (tool: string, args: Facts = {}) =>
  ({ job_id }: Session) => ({ tool, args: { job_id, ...args } })

/** How a code is met, and by which step of its `fix` an agent comes on. */
type Row = {
  readonly call: (session: Session) => Call
  readonly config?: Partial<McpConfig>
  /** Makes the network such that the call meets the code. @default its solver refuses once with the code, whatever it is asked */
  readonly meet?: () => void
  /** How the orders end from now on. */
  readonly play?: Partial<StubPlay>
  /** Arguments that are right, for an agent that can correct its own. */
  readonly corrected?: Facts
  readonly leads: Step['kind']
}

const policy = { perJob: 10n ** 18n, perDay: 10n ** 19n, total: 10n ** 20n }
const nothing = () => undefined

/** One row for each code. A code without one does not compile, and one whose \`fix\` leads nowhere fails below. */
const rows: { readonly [code in ErrorCode]: Row } = {
  INVALID_REQUEST: {
    call: () => ({ tool: 'lilypad_search_modules', args: { limit: 0 } }),
    meet: nothing,
    corrected: { limit: 8 },
    leads: 'correct',
  },
  INPUTS_INVALID: {
    call: quote({ inputs: { text: 7 } }),
    meet: nothing,
    corrected: { module: 'sample', inputs },
    leads: 'correct',
  },
  SIGNATURE_INVALID: { call: run, leads: 'user' },
  WRONG_CHAIN: {
    call: quote(),
    meet() {
      network.chain.chainId = 1
    },
    leads: 'user',
  },
  WRONG_CONTRACT: { call: quote(), leads: 'user' },
  DIGEST_MISMATCH: { call: quote(), leads: 'again' },
  UNAUTHORIZED: { call: run, leads: 'user' },
  INSUFFICIENT_BALANCE: { call: run, leads: 'user' },
  READ_ONLY: { call: run, config: { signer: undefined as never }, meet: nothing, leads: 'user' },
  GRANT_INVALID: { call: run, leads: 'user' },
  OVER_JOB_LIMIT: { call: run, config: { policy: { ...policy, perJob: 1n } }, meet: nothing, leads: 'search' },
  OVER_DAY_LIMIT: { call: run, config: { policy: { ...policy, perDay: 1n } }, meet: nothing, leads: 'user' },
  OVER_TOTAL_LIMIT: { call: run, config: { policy: { ...policy, total: 1n } }, meet: nothing, leads: 'user' },
  OVER_SESSION_LIMIT: { call: run, leads: 'user' },
  OVER_HOUR_LIMIT: { call: quote(), leads: 'again' },
  OVER_CONCURRENT_LIMIT: { call: quote(), leads: 'again' },
  PUBLISHER_NOT_ALLOWED: { call: run, leads: 'search' },
  APPROVAL_REQUIRED: { call: run, config: { approval: 'cli' }, meet: nothing, leads: 'user' },
  APPROVAL_DECLINED: { call: run, leads: 'user' },
  APPROVAL_EXPIRED: { call: run, leads: 'quote' },
  APPROVAL_INVALID: { call: quote(), leads: 'again' },
  SPENDING_STOPPED: { call: run, leads: 'user' },
  MODULE_NOT_ALLOWED: {
    call: run,
    config: { policy: { ...policy, modules: ['tts'] } },
    meet: nothing,
    leads: 'search',
  },
  PATH_NOT_ALLOWED: { call: ofJob('lilypad_save_outputs'), meet: nothing, leads: 'user' },
  ADDRESS_NOT_ALLOWED: { call: quote(), leads: 'user' },
  NOT_FOUND: { call: quote(), leads: 'search' },
  MODULE_UNKNOWN: { call: quote({ module: 'sampel' }), meet: nothing, leads: 'search' },
  QUOTE_UNKNOWN: {
    call: () => ({ tool: 'lilypad_run_job', args: { quote_id: unknown } }),
    meet: nothing,
    leads: 'quote',
  },
  JOB_UNKNOWN: { call: () => ({ tool: 'lilypad_get_job', args: { job_id: unknown } }), meet: nothing, leads: 'tool' },
  OUTPUT_UNKNOWN: { call: ofJob('lilypad_get_outputs', { path: 'none' }), meet: nothing, leads: 'tool' },
  PRICE_OVER_CAP: { call: quote({ max_price: '0.0000001' }), meet: nothing, leads: 'search' },
  QUOTE_USED: { call: run, leads: 'tool' },
  NONCE_USED: { call: run, leads: 'quote' },
  ACKNOWLEDGEMENT_OUT_OF_ORDER: { call: quote(), leads: 'again' },
  STATE_CONFLICT: { call: ofJob('lilypad_cancel_job'), leads: 'tool' },
  GUARDIAN_MISMATCH: { call: run, leads: 'user' },
  SETTLEMENT_REFUSED: { call: quote(), leads: 'user' },
  QUOTE_EXPIRED: { call: run, leads: 'quote' },
  ORDER_EXPIRED: { call: run, leads: 'quote' },
  MODULE_DEPRECATED: { call: quote(), leads: 'search' },
  PAYLOAD_TOO_LARGE: { call: quote(), corrected: { module: 'sample', inputs }, leads: 'correct' },
  VERIFICATION_FAILED: { call: quote(), leads: 'quote' },
  STREAM_BROKEN: { call: quote(), leads: 'tool' },
  JOB_FAILED: {
    call: run,
    meet: nothing,
    play: { end: 'failed' },
    corrected: { module: 'sample', inputs },
    leads: 'correct',
  },
  JOB_DECLINED: { call: run, meet: nothing, play: { end: 'declined' }, leads: 'quote' },
  JOB_EXPIRED: { call: run, meet: nothing, play: { end: 'expired' }, leads: 'quote' },
  RATE_LIMITED: { call: quote(), leads: 'again' },
  NO_PROVIDER_AVAILABLE: { call: quote(), leads: 'again' },
  PROVIDER_GONE: { call: ofJob('lilypad_cancel_job'), leads: 'again' },
  OUTPUT_UNAVAILABLE: { call: quote(), leads: 'again' },
  EXECUTOR_UNAVAILABLE: { call: quote(), leads: 'again' },
  RPC_UNREACHABLE: {
    call: quote(),
    meet() {
      network.chain.isAway = true
      setTimeout(() => {
        network.chain.isAway = false
      }, 500)
    },
    leads: 'again',
  },
  SOLVER_UNREACHABLE: { call: quote(), leads: 'again' },
  STORAGE_FULL: { call: quote(), leads: 'again' },
  UPSTREAM_FAILED: { call: quote(), leads: 'again' },
  // Refused here by the solver, to hear the fix; what it follows is in x402.test.ts.
  PAYMENT_REFUSED: { call: quote(), leads: 'user' },
  PAYMENT_REQUIRED: { call: quote(), leads: 'user' },
  PAYMENT_UNKNOWN: { call: quote(), leads: 'again' },
  PAID_SERVER_UNREACHABLE: { call: quote(), leads: 'again' },
  TIMED_OUT: { call: ofJob('lilypad_get_outputs'), meet: nothing, play: { end: 'running' }, leads: 'again' },
  CONFIG_INVALID: { call: quote(), leads: 'user' },
  CONTRACT_REVERTED: { call: quote(), leads: 'user' },
  INTERNAL: { call: quote(), leads: 'user' },
}

type Met = { readonly code: string; readonly fix: string; readonly retryable: boolean; readonly message: string }

/** The error of an answer, or of the job in it. */
const problemOf = (facts: Facts) => (facts.error ?? facts.problem) as Met | undefined

const isJobless = new Set(['lilypad_list_jobs', 'lilypad_get_wallet', 'lilypad_search_modules'])

/** Does what the `fix` of a refused call says, step by step. @returns the step that led on, or what the user is to be told */
async function follow(session: Session, failed: Call, problem: Met, corrected: Facts | undefined) {
  const call = async ({ tool, args }: Call) => (await callTool(session.client, tool, { ...args })).structuredContent
  const works = async (next: Call) => problemOf(await call(next)) === undefined
  const runAnew = async (args: Facts) => {
    const { quote_id } = await call({ tool: 'lilypad_quote_job', args })
    return works({ tool: 'lilypad_run_job', args: { quote_id, wait_s: 2 } })
  }
  const steps: readonly Step[] = [...(problem.retryable ? [{ kind: 'again' } as const] : []), ...readFix(problem.fix)]
  for (const step of steps) {
    switch (step.kind) {
      case 'user':
        return { kind: step.kind, words: step.words }
      case 'again':
        for (let attempt = 1; attempt <= 3; attempt++) {
          await sleep(300 * attempt)
          if (await works(failed)) return { kind: step.kind }
        }
        break
      case 'quote':
        if (await runAnew({ module: 'sample', inputs })) return { kind: step.kind }
        break
      case 'correct': {
        if (!corrected) break
        const isJob = failed.tool === 'lilypad_run_job'
        if (isJob ? await runAnew(corrected) : await works({ tool: failed.tool, args: corrected }))
          return { kind: step.kind }
        break
      }
      case 'search': {
        const { modules } = await call({ tool: 'lilypad_search_modules', args: {} })
        if (Array.isArray(modules) && modules.length > 0) return { kind: step.kind }
        break
      }
      case 'tool': {
        const job_id = failed.args.job_id ?? session.job_id
        if (await works({ tool: step.tool, args: isJobless.has(step.tool) ? {} : { job_id } }))
          return { kind: step.kind }
      }
    }
  }
  return undefined
}

async function open(code: ErrorCode, config: Partial<McpConfig>) {
  const state = join(folder, code)
  const spending = await startMcpHttp(seedConfig(state, { network: network.network, approval: 'host' }))
  const first = await connectHttp(spending.url, 'modern')
  const ask = async (tool: string, args: Facts) => (await callTool(first, tool, { ...args })).structuredContent
  const { quote_id } = await ask('lilypad_quote_job', { module: 'sample', inputs })
  const { quote_id: other } = await ask('lilypad_quote_job', { module: 'sample', inputs })
  const { job_id } = await ask('lilypad_run_job', { quote_id: other, wait_s: 5 })
  await first.close()
  await spending.close()
  const server = await startMcpHttp(seedConfig(state, { network: network.network, approval: 'host', ...config }))
  const client = await connectHttp(server.url, 'modern')
  return {
    session: { client, quote_id, job_id },
    async close() {
      await client.close()
      await server.close()
    },
  }
}

// A sentence that only says "ask the user" helps nobody: it names a setting, a file, or what to find out.
const namesSomething =
  /--[a-z-]+|network file|deposit|RPC endpoint|key and the grant|disk|settings|reference|under untrusted|solver guards|provider|other bytes|which path|there is none|was declined|lilypad-mcp (approve|resume)/

test.each(errorCodes)('A3: the fix of %s leads on, or to a clear step of the user', async (code) => {
  const { call, config = {}, meet, play, corrected, leads } = rows[code]
  network.play = honestPlay
  const { session, close } = await open(code, config)
  try {
    network.play = { ...honestPlay, ...play }
    const refused = new LilypadError(code, 'The words of the solver.', { retryable: errorTable[code].retryable })
    if (meet) meet()
    else network.refuse(/./, refused, 1)
    let failed = call(session)
    if (play?.end === 'running') {
      const { structuredContent } = await callTool(session.client, 'lilypad_run_job', {
        quote_id: session.quote_id,
        wait_s: 0,
      })
      const { job_id } = structuredContent
      failed = { tool: failed.tool, args: { job_id } }
      setTimeout(() => network.deliver(String(job_id)), 300)
    }
    const { structuredContent } = await callTool(session.client, failed.tool, { ...failed.args })
    const problem = problemOf(structuredContent)
    expect(problem?.code, JSON.stringify(structuredContent)).toBe(code)
    expect(problem?.fix).toBeTruthy()
    network.relent()
    network.play = honestPlay
    const led = await follow(session, failed, problem as Met, corrected)
    expect(led?.kind, problem?.fix).toBe(leads)
    if (led?.kind === 'user') expect(led.words).toMatch(namesSomething)
  } finally {
    Object.assign(network.chain, { chainId: network.network.chainId, isAway: false })
    network.relent()
    await close()
  }
})

test('A3: what every fix says can be read, and none of its tools is unknown', () => {
  const known = new Set(
    [
      'search_modules',
      'get_module',
      'quote_job',
      'run_job',
      'get_job',
      'cancel_job',
      'get_outputs',
      'save_outputs',
    ].concat(['verify_job', 'get_wallet', 'list_jobs']),
  )
  for (const code of errorCodes) {
    expect(readFix(fixOf(code)).length, code).toBeGreaterThan(0)
    for (const [, tool] of fixOf(code).matchAll(/lilypad_([a-z_]+)/g)) expect(known.has(String(tool)), code).toBe(true)
  }
})
