import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Child, openClient, startLocalNetwork } from '@lilypad-agents/cli'
import { encodeModuleManifest } from '@lilypad-agents/protocol'
import { installNativeCrypto } from '@lilypad-agents/protocol/node'
import { createChainClient, getAccount, type Lilypad, toLilypadChain } from '@lilypad-agents/sdk'
import { buildBusyboxImage, findDockerProblem } from '../../../provider/fixtures/busybox-image.ts'
import { findViolations } from './audit/find-violations.ts'
import { drain } from './lane/drain.ts'
import type { Target } from './lane/killer.ts'
import { startOwnEngine } from './lane/own-engine.ts'
import { pause, until } from './lane/pause.ts'
import { laneManifest, writeModuleFolders } from './lane/programs.ts'
import { createRandom } from './lane/random.ts'
import { chainTarget, findChild, providerTarget, solverTarget, startRequester } from './lane/targets.ts'
import { countContainers } from './soak/sample.ts'

/**
 * The lane of many kills: a whole network under load, and round after round one of provider, solver, chain and Docker
 * engine is ended with SIGKILL at a random moment, often while the last one is still coming back. Afterwards every order has to
 * be at its end, no job lost, none paid twice or undelivered, no container left. Prints one line of JSON and exits with
 * 1 if anything does not hold. The seed repeats the plan.
 */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    /** Kills only this one: provider, solver, chain or dockerd. */
    victim: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
})
const [rounds, seed] = [Number(values.rounds), Number(values.seed)]
const comebackSeconds = 90
const drainSeconds = 120
const shownViolations = 20

installNativeCrypto()
const startedAt = Date.now()
const folder = mkdtempSync(join(tmpdir(), 'lilypad-kills-'))
const file = (name: string) => join(folder, name)
const note = (text: string) =>
  process.stderr.write(`${((Date.now() - startedAt) / 1000).toFixed(1).padStart(7)} ${text}\n`)
note(`seed ${seed}, ${rounds} rounds, folder ${folder}`)
const violations: string[] = []
const kills: Record<string, number> = {}
const own: { engine?: Child; load?: Child; lilypad?: Lilypad } = {}

const modules = await writeModuleFolders(folder, ['echo', 'slow'])
const owned = await startOwnEngine(folder)
if ('skipped' in owned) note(`the engine is not killed: ${owned.skipped}`)
else own.engine = owned.engine
const dockerProblem = 'skipped' in owned ? owned.skipped : await findDockerProblem()
if (dockerProblem === undefined) {
  const digest = await buildBusyboxImage([], 'lilypad-test/kills:latest')
  const image = { digest, reference: 'lilypad-test/kills:latest' }
  const args = ['/bin/sh', '-c', 'sleep 0.5; echo fine > /out/echo.txt']
  const path = file('box-echo')
  mkdirSync(path)
  const runtime = { kind: 'container' as const, image, args, stdin: 'none' as const, env: {} }
  writeFileSync(join(path, 'module.json'), encodeModuleManifest(laneManifest({ name: 'box-echo', runtime })))
  modules.push(path)
}
const withContainers = dockerProblem === undefined
const network = await startLocalNetwork({
  stateDirectory: file('state'),
  modules,
  ports: { chain: 0, solver: 0, mcp: 0 },
  withoutMcp: true,
  env: {
    LILYPAD_EXECUTORS: withContainers ? 'wasm,docker' : 'wasm',
    ...('skipped' in owned ? {} : { LILYPAD_DOCKER_SOCKET: owned.socketPath }),
    LILYPAD_SLOTS: '2',
    LILYPAD_SETTLE_SECONDS: '1',
    LILYPAD_REFRESH_SECONDS: '1',
  },
})
const { state } = network
const client = createChainClient({ chain: toLilypadChain(network.network) })
const targets: readonly Target[] = [
  providerTarget(network),
  solverTarget(network),
  chainTarget(network),
  ...('skipped' in owned ? [] : [owned.target]),
]

const victims = targets.filter(({ name }) => values.victim === undefined || name === values.victim)
if (victims.length === 0)
  violations.push(`there is no ${values.victim} to kill${'skipped' in owned ? `: ${owned.skipped}` : ''}`)

async function killOne(target: Target): Promise<void> {
  const pid = target.pid()
  if (pid === undefined) throw new Error(`${target.name} is not running`)
  process.kill(pid, 'SIGKILL')
  kills[target.name] = (kills[target.name] ?? 0) + 1
  const hasNewProcess = await until(
    async () => (target.pid() !== pid && target.pid() !== undefined ? true : undefined),
    comebackSeconds,
    10,
  )
  if (!hasNewProcess) throw new Error(`${target.name} was not started again`)
}

async function waitForAll(): Promise<void> {
  for (const { name, isReady } of targets)
    if (!(await until(async () => ((await isReady()) ? true : undefined), comebackSeconds)))
      throw new Error(`${name} did not work again within ${comebackSeconds} s`)
}

async function playRounds(): Promise<void> {
  const random = createRandom(seed)
  for (let round = 0; round < rounds; round += 1) {
    // Drawn in a fixed order, so that a seed gives the same plan however the processes behave.
    const [which, delay, patience] = [random(), random(), random()]
    await pause(200 + delay * 2500)
    const target = victims[Math.floor(which * victims.length)]
    if (target !== undefined) await killOne(target)
    // Every third round the next kill hits a network that is still on its way back.
    if (patience > 0.33) await waitForAll()
    if (round % 10 === 9) note(`${round + 1} rounds`)
  }
  await waitForAll()
}

let summary: Record<string, unknown> = {}
try {
  own.lilypad = openClient(state)
  const { payer } = own.lilypad
  await own.lilypad.close()
  if (!payer) throw new Error('the requester has no key')
  const token = network.network.contracts.lilyToken
  const { balance: balanceBefore } = await getAccount(client, { payer, token })
  own.load = await startRequester(network, {
    beatFile: file('beat'),
    promiseFile: file('requester.promises'),
    ...(withContainers ? { extraModule: 'box-echo' } : {}),
  })
  note('under load')
  await playRounds()
  await own.load.close()
  own.lilypad = openClient(state)
  for (const { orderHash, state: jobState } of await drain(own.lilypad, { seconds: drainSeconds }))
    violations.push(`not at rest after ${drainSeconds} s: ${orderHash} is ${jobState}`)
  await own.lilypad.close()
  note('at rest')
  for (const name of ['provider', 'solver']) await findChild(network, name).close()
  const audit = await findViolations({
    network: network.network,
    client,
    payer,
    balanceBefore,
    stores: [{ name: 'requester', directory: state.directory('client'), promiseFile: file('requester.promises') }],
    journalFile: join(state.path, 'provider', 'journal.db'),
    solverDatabase: join(state.path, 'solver', 'db'),
    // Without its engine a provider cannot finish a container job; the requester then pays nothing.
    mayFail: ({ order }) =>
      withContainers &&
      network.published.some(({ name, moduleVersion }) => name === 'box-echo' && moduleVersion === order.moduleVersion),
  })
  violations.push(...audit.violations)
  if (audit.settled < rounds / 4) violations.push(`no load: only ${audit.settled} jobs were settled`)
  if (withContainers) {
    const left = await until(async () => ((await countContainers()) === 0 ? true : undefined), 30)
    if (!left) violations.push(`left: ${await countContainers()} containers`)
  }
  summary = { ...audit, paid: audit.paid.toString() }
} catch (error) {
  violations.push(`the lane broke: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
} finally {
  await own.load?.close()
  await network.close()
  await own.engine?.close()
}
const isFine = violations.length === 0
process.stdout.write(
  `${JSON.stringify({ lane: 'kill-rounds', ok: isFine, seed, rounds, seconds: Math.round((Date.now() - startedAt) / 1000), kills, withoutEngine: 'skipped' in owned ? owned.skipped : null, ...summary, violations: violations.slice(0, shownViolations), violationCount: violations.length })}\n`,
)
if (isFine && !values.keep) rmSync(folder, { recursive: true, force: true })
else note(`kept: ${folder}   again: --rounds ${rounds} --seed ${seed}`)
process.exit(isFine ? 0 : 1)
