import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startLocalNetwork } from '@lilypad-agents/cli'
import { openClient } from '@lilypad-agents/cli'
import { encodeModuleManifest, LilypadError, type ModuleManifest, receiptType } from '@lilypad-agents/protocol'
import { installNativeCrypto } from '@lilypad-agents/protocol/node'
import {
  auditVault,
  createChainClient,
  findSettlement,
  getAccount,
  type Lilypad,
  toLilypadChain,
} from '@lilypad-agents/sdk'
import { buildBusyboxImage, findDockerProblem } from '../../../provider/fixtures/busybox-image.ts'
import { laneManifest, type ProgramName, writeModuleFolders } from './lane/programs.ts'

/**
 * The fault lane: programs that hang, flood, fill, trap or leave behind what they must not, ordered over a whole local
 * network. Each has to end as a failed job with a signed receipt and no charge, and the next job has to work. Prints
 * one line of JSON and exits with 1 if anything does not hold.
 */

/** Status of the receipt and kind of the outcome that each fault has to end with. */
type Fault = { readonly module: string; readonly status: number; readonly outcome: string }

const limitsOf = (name: ProgramName): Partial<ModuleManifest['limits']> =>
  name === 'hang' ? { timeoutSeconds: 2 } : {}
const programs = {
  hang: { status: 2, outcome: 'timed-out' },
  flood: { status: 2, outcome: 'log-limit' },
  disk: { status: 2, outcome: 'output-limit' },
  exit: { status: 1, outcome: 'exited' },
  trap: { status: 1, outcome: 'trapped' },
  nothing: { status: 1, outcome: 'exited' },
} as const satisfies { readonly [name in ProgramName]?: Omit<Fault, 'module'> }
const scripts = {
  hang: { script: 'trap "" TERM INT; while true; do :; done', status: 2, outcome: 'timed-out' },
  flood: { script: 'yes', status: 2, outcome: 'log-limit' },
  disk: { script: 'cat /dev/zero > /out/echo.txt; exit 0', status: 2, outcome: 'output-limit' },
  exit: { script: 'exit 7', status: 1, outcome: 'exited' },
  link: { script: 'ln -s /etc/passwd /out/echo.txt', status: 3, outcome: 'refused-output' },
} as const

/** Outcomes whose kind alone does not tell what went wrong. */
const saysWhy: ReadonlySet<string> = new Set(['trapped', 'refused-output'])

installNativeCrypto()
const startedAt = Date.now()
const folder = mkdtempSync(join(tmpdir(), 'lilypad-faults-'))
const names = Object.keys(programs) as (keyof typeof programs)[]
const faults: Fault[] = names.map((name) => ({ module: `lane-${name}`, ...programs[name] }))
const modules = await writeModuleFolders(folder, ['echo', ...names], { limitsOf })

const dockerProblem = await findDockerProblem()
if (dockerProblem === undefined) {
  const digest = await buildBusyboxImage([], 'lilypad-test/faults:latest')
  for (const [name, { script, status, outcome }] of Object.entries({
    ...scripts,
    echo: { script: 'echo fine > /out/echo.txt', status: 0, outcome: 'exited' },
  })) {
    const module = `box-${name}`
    const path = join(folder, module)
    mkdirSync(path)
    const manifest = laneManifest({
      name: module,
      runtime: {
        kind: 'container',
        image: { digest, reference: 'lilypad-test/faults:latest' },
        args: ['/bin/sh', '-c', script],
        stdin: 'none',
        env: {},
      },
      limits: name === 'hang' ? { timeoutSeconds: 2 } : {},
    })
    writeFileSync(join(path, 'module.json'), encodeModuleManifest(manifest))
    modules.push(path)
    if (status !== 0) faults.push({ module, status, outcome })
  }
} else {
  process.stderr.write(`Container faults are left out: ${dockerProblem}.\n`)
}

const violations: string[] = []
const outcomes: Record<string, string> = {}
const network = await startLocalNetwork({
  stateDirectory: join(folder, 'state'),
  modules,
  ports: { chain: 0, solver: 0, mcp: 0 },
  withoutMcp: true,
  env: {
    LILYPAD_EXECUTORS: dockerProblem === undefined ? 'wasm,docker' : 'wasm',
    LILYPAD_SETTLE_SECONDS: '0',
    LILYPAD_REFRESH_SECONDS: '1',
  },
})
const lilypad = openClient(network.state)
const client = createChainClient({ chain: toLilypadChain(network.network) })
const token = network.network.contracts.lilyToken
const { payer = '0x' } = lilypad
const getBalance = async () => (await getAccount(client, { payer, token })).balance

async function order(module: string): Promise<`0x${string}`> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      const { quote } = await lilypad.quote({ module, inputs: { text: module } })
      return (await lilypad.order(quote.quoteId)).orderHash
    } catch (error) {
      // A module is offered once the provider has prepared it.
      if (attempt > 150 || !LilypadError.is(error) || !error.retryable) throw error
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
}

/** The error a requester gets for the fault, and what is on disk and on chain afterwards. */
async function fail(fault: Fault): Promise<void> {
  const { module, status, outcome } = fault
  const balance = await getBalance()
  const orderHash = await order(module)
  const error = await lilypad.complete(orderHash, { timeoutSeconds: 60 }).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  const job = await lilypad.getStoredJob(orderHash)
  const { receipt, signature, manifest } = job.delivery ?? {}
  outcomes[module] = LilypadError.is(error)
    ? `${error.code}: ${error.shortMessage} ${error.details.join(' ').replace(/Job: \S+\s*/, '')}`
    : String(error)
  const checks: readonly (readonly [what: string, holds: boolean])[] = [
    ['error', LilypadError.is(error) && error.code === 'JOB_FAILED' && error.charged === 'none'],
    [
      'a readable reason',
      !(saysWhy.has(outcome) || module === 'lane-nothing') ||
        !LilypadError.is(error) ||
        error.details.some((fact) => fact.startsWith('Reason given: ')),
    ],
    ['state', job.state === 'failed'],
    [
      'receipt is signed by the provider',
      receipt !== undefined &&
        signature !== undefined &&
        receiptType.findSigner(lilypad.domain, receipt, signature) === job.order.provider,
    ],
    [`status ${status}, is ${receipt?.status}`, receipt?.status === status],
    [`outcome ${outcome}, is ${manifest?.predicate.outcome.kind}`, manifest?.predicate.outcome.kind === outcome],
    ['price 0', receipt?.price === 0n && job.price === 0n],
    ['nothing to pay was signed', job.acknowledgement === null],
    ['nothing on chain', (await findSettlement(client, { orderHash })) === undefined],
    ['nothing charged', (await getBalance()) === balance],
  ]
  for (const [what, holds] of checks) if (!holds) violations.push(`${module}: ${what}`)
}

/** The provider still works, and is paid for it. */
async function succeed(module: string): Promise<void> {
  const orderHash = await order(module)
  await lilypad.complete(orderHash, { timeoutSeconds: 60 })
  const job = await lilypad.waitForSettlement(orderHash, { timeoutSeconds: 20 })
  const { ok } = await lilypad.verify(orderHash, { chain: true })
  if (job.state !== 'settled' || !ok) violations.push(`${module} after a fault: ${job.state}, verified ${ok}`)
}

let paid = 0n
try {
  const before = await getBalance()
  for (const fault of faults) {
    await fail(fault)
    await succeed(fault.module.startsWith('box-') ? 'box-echo' : 'lane-echo')
  }
  paid = before - (await getBalance())
  const spent = await sumPrices(lilypad)
  if (paid !== spent) violations.push(`sums: the payer has ${paid} less, the prices sum to ${spent}`)
  const { difference } = await auditVault(client, { token })
  if (difference !== 0n) violations.push(`sums: the vault holds ${difference} more than its books`)
} catch (error) {
  violations.push(`the lane broke: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
} finally {
  await lilypad.close()
  await network.close()
}

async function sumPrices(of: Lilypad): Promise<bigint> {
  return (await of.listJobs()).reduce((sum, { price }) => sum + (price ?? 0n), 0n)
}

const isFine = violations.length === 0
process.stdout.write(
  `${JSON.stringify({ lane: 'faults', ok: isFine, seconds: Math.round((Date.now() - startedAt) / 1000), docker: dockerProblem ?? true, faults: faults.length, paid: paid.toString(), outcomes, violations })}\n`,
)
if (isFine) rmSync(folder, { recursive: true, force: true })
else process.stderr.write(`kept: ${folder}\n`)
process.exit(isFine ? 0 : 1)
