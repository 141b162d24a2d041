import { ConsoleStdout, WASIProcExit } from '@bjorn3/browser_wasi_shim'
import type { DeterministicWasi } from './deterministic-wasi.ts'
import type { RunnerEnd } from './frames.ts'
import {
  findFile,
  listFiles,
  MemoryDirectory,
  MemoryFile,
  OpenMemoryFile,
  PreopenMemoryDirectory,
  Quota,
} from './memory-file-system.ts'
import type { Outbox } from './outbox.ts'
import { outputLineReader } from './output-lines.ts'
import type { RunnerTask } from './read-task.ts'
import { type WasmInstance, type WasmModule, WebAssembly } from './web-assembly.ts'

const utf8 = new TextEncoder()

/** Gives a program bound to a system interface, or throws why it cannot be. */
export type BoundProgram = () => WasmInstance

class UnknownImportError extends Error {}

/** Binds a program to the system interface. Runs nothing of it, except what it asks for itself by a start section. */
export function instantiate(module: WasmModule, system: DeterministicWasi): WasmInstance {
  const isKnown = WebAssembly.Module.imports(module).every(
    ({ module: from, name, kind }) =>
      from === 'wasi_snapshot_preview1' && kind === 'function' && name in system.wasiImport,
  )
  if (!isKnown) throw new UnknownImportError()
  return new WebAssembly.Instance(module, { wasi_snapshot_preview1: system.wasiImport })
}

/** Runs a program on a task and says on the outbox what came of it. */
export function runTask(program: BoundProgram, system: DeterministicWasi, task: RunnerTask, outbox: Outbox): void {
  const { job, stdin, inputs } = task
  const quota = new Quota({ bytes: job.outputBytes, files: job.outputFiles, folders: job.outputFolders })
  const outputs = new MemoryDirectory(quota)
  const scratch = new MemoryDirectory(new Quota({ bytes: job.scratchBytes, files: 65_536, folders: 65_536 }))
  const announced = new Set<string>()
  const readPaths = outputLineReader()
  const stream = (type: 'stdout' | 'stderr') =>
    new ConsoleStdout((bytes) => {
      outbox.put(type, bytes)
      if (type === 'stderr') for (const path of readPaths(bytes)) putEarly(outbox, outputs, path, announced)
      outbox.flush()
    })
  system.begin({
    args: job.args,
    env: job.env,
    seed: job.seed,
    fds: [
      new OpenMemoryFile(new MemoryFile(stdin)),
      stream('stdout'),
      stream('stderr'),
      new PreopenMemoryDirectory('/in', inputs),
      new PreopenMemoryDirectory('/out', outputs),
      new PreopenMemoryDirectory('/tmp', scratch),
    ],
  })
  const end = execute(program, system)
  // A program that hit the limit and carried on has written less than it meant to, so its outputs count for nothing.
  if (quota.isExceeded) {
    finish(outbox, { kind: 'output-limit' })
    return
  }
  if (end.kind === 'exited') {
    for (const { path, content } of listFiles(outputs)) {
      outbox.put('file', utf8.encode(JSON.stringify({ path, bytes: content.length })))
      if (content.length > 0) outbox.put('data', content)
    }
  }
  finish(outbox, end)
}

/** Sends a file that the program says is finished, once. */
function putEarly(outbox: Outbox, outputs: MemoryDirectory, path: string, announced: Set<string>): void {
  const file = announced.has(path) ? undefined : findFile(outputs, path)
  if (file === undefined) return
  announced.add(path)
  const { content } = file
  outbox.put('early', utf8.encode(JSON.stringify({ path, bytes: content.length })))
  if (content.length > 0) outbox.put('data', content)
}

/** Says how the job ended. */
export function finish(outbox: Outbox, end: RunnerEnd): void {
  outbox.put('end', utf8.encode(JSON.stringify(end)))
  outbox.flush()
}

function execute(program: BoundProgram, system: DeterministicWasi): RunnerEnd {
  let instance: WasmInstance | undefined
  const end = ((): RunnerEnd => {
    try {
      instance = program()
      const { memory, _start } = instance.exports
      if (!(memory instanceof WebAssembly.Memory) || typeof _start !== 'function') throw new UnknownImportError()
      return { kind: 'exited', code: system.start({ exports: { memory, _start: _start as () => unknown } }) >>> 0 }
    } catch (error) {
      return error instanceof WASIProcExit ? { kind: 'exited', code: error.code >>> 0 } : describeFailure(error)
    }
  })()
  const failed = end.kind === 'trapped' || (end.kind === 'exited' && end.code !== 0)
  return failed && instance !== undefined && isMemoryFull(instance) ? { kind: 'out-of-memory' } : end
}

/** Whether the program's memory cannot grow by a single page: then the limit is what made it fail. */
function isMemoryFull(instance: WasmInstance): boolean {
  const { memory } = instance.exports
  if (!(memory instanceof WebAssembly.Memory)) return false
  try {
    memory.grow(1)
    return false
  } catch {
    return true
  }
}

/** Why a run ended, in words of ours or of the engine, never of the program. */
export function describeFailure(error: unknown): RunnerEnd {
  if (error instanceof UnknownImportError)
    return { kind: 'trapped', reason: 'the program imports something that is not WASI preview 1' }
  if (error instanceof RangeError && /out of memory|memory/i.test(error.message)) return { kind: 'out-of-memory' }
  if (error instanceof RangeError && /call stack/i.test(error.message))
    return { kind: 'trapped', reason: 'stack overflow' }
  if (error instanceof WebAssembly.RuntimeError) return { kind: 'trapped', reason: error.message.slice(0, 100) }
  if (error instanceof WebAssembly.CompileError)
    return { kind: 'trapped', reason: 'the program is not a valid WebAssembly module' }
  if (error instanceof WebAssembly.LinkError)
    return { kind: 'trapped', reason: 'the program does not fit WASI preview 1' }
  return { kind: 'trapped', reason: 'invalid use of the system interface' }
}
