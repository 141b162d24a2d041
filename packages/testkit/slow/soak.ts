import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openClient, startLocalNetwork } from '@lilypad-agents/cli'
import { encodeModuleManifest, LilypadError } from '@lilypad-agents/protocol'
import { installNativeCrypto } from '@lilypad-agents/protocol/node'
import { buildBusyboxImage, findDockerProblem } from '../../../provider/fixtures/busybox-image.ts'
import { pause, until } from './lane/pause.ts'
import { laneManifest, writeModuleFolders } from './lane/programs.ts'
import { type Bound, findGrowth, type SampleAt } from './soak/find-growth.ts'
import { countContainers, takeSample } from './soak/sample.ts'

/**
 * The endurance lane: many short jobs through solver, provider and executors, with a look now and then at memory, open
 * files, child processes, containers and disk. Prints one line of JSON and exits with 1 if a job was lost or if anything
 * grew by more than its bound from the first to the last quarter of the samples.
 */
const { values } = parseArgs({
  options: {
    jobs: { type: 'string', default: '2000' },
    /** Places no more after so long, and judges what was done until then. */
    minutes: { type: 'string', default: '600' },
    'container-jobs': { type: 'string', default: '60' },
    workers: { type: 'string', default: '8' },
    samples: { type: 'string', default: '60' },
    keep: { type: 'boolean', default: false },
  },
})
const [jobs, containerJobs, workers, wantedSamples] = [
  Number(values.jobs),
  Number(values['container-jobs']),
  Number(values.workers),
  Number(values.samples),
]
const stopAt = Date.now() + Number(values.minutes) * 60_000
const mebibyte = 1024 ** 2
const kibibyte = 1024

/**
 * What is kept of a job on purpose: the provider's journal row, receipt, manifest and vouchers, and its outputs and logs
 * until `keepSeconds` are over; the solver's row and reservation; the requester's order, delivery and outputs.
 */
const bounds: readonly Bound[] = [
  // The engine takes memory ahead of its need: this is to find what is held for good.
  { matches: /residentBytes$/, share: 0.25, plus: 96 * mebibyte, perJob: 0 },
  { matches: /heapBytes$/, share: 0.1, plus: 8 * mebibyte, perJob: 0 },
  { matches: /openFiles$/, share: 0, plus: 12, perJob: 0 },
  { matches: /children$/, share: 0, plus: 8, perJob: 0 },
  { matches: /zombies$/, share: 0, plus: 0, perJob: 0 },
  { matches: /containers$/, share: 0, plus: 8, perJob: 0 },
  { matches: /provider\.diskBytes$/, share: 0, plus: 16 * mebibyte, perJob: 64 * kibibyte },
  { matches: /diskBytes$/, share: 0, plus: 16 * mebibyte, perJob: 40 * kibibyte },
]

installNativeCrypto()
const startedAt = Date.now()
const folder = mkdtempSync(join(tmpdir(), 'lilypad-soak-'))
const note = (text: string) =>
  process.stderr.write(`${((Date.now() - startedAt) / 1000).toFixed(1).padStart(7)} ${text}\n`)
const violations: string[] = []

/** So little that the day's cap of the session key is no limit. */
const price = '1000000000000'
const modules = await writeModuleFolders(folder, ['echo'], { price })
const dockerProblem = containerJobs === 0 ? 'no container jobs were asked for' : await findDockerProblem()
if (dockerProblem === undefined) {
  const digest = await buildBusyboxImage([], 'lilypad-test/soak:latest')
  const path = join(folder, 'box-echo')
  mkdirSync(path)
  const args = ['/bin/sh', '-c', 'echo fine > /out/echo.txt']
  const image = { digest, reference: 'lilypad-test/soak:latest' }
  const runtime = { kind: 'container' as const, image, args, stdin: 'none' as const, env: {} }
  writeFileSync(join(path, 'module.json'), encodeModuleManifest(laneManifest({ name: 'box-echo', runtime, price })))
  modules.push(path)
} else {
  note(`without containers: ${dockerProblem}`)
}
const withContainers = dockerProblem === undefined
const containersBefore = withContainers ? await countContainers() : 0

const network = await startLocalNetwork({
  stateDirectory: join(folder, 'state'),
  modules,
  ports: { chain: 0, solver: 0, mcp: 0 },
  withoutMcp: true,
  restart: false,
  env: {
    LILYPAD_EXECUTORS: withContainers ? 'wasm,docker' : 'wasm',
    LILYPAD_SETTLE_SECONDS: '2',
    LILYPAD_LOG_LEVEL: 'warn',
  },
})
const { state, children } = network
const lilypad = openClient(state)
const samples: SampleAt[] = []
let placed = 0
let done = 0
let attempts = 0
let isSampling = false

async function sample(): Promise<void> {
  if (isSampling) return
  isSampling = true
  const at = done
  const taken = await takeSample({
    processes: { provider: children.provider?.pid(), solver: children.solver?.pid(), requester: process.pid },
    folders: {
      provider: join(state.path, 'provider'),
      solver: join(state.path, 'solver'),
      requester: state.directory('client'),
    },
    withContainers,
  })
  samples.push({ jobs: at, sample: taken })
  note(`${at} jobs, ${(at / ((Date.now() - startedAt) / 1000)).toFixed(1)}/s`)
  isSampling = false
}

async function runJob(number: number): Promise<void> {
  const isContainer = withContainers && number % Math.max(1, Math.floor(jobs / containerJobs)) === 0
  const module = isContainer ? 'box-echo' : 'lane-echo'
  for (let attempt = 0; ; attempt += 1) {
    attempts += 1
    try {
      const { quote } = await lilypad.quote({ module, inputs: { text: `soak ${number}` } })
      const { orderHash } = await lilypad.order(quote.quoteId)
      const { verification } = await lilypad.complete(orderHash, { timeoutSeconds: 120 })
      if (!verification.ok) violations.push(`not verified: ${orderHash}`)
      return
    } catch (error) {
      // A busy provider says so; whoever asks again later is served.
      if (attempt > 300 || !LilypadError.is(error) || !error.retryable) {
        violations.push(`lost: job ${number}: ${String(error).slice(0, 300)}`)
        return
      }
      await pause(200)
    }
  }
}

async function work(): Promise<void> {
  const every = Math.max(1, Math.floor(jobs / wantedSamples))
  while (placed < jobs && Date.now() < stopAt && violations.length < 20) {
    placed += 1
    await runJob(placed)
    done += 1
    if (done % every === 0) await sample()
  }
}

const isOpen = (jobState: string) => !['settled', 'failed', 'declined', 'expired'].includes(jobState)
let summary: Record<string, unknown> = {}
try {
  await Promise.all(Array.from({ length: workers }, work))
  const loadSeconds = (Date.now() - startedAt) / 1000
  const drained = await until(async () => {
    for (const job of (await lilypad.listJobs()).filter((each) => isOpen(each.state)))
      await lilypad.getJob(job.orderHash)
    return (await lilypad.listJobs()).every((each) => !isOpen(each.state)) ? true : undefined
  }, 90)
  if (!drained) violations.push('not at rest: jobs are open 90 s after the last was done')
  const states: Record<string, number> = {}
  for (const { state: jobState } of await lilypad.listJobs()) states[jobState] = (states[jobState] ?? 0) + 1
  if (states.settled !== done)
    violations.push(`not settled: ${done} jobs were done, the states are ${JSON.stringify(states)}`)
  const growth = findGrowth(samples, bounds)
  for (const { figure, first, last, perJob, isAllowed } of growth)
    if (!isAllowed) violations.push(`grew: ${figure} from ${first} to ${last}, ${perJob} a job`)
  summary = {
    jobs: done,
    containerJobs: withContainers ? containerJobs : 0,
    attempts,
    states,
    perSecond: Number((done / loadSeconds).toFixed(1)),
    growth: Object.fromEntries(growth.map(({ figure, first, last, perJob }) => [figure, [first, last, perJob]])),
  }
} catch (error) {
  violations.push(`the lane broke: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
} finally {
  await lilypad.close()
  await network.close()
}
if (withContainers) {
  const gone = await until(async () => ((await countContainers()) <= containersBefore ? true : undefined), 30)
  if (!gone) violations.push(`left: ${await countContainers()} containers, ${containersBefore} before`)
}
const isFine = violations.length === 0
process.stdout.write(
  `${JSON.stringify({ lane: 'soak', ok: isFine, seconds: Math.round((Date.now() - startedAt) / 1000), ...summary, violations: violations.slice(0, 20) })}\n`,
)
if (isFine && !values.keep) rmSync(folder, { recursive: true, force: true })
else note(`kept: ${folder}`)
process.exit(isFine ? 0 : 1)
