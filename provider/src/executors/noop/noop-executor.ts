import { setTimeout as sleep } from 'node:timers/promises'
import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { ModuleRuntime, OutputFile } from '@lilypad-agents/protocol'
import { emptyFolder, findPathProblem, quotePath, sortOutputs } from '../../outputs/collect-outputs.ts'
import { ExecutorClosedError } from '../errors.ts'
import type { Availability, Execution, Executor, ExecutorTask, Outcome, RunOptions } from '../executor.ts'
import { LogSpool } from '../log-spool.ts'
import { RunControl } from '../run-control.ts'

/** What a run of {@link NoopExecutor} pretends to do. */
export type CannedRun = {
  readonly outputs?: Readonly<Record<string, string | Uint8Array>>
  readonly stdout?: string | Uint8Array
  readonly stderr?: string | Uint8Array
  /** @default 0 */
  readonly exitCode?: number
  /** How long the run takes. @default 0 */
  readonly milliseconds?: number
  /** What it writes to stdout bit by bit, after `stdout`, with a pause before each. */
  readonly ticks?: { readonly text: (index: number) => string; readonly count: number; readonly milliseconds: number }
  /** A reply, in the pieces in which a model server gives it. */
  readonly response?: readonly string[]
}

/** Answers every run with canned bytes, under the same limits as the others. For tests of what stands above executors. */
export class NoopExecutor implements Executor {
  readonly name = 'noop'
  readonly #answer: (task: ExecutorTask) => CannedRun
  readonly #running = new Map<RunControl, Promise<unknown>>()
  #isClosed = false

  constructor(answer: CannedRun | ((task: ExecutorTask) => CannedRun) = {}) {
    this.#answer = typeof answer === 'function' ? answer : () => answer
  }

  async probe(): Promise<Availability> {
    return { available: true, facts: {} }
  }

  async prepare(_runtime: ModuleRuntime): Promise<void> {
    if (this.#isClosed) throw new ExecutorClosedError(this.name)
  }

  async run(task: ExecutorTask, options: RunOptions = {}): Promise<Execution> {
    if (this.#isClosed) throw new ExecutorClosedError(this.name)
    const startedAt = Date.now()
    const aborter = new AbortController()
    const control = new RunControl(task, options, startedAt, () => aborter.abort())
    const settled = this.#pretend(task, options, control, aborter.signal, startedAt)
    this.#running.set(control, settled)
    try {
      return await settled
    } finally {
      control.release()
      this.#running.delete(control)
    }
  }

  async #pretend(
    task: ExecutorTask,
    options: RunOptions,
    control: RunControl,
    signal: AbortSignal,
    startedAt: number,
  ): Promise<Execution> {
    const canned = this.#answer(task)
    const spool = await LogSpool.open(task.outputDirectory, task.limits.logBytes, options)
    for (const stream of ['stdout', 'stderr'] as const) {
      if (!spool.push(stream, Buffer.from(canned[stream] ?? ''))) control.stop({ kind: 'log-limit' })
    }
    for (const piece of canned.response ?? []) await options.onResponse?.(Buffer.from(piece))
    const { ticks } = canned
    for (let index = 0; index < (ticks?.count ?? 0) && control.stopped === undefined; index++) {
      if (ticks === undefined) break
      await sleep(ticks.milliseconds, undefined, { signal }).catch(() => {})
      if (!spool.push('stdout', Buffer.from(ticks.text(index)))) control.stop({ kind: 'log-limit' })
      await spool.room
    }
    if (canned.milliseconds !== undefined) await sleep(canned.milliseconds, undefined, { signal }).catch(() => {})
    const written = control.stopped === undefined ? await writeOutputs(task, canned.outputs ?? {}) : []
    const outcome: Outcome =
      control.stopped ??
      (Array.isArray(written) ? { kind: 'exited', code: canned.exitCode ?? 0 } : (written as Outcome))
    if (outcome.kind !== 'exited') await emptyFolder(task.outputDirectory)
    return {
      outcome,
      outputs: outcome.kind === 'exited' && Array.isArray(written) ? sortOutputs(written) : [],
      logs: await spool.finish(),
      stdoutPath: spool.stdoutPath,
      stderrPath: spool.stderrPath,
      startedAt,
      finishedAt: Date.now(),
      isolation: { isolation: 'none', program: 'not run' },
    }
  }

  async sweep(): Promise<void> {}

  async close(): Promise<void> {
    this.#isClosed = true
    for (const control of this.#running.keys()) control.stop({ kind: 'cancelled' })
    await Promise.allSettled(this.#running.values())
  }
}

async function writeOutputs(
  task: ExecutorTask,
  outputs: Readonly<Record<string, string | Uint8Array>>,
): Promise<OutputFile[] | Outcome> {
  const written: OutputFile[] = []
  let total = 0
  for (const [path, content] of Object.entries(outputs)) {
    const bytes = Buffer.from(content)
    const problem = findPathProblem(path)
    if (problem !== undefined) return { kind: 'refused-output', reason: problem, path: quotePath(path) }
    total += bytes.length
    if (written.length + 1 > task.limits.outputFiles || total > task.limits.outputBytes) return { kind: 'output-limit' }
    const target = join(task.outputDirectory, path)
    await mkdir(dirname(target), { recursive: true })
    await writeFile(target, bytes, { flag: 'wx' })
    written.push({ path, bytes: bytes.length, sha256: `0x${createHash('sha256').update(bytes).digest('hex')}` })
  }
  return written
}
