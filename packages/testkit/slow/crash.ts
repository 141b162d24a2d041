import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { answersRpc, type Child, openClient, startLocalNetwork } from '@lilypad-agents/cli'
import { installNativeCrypto } from '@lilypad-agents/protocol/node'
import { createChainClient, getAccount, type Lilypad, toLilypadChain } from '@lilypad-agents/sdk'
import { sqliteStore } from '@lilypad-agents/sdk/node'
import { findViolations } from './audit/find-violations.ts'
import { drain, isAtRest } from './lane/drain.ts'
import { type Kill, killRepeatedly, type Target } from './lane/killer.ts'
import { buyOverMcp, getMcpJob } from './lane/mcp-load.ts'
import { pause, until } from './lane/pause.ts'
import { writeModuleFolders } from './lane/programs.ts'
import { openPromiseFile, readPromises } from './lane/promise-file.ts'
import { createRandom } from './lane/random.ts'
import { answers, findChild, providerTarget, requesterTarget, solverTarget, startRequester } from './lane/targets.ts'

/**
 * The crash lane: a whole local network under load, each of its processes killed with SIGKILL at random moments and
 * started again, the chain too; then everything comes to rest and the books of all sides are compared. Prints one line
 * of JSON and exits with 1 if anything was lost, double or unequal. The seed repeats the plan of kills.
 */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '10' },
    'chain-rounds': { type: 'string', default: '4' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    keep: { type: 'boolean', default: false },
  },
})
const rounds = Number(values.rounds)
const seed = Number(values.seed)
const drainSeconds = 90
const shownViolations = 20

installNativeCrypto()
const startedAt = Date.now()
const folder = mkdtempSync(join(tmpdir(), 'lilypad-crash-'))
const note = (text: string) =>
  process.stderr.write(`${((Date.now() - startedAt) / 1000).toFixed(1).padStart(6)} ${text}\n`)
const file = (name: string) => join(folder, name)
note(`seed ${seed}, ${rounds} kills of each process, folder ${folder}`)

const network = await startLocalNetwork({
  stateDirectory: file('state'),
  modules: await writeModuleFolders(folder, ['echo', 'slow']),
  ports: { chain: 0, solver: 0, mcp: 0 },
  env: {
    LILYPAD_EXECUTORS: 'wasm',
    LILYPAD_SLOTS: '2',
    LILYPAD_SETTLE_SECONDS: '1',
    LILYPAD_REFRESH_SECONDS: '1',
    // The agent buys without end, and providers are killed under its jobs.
    LILYPAD_MAX_JOBS_PER_HOUR: '100000',
    LILYPAD_STOP_AFTER: '0',
  },
})
const { state, mcpUrl = '' } = network
const { rpcUrl } = network.network
const client = createChainClient({ chain: toLilypadChain(network.network) })
const own: { load?: Child; lilypad?: Lilypad } = {}
const violations: string[] = []
const kills: Kill[] = []

const child = (name: string): Child => findChild(network, name)

function listTargets(load: Child): readonly Target[] {
  return [
    solverTarget(network),
    providerTarget(network),
    { name: 'mcp', pid: child('mcp').pid, isReady: () => answers(mcpUrl.replace(/\/mcp$/, '/health')) },
    requesterTarget(load, file('beat')),
  ]
}

async function killEverything(load: Child, signal: AbortSignal): Promise<void> {
  const work = listTargets(load).map((target, index) =>
    killRepeatedly(target, { rounds, random: createRandom(seed * 16 + index), startedAt, signal }),
  )
  for (const outcome of await Promise.allSettled(work)) {
    if (outcome.status === 'fulfilled') kills.push(...outcome.value)
    else violations.push(`no comeback: ${String(outcome.reason)}`)
  }
}

/** Kills the chain: it forgets its last blocks, so what they held has to be sent again. */
async function killChain(): Promise<readonly number[]> {
  const random = createRandom(seed * 16 + 15)
  const anvil = child('local chain')
  const lost: number[] = []
  for (let round = 0; round < Number(values['chain-rounds']); round += 1) {
    await pause(1000 + random() * 2000)
    // Blocks come only with settlements. Killed soon after one, the chain has not yet written it to disk.
    const height = await client.getBlockNumber({ cacheTime: 0 })
    await until(async () => ((await client.getBlockNumber({ cacheTime: 0 })) > height ? true : undefined), 20, 10)
    await pause(random() * 400)
    const before = await client.getBlockNumber({ cacheTime: 0 })
    const at = Date.now()
    process.kill(anvil.pid() ?? 0, 'SIGKILL')
    await pause(50)
    if (!(await until(async () => ((await answersRpc(rpcUrl)) ? true : undefined), 60))) {
      violations.push('no comeback: the chain did not start again')
      break
    }
    kills.push({ target: 'chain', at: at - startedAt, whileStarting: false, recoveryMilliseconds: Date.now() - at })
    lost.push(Number(before - (await client.getBlockNumber({ cacheTime: 0 }))))
  }
  return lost
}

/** Lets the jobs of both requesters come to rest. */
async function drainBoth(lilypad: Lilypad): Promise<void> {
  const mcpStore = sqliteStore(state.directory('mcp'))
  const listMcp = () => mcpStore.transaction((transaction) => transaction.listJobs())
  try {
    const open = await drain(lilypad, {
      seconds: drainSeconds,
      async also() {
        for (const job of (await listMcp()).filter((each) => !isAtRest(each)))
          await getMcpJob(mcpUrl, job.orderHash).catch(() => {})
        return listMcp()
      },
    })
    for (const { orderHash, state } of open)
      violations.push(`not at rest after ${drainSeconds} s: ${orderHash} is ${state}`)
  } finally {
    await mcpStore.close()
  }
}

const stop = new AbortController()
let summary: Record<string, unknown> = {}
try {
  const { payer } = openPayer()
  const token = network.network.contracts.lilyToken
  const { balance: balanceBefore } = await getAccount(client, { payer, token })
  own.load = await startRequester(network, { beatFile: file('beat'), promiseFile: file('requester.promises') })
  const promise = openPromiseFile(file('mcp.promises'))
  const agents = [buyOverMcp({ url: mcpUrl, signal: stop.signal, promise })]
  note('under load')
  await killEverything(own.load, stop.signal)
  note('the four processes were killed')
  const lostBlocks = await killChain()
  note('the chain was killed')
  await pause(1000)
  stop.abort()
  await own.load.close()
  await Promise.all(agents)
  const drainStartedAt = Date.now()
  own.lilypad = openClient(state)
  await drainBoth(own.lilypad)
  const drainMilliseconds = Date.now() - drainStartedAt
  await own.lilypad.close()
  note('at rest')
  for (const name of ['mcp', 'provider', 'solver']) await child(name).close()
  const audit = await findViolations({
    network: network.network,
    client,
    payer,
    balanceBefore,
    stores: [
      { name: 'requester', directory: state.directory('client'), promiseFile: file('requester.promises') },
      { name: 'mcp', directory: state.directory('mcp'), promiseFile: file('mcp.promises') },
    ],
    journalFile: join(state.path, 'provider', 'journal.db'),
    solverDatabase: join(state.path, 'solver', 'db'),
  })
  violations.push(...audit.violations)
  if (audit.settled < rounds) violations.push(`no load: only ${audit.settled} jobs were settled`)
  summary = {
    ...audit,
    paid: audit.paid.toString(),
    agentJobs: readPromises(file('mcp.promises')).length,
    lostBlocks,
    drainMilliseconds,
  }
} catch (error) {
  violations.push(`the lane broke: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
} finally {
  stop.abort()
  await own.load?.close()
  await network.close()
}

function openPayer(): { readonly payer: `0x${string}` } {
  const reader = openClient(state)
  const { payer } = reader
  void reader.close()
  if (!payer) throw new Error('the requester has no key')
  return { payer }
}

const quantile = (numbers: readonly number[], part: number) =>
  [...numbers].sort((a, b) => a - b)[Math.floor((numbers.length - 1) * part)]
const recoveries = Object.fromEntries(
  [...new Set(kills.map(({ target }) => target))].map((target) => {
    const of = kills.filter((kill) => kill.target === target)
    const times = of.flatMap(({ recoveryMilliseconds }) =>
      recoveryMilliseconds === undefined ? [] : [recoveryMilliseconds],
    )
    return [
      target,
      {
        kills: of.length,
        whileStarting: of.filter((kill) => kill.whileStarting).length,
        medianMilliseconds: quantile(times, 0.5),
        maxMilliseconds: quantile(times, 1),
      },
    ]
  }),
)
const isFine = violations.length === 0
process.stdout.write(
  `${JSON.stringify({ lane: 'crash', ok: isFine, seed, seconds: Math.round((Date.now() - startedAt) / 1000), recoveries, ...summary, violations: violations.slice(0, shownViolations), violationCount: violations.length })}\n`,
)
if (!isFine)
  for (const { target, at, whileStarting } of kills.sort((a, b) => a.at - b.at))
    note(`killed ${target} at ${at} ms${whileStarting ? ' while it started' : ''}`)
if (isFine && !values.keep) rmSync(folder, { recursive: true, force: true })
else note(`kept: ${folder}   again: --rounds ${rounds} --seed ${seed}`)
process.exit(isFine ? 0 : 1)
