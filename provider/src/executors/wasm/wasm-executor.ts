import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { ModuleLimits, ModuleRuntime } from '@lilypad-agents/protocol'
import { emptyFolder, maxOutputFolders } from '../../outputs/collect-outputs.ts'
import { environmentLines, wasmEnvironment } from '../determinism-environment.ts'
import { ExecutorClosedError, ExecutorUnavailableError, InputChangedError, ProgramTooCostlyError } from '../errors.ts'
import type { Availability, Execution, Executor, ExecutorTask, Isolation, Outcome, RunOptions } from '../executor.ts'
import { LogSpool } from '../log-spool.ts'
import { ProgramDigests } from '../program-digest.ts'
import { RunControl } from '../run-control.ts'
import { type PooledSpec, SlotPool } from '../slot-pool.ts'
import { FrameError, frameReader, type RunnerEnd, type RunnerJob } from './frames.ts'
import { EarlyFiles } from './early-files.ts'
import { OutputReceiver } from './output-receiver.ts'
import { sweepProcesses } from './process-records.ts'
import { findSystemWall } from './system-wall.ts'
import { type Compilation, findPermissionFlag, memoryPages, RunnerProcess } from './runner-process.ts'

export type WasmExecutorOptions = {
  /** Folder of this node for records of running processes. */
  readonly stateDirectory: string
  /** Waiting, single-use processes kept per prepared program, with the program compiled in them. @default 1 */
  readonly warmSlots?: number
  /** Waiting processes of all programs; the program used longest ago gives up its own first. @default 8 */
  readonly maxSlots?: number
  /** A program that nobody ran for so long keeps no process waiting until its next job. @default 900 */
  readonly idleSeconds?: number
  /** Longest that a program may take to compile. @default 120 */
  readonly compileSeconds?: number
}

type ProgramSpec = PooledSpec & {
  readonly runtime: ModuleRuntime
  readonly programPath: string
  readonly limits: ModuleLimits
}

const memoryWatchMilliseconds = 100
// Node itself, compiled code, and the copies a pipe needs.
const engineBytes = 256 * 1024 ** 2
// The optimising compiler works on many functions at once.
const compilerBytes = 1024 ** 3
// What a process takes that waits, next to the code of its program.
const waitingBytes = 64 * 1024 ** 2
const maxWaitingBytes = 2 * 1024 ** 3

/**
 * Runs WASI preview 1 programs in V8, one process per run, with a file system in memory and nothing of the machine.
 *
 * All code comes from the optimising compiler: compute-heavy programs never stay in baseline code, and a run has the same
 * stack frames wherever it happens. `prepare` with limits keeps a process waiting in which everything is compiled and
 * bound, so that a run has neither start-up nor compiler in it; a fresh process compiles each function when it is first
 * called. Every process serves one run only.
 */
export class WasmExecutor implements Executor {
  readonly name = 'wasm'
  readonly #recordFolder: string
  readonly #warmSlots: number
  readonly #compileSeconds: number
  readonly #digests = new ProgramDigests()
  readonly #pool: SlotPool<ProgramSpec, RunnerProcess>
  /** Why programs were given up, by key. */
  readonly #tooCostly = new Map<string, string>()
  readonly #opening = new Set<RunnerProcess>()
  readonly #running = new Set<{ readonly control: RunControl; readonly settled: Promise<unknown> }>()
  readonly #dying = new Set<Promise<void>>()
  #isClosed = false

  constructor(options: WasmExecutorOptions) {
    this.#recordFolder = join(options.stateDirectory, 'wasm')
    this.#warmSlots = options.warmSlots ?? 1
    this.#compileSeconds = options.compileSeconds ?? 120
    this.#pool = new SlotPool({
      open: (spec) => this.#open(spec),
      discard: (runner) => this.#bury(runner),
      warmSlots: this.#warmSlots,
      maxSlots: options.maxSlots ?? 8,
      maxReservedBytes: maxWaitingBytes,
      idleSeconds: options.idleSeconds ?? 900,
    })
  }

  async probe(): Promise<Availability> {
    if (findPermissionFlag() === undefined) return { available: false, reason: 'this Node.js has no permission model' }
    const { name: systemWall } = await findSystemWall()
    return { available: true, facts: { node: process.versions.node, v8: process.versions.v8, systemWall } }
  }

  async prepare(
    runtime: ModuleRuntime,
    programPath?: string,
    options: { readonly limits?: ModuleLimits } = {},
  ): Promise<void> {
    this.#assertOpen()
    const path = await this.#checkProgram(runtime, programPath)
    const { limits } = options
    if (limits === undefined || this.#warmSlots === 0) return
    const spec = programSpec(runtime, path, limits)
    this.#tooCostly.delete(spec.key)
    await this.#pool.keep(spec)
    const problem = this.#tooCostly.get(spec.key)
    if (problem === undefined) return
    await this.#pool.forget(spec.key)
    throw new ProgramTooCostlyError(this.name, problem)
  }

  /** Starts a process that waits with the program compiled in it. */
  async #open(spec: ProgramSpec): Promise<RunnerProcess> {
    const { runtime, limits } = spec
    const programPath = await this.#checkProgram(runtime, spec.programPath)
    const runner = await this.#start(programPath, limits, 'ahead')
    this.#opening.add(runner)
    if (this.#isClosed) runner.stop()
    const problem = await this.#untilCompiled(runner, compilerBytes + 20 * programBytes(runtime))
    this.#opening.delete(runner)
    if (problem !== undefined) this.#tooCostly.set(spec.key, problem)
    if (problem !== undefined || runner.isBroken) throw new ProgramTooCostlyError(this.name, problem ?? 'it ended')
    return runner
  }

  /** Anybody may publish a program whose compilation takes hours or all memory: it is given up. Returns why. */
  async #untilCompiled(runner: RunnerProcess, allowedBytes: number): Promise<string | undefined> {
    const until = performance.now() + this.#compileSeconds * 1000
    let problem: string | undefined
    const look = async () => {
      const isLate = performance.now() > until
      if (!isLate && ((await runner.residentBytes()) ?? 0) <= allowedBytes) return
      problem ??= isLate ? 'it takes too long to compile' : 'it takes too much memory to compile'
      await runner.kill()
    }
    const watch = setInterval(() => void look(), memoryWatchMilliseconds).unref()
    await runner.ready().finally(() => clearInterval(watch))
    return problem
  }

  async run(task: ExecutorTask, options: RunOptions = {}): Promise<Execution> {
    this.#assertOpen()
    const inputs = await Promise.all(
      task.inputs.map(async ({ path, source }) => ({ path, source, bytes: (await stat(source)).size })),
    )
    const key = slotKey(task.runtime, task.limits)
    const startedAt = Date.now()
    // The program in a slot was checked when the slot was opened.
    const runner = (await this.#pool.take(key)) ?? (await this.#startChecked(task))
    const control = new RunControl(task, options, startedAt, () => void runner.kill())
    const settled = this.#drive(task, options, runner, control, inputs, startedAt)
    const running = { control, settled }
    this.#running.add(running)
    if (this.#isClosed) control.stop({ kind: 'cancelled' })
    try {
      return await settled
    } finally {
      control.release()
      this.#bury(runner)
      this.#running.delete(running)
      // Starting a process holds up this one, so whoever waits for the result goes first.
      setImmediate(() => this.#pool.refill(key))
    }
  }

  /** Ends a process without waiting until the system has taken it apart. */
  #bury(runner: RunnerProcess): void {
    // Ending one takes a while, too.
    setImmediate(() => runner.abandon())
    const buried = runner.ended.then(() => void this.#dying.delete(buried))
    this.#dying.add(buried)
  }

  async #drive(
    task: ExecutorTask,
    options: RunOptions,
    runner: RunnerProcess,
    control: RunControl,
    inputs: readonly { readonly path: string; readonly source: string; readonly bytes: number }[],
    startedAt: number,
  ): Promise<Execution> {
    const receiver = new OutputReceiver(task.outputDirectory, task.limits)
    const early = new EarlyFiles(`${task.outputDirectory}.early`, task.limits, options.onFile)
    const stdin = task.stdin ?? new Uint8Array()
    const job = toRunnerJob(task, stdin, inputs)
    const watch = this.#watchMemory(task, runner, control, inputs)
    const sending = runner.send(
      job,
      stdin,
      inputs.map(({ source }) => source),
    )
    // Observed below; a failure must not surface as unhandled while frames are still read.
    const sent = sending.then(
      (isSent) => isSent || runner.kill().then(() => false),
      (error: unknown) => runner.kill().then(() => Promise.reject(error)),
    )
    let isSent = false
    sent.then(
      () => {
        isSent = true
      },
      () => {},
    )
    // After the job has gone out, so that the program already starts.
    const opening = LogSpool.open(task.outputDirectory, task.limits.logBytes, options)
    opening.catch(() => {})
    try {
      const spool = await opening
      const end = await receive(runner, receiver, early, spool, control)
      // One that has said its last word is ended after the result is out; any other may go on, or wait for us, for ever.
      if (end === undefined || !isSent) runner.abandon()
      const signal = end === undefined ? (await runner.ended).signal : null
      const finishedAt = Date.now()
      if (!(await sent) && control.stopped === undefined) throw new InputChangedError()
      const outcome = control.stopped ?? conclude(end, receiver, runner, signal)
      const isAccepted = outcome.kind === 'exited'
      receiver.close()
      if (!isAccepted) await emptyFolder(task.outputDirectory)
      const logs = await spool.finish()
      return {
        outcome,
        outputs: isAccepted ? (receiver.outputs ?? []) : [],
        logs,
        stdoutPath: spool.stdoutPath,
        stderrPath: spool.stderrPath,
        startedAt,
        finishedAt,
        isolation: describeIsolation(task, runner),
      }
    } catch (error) {
      await runner.kill()
      receiver.close()
      await opening.then((spool) => spool.finish()).catch(() => {})
      throw error
    } finally {
      clearInterval(watch)
      await early.close()
    }
  }

  /** Second line behind V8's own page limit, which counts one memory of a module and not the compiler's. */
  #watchMemory(
    task: ExecutorTask,
    runner: RunnerProcess,
    control: RunControl,
    inputs: readonly { readonly bytes: number }[],
  ): NodeJS.Timeout {
    const { limits, runtime } = task
    const inputBytes = inputs.reduce((sum, { bytes }) => sum + bytes, task.stdin?.length ?? 0)
    // A file grows by doubling and is copied once while it does.
    const allowed =
      limits.memoryBytes +
      3 * (limits.outputBytes + limits.scratchBytes) +
      2 * inputBytes +
      10 * programBytes(runtime) +
      engineBytes
    const look = async () => {
      if (((await runner.residentBytes()) ?? 0) > allowed) control.stop({ kind: 'out-of-memory' })
    }
    return setInterval(() => void look(), memoryWatchMilliseconds).unref()
  }

  async sweep(): Promise<void> {
    await sweepProcesses(this.#recordFolder)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const running = [...this.#running]
    for (const { control } of running) control.stop({ kind: 'cancelled' })
    for (const runner of this.#opening) runner.stop()
    await Promise.allSettled([this.#pool.close(), ...running.map(({ settled }) => settled)])
    await Promise.all(this.#dying)
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new ExecutorClosedError(this.name)
  }

  async #checkProgram(runtime: ModuleRuntime, programPath: string | undefined): Promise<string> {
    if (runtime.kind !== 'wasm') throw new ExecutorUnavailableError(this.name, 'it runs WASM programs only')
    if (programPath === undefined) throw new ExecutorUnavailableError(this.name, 'the program file was not given')
    await this.#digests.assertDigest(programPath, runtime.program.sha256)
    return programPath
  }

  async #startChecked({ runtime, programPath, limits }: ExecutorTask): Promise<RunnerProcess> {
    return this.#start(await this.#checkProgram(runtime, programPath), limits, 'lazy')
  }

  #start(programPath: string, limits: ModuleLimits, compilation: Compilation): Promise<RunnerProcess> {
    return RunnerProcess.start({
      programPath,
      memoryBytes: limits.memoryBytes,
      compilation,
      recordFolder: this.#recordFolder,
    })
  }
}

function programBytes(runtime: ModuleRuntime): number {
  return runtime.kind === 'wasm' ? runtime.program.bytes : 0
}

function programSpec(runtime: ModuleRuntime, programPath: string, limits: ModuleLimits): ProgramSpec {
  const reservedBytes = waitingBytes + 10 * programBytes(runtime)
  return { key: slotKey(runtime, limits), reservedBytes, runtime, programPath, limits }
}

function slotKey(runtime: ModuleRuntime, limits: ModuleLimits): string {
  return runtime.kind === 'wasm' ? `${runtime.program.sha256}|${memoryPages(limits.memoryBytes)}` : ''
}

function toRunnerJob(
  task: ExecutorTask,
  stdin: Uint8Array,
  inputs: readonly { readonly path: string; readonly bytes: number }[],
): RunnerJob {
  const { limits } = task
  return {
    args: task.args,
    env: environmentLines(wasmEnvironment, task.env),
    seed: task.id,
    stdinBytes: stdin.length,
    inputs: inputs.map(({ path, bytes }) => ({ path, bytes })),
    outputBytes: limits.outputBytes,
    outputFiles: limits.outputFiles,
    outputFolders: maxOutputFolders(limits),
    scratchBytes: limits.scratchBytes,
  }
}

/** Reads frames until the runner says how it ended, dies, or is stopped. */
async function receive(
  runner: RunnerProcess,
  receiver: OutputReceiver,
  early: EarlyFiles,
  spool: LogSpool,
  control: RunControl,
): Promise<RunnerEnd | undefined> {
  const read = frameReader()
  try {
    // The pipe is closed after the result is out.
    for await (const chunk of runner.frames.iterator({ destroyOnReturn: false })) {
      for (const { type, payload } of read(chunk as Buffer)) {
        if (control.stopped !== undefined) return undefined
        const problem = await accept()
        if (problem !== undefined) control.stop(problem)

        async function accept(): Promise<Outcome | undefined> {
          switch (type) {
            case 'stdout':
            case 'stderr':
              if (!spool.push(type, payload)) return { kind: 'log-limit' }
              // Frames that are not read hold the program up.
              if (spool.room !== undefined) await Promise.race([spool.room, runner.ended])
              return undefined
            case 'early':
              return early.begin(payload)
            case 'file':
              return receiver.begin(payload)
            case 'data':
              return early.isOpen ? early.append(payload) : receiver.append(payload)
            case 'ready':
            case 'end':
              return undefined
          }
        }
        if (type === 'end') return parseEnd(payload)
      }
    }
  } catch (error) {
    // A killed process closes its pipe in the middle of a frame; that is no failure of ours.
    if (!(error instanceof FrameError) && (error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE')
      throw error
    await runner.kill()
  }
  return undefined
}

function parseEnd(payload: Uint8Array): RunnerEnd | undefined {
  try {
    const { kind, code, reason } = JSON.parse(Buffer.from(payload).toString('utf8')) as {
      kind?: unknown
      code?: unknown
      reason?: unknown
    }
    if (kind === 'exited' && typeof code === 'number' && Number.isInteger(code) && code >= 0 && code < 2 ** 32)
      return { kind, code }
    if (kind === 'output-limit' || kind === 'out-of-memory') return { kind }
    if (kind === 'trapped' && typeof reason === 'string')
      return { kind, reason: reason.replace(/[^\x20-\x7e]/g, ' ').slice(0, 200) }
  } catch {
    // Falls through: an end that cannot be read is no end.
  }
  return undefined
}

function conclude(
  end: RunnerEnd | undefined,
  receiver: OutputReceiver,
  runner: RunnerProcess,
  signal: NodeJS.Signals | null,
): Outcome {
  if (end === undefined)
    return runner.ranOutOfMemory
      ? { kind: 'out-of-memory' }
      : { kind: 'trapped', reason: `the engine stopped${signal ? ` by ${signal}` : ''}` }
  if (end.kind === 'exited' && receiver.outputs === undefined)
    return { kind: 'refused-output', reason: 'the runner sent less than it announced', path: '' }
  return end
}

function describeIsolation(task: ExecutorTask, runner: RunnerProcess): Isolation {
  return {
    process: 'one per run',
    permissionModel: findPermissionFlag() !== undefined,
    systemWall: runner.wall.name,
    fileSystem: 'in memory',
    network: 'none',
    hostEnvironment: 'none',
    clock: 'virtual',
    randomness: 'seeded by the order',
    memoryPages: memoryPages(task.limits.memoryBytes),
    timeoutSeconds: task.limits.timeoutSeconds,
    outputBytes: task.limits.outputBytes,
    outputFiles: task.limits.outputFiles,
    logBytes: task.limits.logBytes,
    start: runner.compilation === 'ahead' ? 'slot' : 'fresh',
    compilation: 'optimised',
    node: process.versions.node,
    v8: process.versions.v8,
  }
}
