import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Bytes32,
  findServerUsage,
  type ModuleLimits,
  type ModuleRuntime,
  responsePath,
} from '@lilypad-agents/protocol'
import type { VramLedger } from '../../gpu/vram-ledger.ts'
import { ExecutorClosedError, ExecutorUnavailableError } from '../errors.ts'
import type { Availability, Execution, Executor, ExecutorTask, Outcome, RunOptions, ServerJob } from '../executor.ts'
import { LogSpool } from '../log-spool.ts'
import { RunControl } from '../run-control.ts'
import { ContainerBackend, type ContainerBackendOptions } from './container-backend.ts'
import { type Exchange, exchange } from './exchange.ts'
import { gpuAccount } from './gpu-account.ts'
import { ProcessBackend, type TrustedModules } from './process-backend.ts'
import { startServer } from './running-server.ts'
import type { ServerBackend } from './server-backend.ts'
import { ServerFaultError } from './server-fault.ts'
import { type Lease, ServerPool, type ServerPoolOptions, type ServerStatus } from './server-pool.ts'
import { type ServerSpec, serverSpec } from './server-spec.ts'
import { RequestRefusal, type UpstreamRequest, upstreamRequest } from './upstream-request.ts'

export type ServerExecutorOptions = ContainerBackendOptions & {
  /** Programs that stand for module versions which the operator trusts; they run without a sandbox. @default none */
  readonly trusted?: TrustedModules
  /** Whether servers may run in containers. @default true */
  readonly hasContainers?: boolean
  /** Sum of the memory limits of all servers. @default half of the machine's memory */
  readonly maxMemoryBytes?: number
  /** Servers of one module at the same time. @default 1 */
  readonly maxReplicas?: number
  /** Starts the servers of all offered modules ahead and keeps them. @default false */
  readonly isResident?: boolean
} & Pick<ServerPoolOptions, 'firstRestMilliseconds' | 'healthMilliseconds'>

type Running = { readonly control: RunControl; readonly settled: Promise<unknown> }
/** What a job came to at a server. */
type Answer = {
  readonly outcome: Outcome
  readonly response?: Uint8Array
  readonly units?: Execution['units']
  readonly startedAt?: number
  readonly lease?: Lease
}

/** A job whose server goes away before it has answered anything is sent once more; one that kills its servers is not sent on. */
const maxAttempts = 2
const exitMilliseconds = 1000
const queueSeconds = 86_400

/**
 * Answers jobs from model servers that stay between jobs: containers with nothing but a socket, or, for module versions
 * that the operator has named, plain processes. A job is one HTTP request. The requester's text is sent to nobody else
 * and kept nowhere by the provider; but all jobs of a module share one process, which is said in `isolation`.
 */
export class ServerExecutor implements Executor {
  readonly name = 'server'
  readonly #options: ServerExecutorOptions
  readonly #containers: ContainerBackend
  readonly #processes: ProcessBackend
  readonly #pool: ServerPool
  readonly #running = new Set<Running>()
  #vram: VramLedger | undefined
  #hasContainers: boolean
  #isClosed = false

  constructor(options: ServerExecutorOptions) {
    const { trusted = {}, stateDirectory, maxMemoryBytes = totalmem() / 2, maxReplicas = 1 } = options
    this.#options = options
    this.#hasContainers = options.hasContainers ?? true
    this.#containers = new ContainerBackend(options)
    this.#processes = new ProcessBackend({ trusted, stateDirectory })
    const { firstRestMilliseconds, healthMilliseconds } = options
    this.#pool = new ServerPool({
      start: (spec, how) => startServer(this.#backendOf(spec), spec, how),
      maxMemoryBytes,
      maxReplicas,
      gpus: gpuAccount(() => this.#vram),
      ...(firstRestMilliseconds === undefined ? {} : { firstRestMilliseconds }),
      ...(healthMilliseconds === undefined ? {} : { healthMilliseconds }),
    })
  }

  /** Lets servers have GPUs out of this account. */
  useGpus(vram: VramLedger): void {
    this.#vram = vram
    vram.onWaiting(() => this.#pool.yieldGpus())
  }

  /** Gives containers, or takes them away while nothing shows that they keep strangers in. Trusted modules run without. */
  allowContainers(areAllowed: boolean): void {
    this.#hasContainers = areAllowed
  }

  /** Servers there are, for the status page. */
  list(): { readonly servers: readonly ServerStatus[]; readonly waiting: number } {
    return { servers: this.#pool.list(), waiting: this.#pool.waiting }
  }

  async probe(): Promise<Availability> {
    const trusted = String(Object.keys(this.#options.trusted ?? {}).length)
    const engine = this.#hasContainers ? await this.#containers.engine().catch(() => undefined) : undefined
    if (engine !== undefined) return { available: true, facts: { ...engine.facts, trusted } }
    if (trusted !== '0') return { available: true, facts: { containers: 'none', trusted } }
    return { available: false, reason: 'no container engine can be used, and no module is trusted to run without' }
  }

  async prepare(
    runtime: ModuleRuntime,
    _programPath?: string,
    options: { readonly limits?: ModuleLimits; readonly moduleVersion?: Bytes32 } = {},
  ): Promise<void> {
    this.#assertOpen()
    const { limits, moduleVersion } = options
    if (limits === undefined || moduleVersion === undefined) return
    const spec = serverSpec(runtime, limits, moduleVersion)
    await this.#backendOf(spec).check(spec)
    if (this.#options.isResident) this.#pool.keep(spec)
  }

  async run(task: ExecutorTask, options: RunOptions = {}): Promise<Execution> {
    this.#assertOpen()
    const { server: job } = task
    if (job === undefined) throw new ExecutorUnavailableError(this.name, 'the job has no request for a server')
    const spec = serverSpec(task.runtime, task.limits, job.moduleVersion)
    const stop = new AbortController()
    // The time of the run begins when a server takes it; until then the deadline counts.
    const patient = { ...task, limits: { ...task.limits, timeoutSeconds: queueSeconds } }
    const control = new RunControl(patient, options, Date.now(), () => stop.abort())
    const settled = this.#drive(task, job, spec, options, control, stop.signal)
    const running = { control, settled }
    this.#running.add(running)
    try {
      return await settled
    } finally {
      control.release()
      this.#running.delete(running)
    }
  }

  async #drive(
    task: ExecutorTask,
    job: ServerJob,
    spec: ServerSpec,
    options: RunOptions,
    control: RunControl,
    signal: AbortSignal,
  ): Promise<Execution> {
    const spool = await LogSpool.open(task.outputDirectory, task.limits.logBytes, options)
    const queuedAt = Date.now()
    try {
      const answer = await this.#answer(task, job, spec, options, control, signal, spool)
      const finishedAt = Date.now()
      const outputs = answer.response === undefined ? [] : [await writeResponse(task.outputDirectory, answer.response)]
      return {
        outcome: answer.outcome,
        outputs,
        logs: await spool.finish(),
        stdoutPath: spool.stdoutPath,
        stderrPath: spool.stderrPath,
        startedAt: answer.startedAt ?? Math.min(queuedAt, finishedAt),
        finishedAt,
        isolation: {
          ...answer.lease?.server.isolation,
          tier: 'server',
          shared: true,
          backend: this.#backendOf(spec).name,
          protocol: spec.server.protocol,
          concurrency: spec.server.concurrency,
        },
        ...(answer.units === undefined ? {} : { units: answer.units }),
      }
    } catch (error) {
      await spool.finish().catch(() => {})
      throw error
    }
  }

  async #answer(
    task: ExecutorTask,
    job: ServerJob,
    spec: ServerSpec,
    options: RunOptions,
    control: RunControl,
    signal: AbortSignal,
    spool: LogSpool,
  ): Promise<Answer> {
    const request = await readRequest(job, spec)
    if (request instanceof RequestRefusal) {
      spool.push('stderr', Buffer.from(`the request was refused: ${request.message}\n`))
      return { outcome: { kind: 'trapped', reason: `the request was refused: ${request.message}` } }
    }
    for (let attempt = 1; ; attempt += 1) {
      const lease = await this.#pool.acquire(spec, signal)
      if (lease === undefined) return { outcome: control.stopped ?? { kind: 'cancelled' } }
      const startedAt = Date.now()
      const timer = setTimeout(() => control.stop({ kind: 'timed-out' }), task.limits.timeoutSeconds * 1000)
      let hasAnswered = false
      let isSuspect = true
      try {
        const answer = await exchange(lease.server.client, {
          server: spec.server,
          request,
          maxBytes: task.limits.outputBytes,
          signal,
          cut: options.cut,
          onBytes: (bytes) => {
            hasAnswered = true
            return options.onResponse?.(bytes)
          },
        })
        isSuspect = answer.kind === 'too-long' || (answer.kind === 'refused' && answer.status >= 500)
        return { ...this.#judge(answer, job, spool), startedAt, lease }
      } catch (error) {
        if (control.stopped !== undefined) return { outcome: control.stopped, startedAt, lease }
        if (!(error instanceof ServerFaultError)) throw error
        if (error.fault === 'died' && !hasAnswered && attempt < maxAttempts) continue
        const exit = error.fault === 'died' ? await soon(lease.server.exited) : undefined
        if (exit?.isOutOfMemory) return { outcome: { kind: 'out-of-memory' }, startedAt, lease }
        return { outcome: { kind: 'trapped', reason: error.message }, startedAt, lease }
      } finally {
        clearTimeout(timer)
        lease.release({ isSuspect })
      }
    }
  }

  /** Turns what was answered into an outcome, and reads the meter. */
  #judge(answer: Exchange, job: ServerJob, spool: LogSpool): Answer {
    switch (answer.kind) {
      case 'too-long':
        return { outcome: { kind: 'output-limit' } }
      case 'refused':
        // Said to the one who asked, in the log of the job; the outcome is in our own words.
        spool.push('stderr', Buffer.from(answer.text))
        return { outcome: { kind: 'trapped', reason: `the model server refused the request with ${answer.status}` } }
      case 'replied': {
        const units = findServerUsage(answer.reply)
        const isTrue =
          units !== undefined &&
          units.inputUnits <= job.caps.inputUnits &&
          units.outputUnits <= Math.min(job.caps.outputUnits, answer.bytes.length)
        if (job.isMetered && !isTrue)
          return { outcome: { kind: 'trapped', reason: new ServerFaultError('usage').message } }
        const outcome: Outcome = {
          kind: 'exited',
          code: 0,
          ...(answer.isCut ? { reason: 'the requester wanted no more of the reply' } : {}),
        }
        return { outcome, response: answer.bytes, ...(job.isMetered && units ? { units } : {}) }
      }
      default:
        return assertNever(answer)
    }
  }

  async sweep(): Promise<void> {
    await this.#processes.sweep()
    if (this.#hasContainers && (await this.#containers.engine().catch(() => undefined))) await this.#containers.sweep()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const running = [...this.#running]
    for (const { control } of running) control.stop({ kind: 'cancelled' })
    await Promise.allSettled(running.map(({ settled }) => settled))
    await this.#pool.close()
  }

  #backendOf({ moduleVersion }: ServerSpec): ServerBackend {
    if (this.#processes.trusts(moduleVersion)) return this.#processes
    if (this.#hasContainers) return this.#containers
    throw new ExecutorUnavailableError(
      this.name,
      `containers cannot be used, and the operator does not trust the module version ${moduleVersion}`,
    )
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new ExecutorClosedError(this.name)
  }
}

async function readRequest(job: ServerJob, { server }: ServerSpec): Promise<UpstreamRequest | RequestRefusal> {
  const text = typeof job.request === 'string' ? job.request : await readFile(job.request.path, 'utf8')
  try {
    return upstreamRequest(server, text, job.caps)
  } catch (error) {
    if (error instanceof RequestRefusal) return error
    throw error
  }
}

async function writeResponse(outputDirectory: string, bytes: Uint8Array) {
  await writeFile(join(outputDirectory, responsePath), bytes, { flag: 'wx', mode: 0o600 })
  const sha256: Bytes32 = `0x${createHash('sha256').update(bytes).digest('hex')}`
  return { path: responsePath, bytes: bytes.length, sha256 }
}

/** What a promise has for us if it has it soon: a connection breaks before the end of its server is known. */
function soon<T>(promise: Promise<T>): Promise<T | undefined> {
  const stop = new AbortController()
  return Promise.race([promise, sleep(exitMilliseconds, undefined, { signal: stop.signal })]).finally(() =>
    stop.abort(),
  )
}

function assertNever(value: never): never {
  throw new TypeError(`unexpected answer ${JSON.stringify(value)}`)
}
