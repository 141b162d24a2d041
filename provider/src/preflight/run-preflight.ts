import { randomBytes } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import {
  canonicalJson,
  type Json,
  LilypadError,
  listMissedChecks,
  type ModuleRuntime,
  type PreflightReport,
  sha256,
  type SignedAttestation,
  signAttestation,
  type Signer,
  type SigningDomain,
} from '@lilypad-agents/protocol'
import { containerOptions } from '../executors/docker/container-options.ts'
import { seccompProfile } from '../executors/docker/seccomp-profile.ts'
import { ExecutorUnavailableError } from '../executors/errors.ts'
import type { Execution, Executor } from '../executors/executor.ts'
import { removeTree } from '../outputs/remove-tree.ts'
import { createAttackImage } from './attack-image.ts'
import { type AttackRun, type AttackRunName, attackRunNames, attackRuns } from './attack-runs.ts'
import { checks, evaluateChecks } from './checks.ts'
import { type Observations, parseProbes, type RunObservation } from './observation.ts'
import { findFreshPreflight, savePreflight } from './preflight-cache.ts'
import { createPreflightEngine, type PreflightEngine } from './preflight-engine.ts'

/** A program in the sandbox of this node could do what no job may. */
export class PreflightFailedError extends LilypadError {
  override readonly name = 'PreflightFailedError'
  /** What the provider signs all the same: it is not asked whether it likes its report. */
  readonly attestation: SignedAttestation
  constructor(attestation: SignedAttestation) {
    const missed = new Set(listMissedChecks(attestation.report))
    const failed = attestation.report.checks.filter(({ id }) => missed.has(id))
    super('EXECUTOR_UNAVAILABLE', 'The sandbox of this machine does not keep programs in, so no jobs are run in it.', {
      retryable: false,
      details: failed.flatMap(({ id, expected, result, found }) => [
        `Check: ${id}   Expected: ${expected}   Actual: ${result}${found === '' ? '' : `, ${found}`}`,
        `Fix for ${id}: ${checks.find((check) => check.id === id)?.hint ?? 'none is known'}`,
      ]),
      hint: 'mend what the checks name, or leave `docker` out of the executors; docs/security-of-providers.md explains each',
    })
    this.attestation = attestation
  }
}

export type PreflightOptions = {
  /** The executor that will run the jobs. */
  readonly executor: Executor
  readonly signer: Signer
  readonly domain: SigningDomain
  /** Folder of this node. The last report is kept in it, and files of the runs until they end. */
  readonly stateDirectory: string
  readonly now: () => Date
  /** @default the engine behind /var/run/docker.sock */
  readonly engine?: PreflightEngine
  /** Also where a fresh report stands. @default false */
  readonly isForced?: boolean
  /** What has not run by then counts as failed. @default 20000 */
  readonly timeoutMilliseconds?: number
}

const runsAtOnce = 3
/** Name of the profile of ordinary jobs, which the attacks run under. */
const policy = 'job'
/** How long an attestation stands, in seconds: a preflight is run every day, and has another day to succeed. */
const attestationSeconds = 2 * 86_400

/**
 * Attacks the sandbox of this node from inside with the attack image, under the profile of ordinary jobs, and signs
 * what came of it, good or bad. A report of the last day about the same engine, kernel, runtime and profile stands.
 * @throws PreflightFailedError when a required check was not contained
 * @throws ExecutorUnavailableError when the engine does not answer or there is no attack program for it
 */
export async function runPreflight(options: PreflightOptions): Promise<SignedAttestation> {
  const { executor, signer, domain, stateDirectory, now, isForced = false } = options
  const engine = options.engine ?? createPreflightEngine()
  const probe = await executor.probe()
  if (!probe.available) throw new ExecutorUnavailableError(executor.name, probe.reason)
  const { architecture = '' } = probe.facts
  const image = createAttackImage(architecture)
  if (image === undefined) throw new ExecutorUnavailableError(executor.name, `no attack program for ${architecture}`)
  const { runtimeVersion, securityOptions } = await engine.describe()
  // Names only: an option may carry a path of the operator.
  const security = securityOptions.map((option) => option.split(',', 1)[0]).join(' ')
  // Who opens the slots may change from job to job; the attacks run in what the jobs run in.
  const { slots: _slots, ...probed } = probe.facts
  const facts = { ...probed, security, ...(runtimeVersion === undefined ? {} : { runtimeVersion }) }
  const subject = { facts, policy, profileDigest: profileDigest(architecture), programDigest: image.programDigest }

  if (!isForced) {
    const fresh = await findFreshPreflight(stateDirectory, { subject, provider: signer.address, domain, now: now() })
    if (fresh !== undefined) return fresh
  }

  const startedAt = performance.now()
  const ranAt = Math.floor(now().getTime() / 1000)
  const imageId = await engine.load(image)
  const observed = await observe(options, imageId)
  const report: PreflightReport = {
    version: 1,
    ranAt,
    executor: 'docker',
    ...subject,
    milliseconds: Math.round(performance.now() - startedAt),
    checks: [...evaluateChecks({ ...observed, facts, securityOptions })],
  }
  const signed = signAttestation(report, { validUntil: ranAt + attestationSeconds, signer, domain })
  await savePreflight(stateDirectory, signed)
  if (listMissedChecks(report).length > 0) throw new PreflightFailedError(signed)
  return signed
}

const runtimeOf = (digest: string): ModuleRuntime => ({
  kind: 'container',
  image: { digest, reference: 'lilypad/preflight' },
  args: [],
  stdin: 'none',
  env: {},
})

/** Digest of the options that job containers get and of how they are started, so that a report ends with the profile it is about. */
function profileDigest(architecture: string) {
  const seccomp = seccompProfile(architecture)
  if (seccomp === undefined) throw new ExecutorUnavailableError('docker', `no profile for ${architecture}`)
  const { limits } = attackRuns.probes
  const volume = {
    directory: '',
    bound: 'tmpfs',
    usage: async () => ({ bytes: 0, entries: 0 }),
    release: async () => {},
  } as const
  const options = containerOptions(
    limits,
    { kind: 'slot', folder: '' },
    {
      image: { id: '', environment: [] },
      labels: {},
      place: { name: '', folder: '', inputFolder: '', volume },
      engine: {
        ...{ facts: {}, seccomp, cpus: 1, memoryBytes: 0, architecture, runtimes: [], defaultRuntime: '', cdi: {} },
        host: { runtimes: {}, securityOptions: [], cgroupDriver: '' },
      },
      runtime: '',
      user: { uid: 65_534, gid: 65_534 },
    },
  )
  return sha256(
    canonicalJson({ options: options as Json, slots: 'created by the engine, or copied from one that was' }),
  )
}

/** Runs the attacks, a few at a time, and looks at this machine meanwhile. */
async function observe(
  { executor, stateDirectory, timeoutMilliseconds = 20_000 }: PreflightOptions,
  imageId: string,
): Promise<Omit<Observations, 'facts' | 'securityOptions'>> {
  const signal = AbortSignal.timeout(timeoutMilliseconds)
  const folder = await mkdtemp(join(stateDirectory, 'preflight-'))
  const trap = await openTrap()
  try {
    const input = join(folder, 'data')
    await writeFile(input, 'input')
    await chmod(input, 0o444)
    const task = { id: `0x${'0'.repeat(64)}`, env: {}, inputs: [{ path: 'data', source: input }] }

    const attack = async (name: AttackRunName): Promise<RunObservation> => {
      const { args, limits }: AttackRun = attackRuns[name]
      const outputDirectory = join(folder, name)
      await mkdir(outputDirectory)
      const targets = name === 'probes' ? trap.targets : []
      const program = { ...task, runtime: runtimeOf(imageId), args: [...targets, ...args], limits, outputDirectory }
      return look(await executor.run(program, { signal }), outputDirectory)
    }

    await prepare(executor, imageId, signal)
    const runs: { [name in AttackRunName]?: RunObservation } = {}
    const pending = [...attackRunNames]
    const work = async () => {
      for (let name = pending.shift(); name !== undefined && !signal.aborted; name = pending.shift()) {
        const found = await attack(name)
        if (!signal.aborted) runs[name] = found
      }
    }
    const settled = await Promise.allSettled(Array.from({ length: runsAtOnce }, work))
    const broken = settled.find((result) => result.status === 'rejected')
    if (broken !== undefined) throw broken.reason

    const unknown = runtimeOf(`sha256:${randomBytes(32).toString('hex')}`)
    const isUnknownImageRefused = await executor.prepare(unknown).then(
      () => false,
      () => true,
    )
    const isInputIntact = (await readFile(input, 'utf8')) === 'input' && ((await stat(input)).mode & 0o777) === 0o444
    return { runs, connections: trap.count(), isInputIntact, isUnknownImageRefused }
  } finally {
    await executor.forget?.(runtimeOf(imageId))
    await trap.close()
    await removeTree(folder)
  }
}

/** Has slots wait for the attacks, as they do for jobs. */
async function prepare(executor: Executor, imageId: string, signal: AbortSignal): Promise<void> {
  const all = attackRunNames.map((name) => attackRuns[name].limits)
  const different = new Map(all.map((limits) => [JSON.stringify(limits), limits]))
  const prepared = [...different.values()].map((limits) => executor.prepare(runtimeOf(imageId), undefined, { limits }))
  const late = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
  await Promise.race([Promise.all(prepared), late])
}

async function look(execution: Execution, outputDirectory: string): Promise<RunObservation> {
  const { outcome, outputs, logs, stdoutPath, startedAt, finishedAt } = execution
  return {
    outcome,
    probes: parseProbes(await readFile(stdoutPath, 'utf8')),
    outputs: await Promise.all(
      outputs.map(async ({ path }) => ({ path, mode: (await stat(join(outputDirectory, path))).mode & 0o7777 })),
    ),
    logBytes: Math.max(logs.stdout.bytes, logs.stderr.bytes),
    milliseconds: finishedAt - startedAt,
  }
}

/** Listens on this machine's loopback and on an abstract socket, and gives the attack program the ways to both. */
async function openTrap(): Promise<{
  readonly targets: readonly string[]
  count(): number
  close(): Promise<void>
}> {
  let connections = 0
  const listen = async (start: (server: Server) => void): Promise<Server> => {
    const server = createServer((socket) => {
      connections += 1
      socket.destroy()
    })
    await new Promise<void>((resolve) => {
      server.once('listening', resolve).once('error', () => resolve())
      start(server)
    })
    return server
  }
  const abstractName = `lilypad-preflight-${randomBytes(8).toString('hex')}`
  const servers = [
    await listen((server) => server.listen(0, '127.0.0.1')),
    await listen((server) => server.listen({ path: `\0${abstractName}` })),
  ]
  const address = servers[0]?.address()
  const port = typeof address === 'object' && address !== null ? address.port : 1
  const own = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .slice(0, 8)
  return {
    targets: [`port=${port}`, `abstract=${abstractName}`, ...own.map(({ address }) => `address=${address}`)],
    count: () => connections,
    close: async () => {
      await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))))
    },
  }
}
