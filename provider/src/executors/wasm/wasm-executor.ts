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
import { FrameError, frameReader, type RunnerEnd, type RunnerJob } from './frames.ts'
import { EarlyFiles } from './early-files.ts'
import { OutputReceiver } from './output-receiver.ts'
import { sweepProcesses } from './process-records.ts'
import { findPermissionFlag, memoryPages, RunnerProcess } from './runner-process.ts'

export type WasmExecutorOptions = {
  /** Folder of this node for records of running processes. */
  readonly stateDirectory: string
  /** Compiled, waiting, single-use processes kept per prepared program. @default 1 */
  readonly warmSlots?: number
  /** Prepared programs that keep warm processes; the one prepared longest ago goes first. @default 8 */
  readonly maxPrepared?: number
  /** Longest that a program may take to compile. @default 120 */
  readonly compileSeconds?: number
}

type Prepared = {
  readonly programPath: string
  readonly limits: ModuleLimits
  readonly slots: Promise<RunnerProcess>[]
}

const memoryWatchMilliseconds = 100
// Node itself, compiled code, and the copies a pipe needs.
const engineBytes = 256 * 1024 ** 2
// The optimising compiler works on many functions at once.
const compilerBytes = 1024 ** 3

/**
 * Runs WASI preview 1 programs in V8, one process per run, with a file system in memory and nothing of the machine.
 *
 * A run in a fresh process compiles lazily in the baseline compiler, which is fastest for short work. `prepare` with
 * limits keeps a process waiting that compiled everything with the optimising compiler, so compute-heavy programs
 * never stay in baseline code and no run waits for the compiler. Every process serves one run only.
 */
export class WasmExecutor implements Executor {
  readonly name = 'wasm'
  readonly #recordFolder: string
  readonly #warmSlots: number
  readonly #maxPrepared: number
  readonly #compileSeconds: number
  readonly #digests = new ProgramDigests()
  readonly #prepared = new Map<string, Prepared>()
  readonly #running = new Set<{ readonly control: RunControl; readonly settled: Promise<unknown> }>()
  #isClosed = false

  constructor(options: WasmExecutorOptions) {
    this.#recordFolder = join(options.stateDirectory, 'wasm')
    this.#warmSlots = options.warmSlots ?? 1
    this.#maxPrepared = options.maxPrepared ?? 8
    this.#compileSeconds = options.compileSeconds ?? 120
  }

  async probe(): Promise<Availability> {
    if (findPermissionFlag() === undefined) return { available: false, reason: 'this Node.js has no permission model' }
    return { available: true, facts: { node: process.versions.node, v8: process.versions.v8 } }
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
    const key = slotKey(runtime, limits)
    const prepared = this.#prepared.get(key) ?? { programPath: path, limits, slots: [] }
    this.#prepared.delete(key)
    this.#prepared.set(key, prepared)
    await this.#evict()
    this.#refill(prepared)
    const programBytes = runtime.kind === 'wasm' ? runtime.program.bytes : 0
    const problems = await Promise.all(
      prepared.slots.map(async (slot) => this.#untilCompiled(await slot, compilerBytes + 20 * programBytes)),
    )
    const problem = problems.find((found) => found !== undefined)
    if (problem === undefined) return
    if (this.#prepared.get(key) === prepared) this.#prepared.delete(key)
    throw new ProgramTooCostlyError(this.name, problem)
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
    const programPath = await this.#checkProgram(task.runtime, task.programPath)
    const inputs = await Promise.all(
      task.inputs.map(async ({ path, source }) => ({ path, source, bytes: (await stat(source)).size })),
    )
    const prepared = this.#prepared.get(slotKey(task.runtime, task.limits))
    const startedAt = Date.now()
    const runner = (await this.#takeSlot(prepared)) ?? (await this.#start(programPath, task.limits, 'tiered'))
    const control = new RunControl(task, options, startedAt, () => void runner.kill())
    const settled = this.#drive(task, options, runner, control, inputs, startedAt)
    const running = { control, settled }
    this.#running.add(running)
    if (this.#isClosed) control.stop({ kind: 'cancelled' })
    try {
      return await settled
    } finally {
      control.release()
      await runner.kill()
      this.#running.delete(running)
      if (prepared !== undefined && !this.#isClosed) this.#refill(prepared)
    }
  }

  async #drive(
    task: ExecutorTask,
    options: RunOptions,
    runner: RunnerProcess,
    control: RunControl,
    inputs: readonly { readonly path: string; readonly source: string; readonly bytes: number }[],
    startedAt: number,
  ): Promise<Execution> {
    const spool = await LogSpool.open(task.outputDirectory, task.limits.logBytes, options)
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
    sent.catch(() => {})
    try {
      const end = await receive(runner, receiver, early, spool, control)
      const { signal } = await runner.ended
      const finishedAt = Date.now()
      if (!(await sent) && control.stopped === undefined) throw new InputChangedError()
      const outcome = control.stopped ?? conclude(end, receiver, runner, signal)
      const isAccepted = outcome.kind === 'exited'
      await receiver.close()
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
      await receiver.close()
      await spool.finish().catch(() => {})
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
    const programBytes = runtime.kind === 'wasm' ? runtime.program.bytes : 0
    const inputBytes = inputs.reduce((sum, { bytes }) => sum + bytes, task.stdin?.length ?? 0)
    // A file grows by doubling and is copied once while it does.
    const allowed =
      limits.memoryBytes +
      3 * (limits.outputBytes + limits.scratchBytes) +
      2 * inputBytes +
      10 * programBytes +
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
    const slots = [...this.#prepared.values()].flatMap(({ slots }) => slots)
    this.#prepared.clear()
    const running = [...this.#running]
    for (const { control } of running) control.stop({ kind: 'cancelled' })
    await Promise.allSettled([
      ...slots.map(async (slot) => (await slot).kill()),
      ...running.map(({ settled }) => settled),
    ])
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

  #start(programPath: string, limits: ModuleLimits, compilation: 'tiered' | 'optimised'): Promise<RunnerProcess> {
    return RunnerProcess.start({
      programPath,
      memoryBytes: limits.memoryBytes,
      compilation,
      recordFolder: this.#recordFolder,
    })
  }

  #refill(prepared: Prepared): void {
    while (
      prepared.slots.length < this.#warmSlots &&
      !this.#isClosed &&
      [...this.#prepared.values()].includes(prepared)
    ) {
      const slot = this.#start(prepared.programPath, prepared.limits, 'optimised')
      // `takeSlot` sees the failure and starts a fresh process instead.
      slot.catch(() => {})
      prepared.slots.push(slot)
    }
  }

  async #takeSlot(prepared: Prepared | undefined): Promise<RunnerProcess | undefined> {
    for (let slot = prepared?.slots.shift(); slot !== undefined; slot = prepared?.slots.shift()) {
      const runner = await slot.catch(() => undefined)
      if (runner !== undefined && !runner.hasEnded) return runner
    }
    return undefined
  }

  async #evict(): Promise<void> {
    const [oldest] = this.#prepared
    if (oldest === undefined || this.#prepared.size <= this.#maxPrepared) return
    this.#prepared.delete(oldest[0])
    await Promise.allSettled(oldest[1].slots.map(async (slot) => (await slot).kill()))
  }
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
    for await (const chunk of runner.frames) {
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
    compilation: runner.compilation,
    node: process.versions.node,
    v8: process.versions.v8,
  }
}
