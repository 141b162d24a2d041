// Child process of the WASM executor: runs one program once, then ends. It gets no environment, may read its own code
// and the program only, and speaks frames on stdout. Started as `node runner.ts <program> <tiered|optimised>`.
import { readFileSync, readSync, writeSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { ConsoleStdout, WASIProcExit } from '@bjorn3/browser_wasi_shim'
import { DeterministicWasi } from './deterministic-wasi.ts'
import { encodeFrameHeader, type FrameType, maxFrameBytes, type RunnerEnd, type RunnerJob } from './frames.ts'
import { outputLineReader } from './output-lines.ts'
import {
  findFile,
  listFiles,
  MemoryDirectory,
  MemoryFile,
  OpenMemoryFile,
  placeFile,
  PreopenMemoryDirectory,
  Quota,
} from './memory-file-system.ts'
import { type WasmInstance, type WasmModule, WebAssembly } from './web-assembly.ts'

const utf8 = new TextEncoder()

class UnknownImportError extends Error {}

function writeAll(bytes: Uint8Array): void {
  for (let offset = 0; offset < bytes.length; ) {
    try {
      offset += writeSync(1, bytes, offset)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
  }
}

function send(type: FrameType, payload: Uint8Array): void {
  for (let offset = 0; offset === 0 || offset < payload.length; offset += maxFrameBytes) {
    const piece = payload.subarray(offset, offset + maxFrameBytes)
    writeAll(encodeFrameHeader(type, piece.length))
    writeAll(piece)
  }
}

function readExactly(length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let offset = 0; offset < length; ) {
    const count = readSync(0, bytes, offset, length - offset, null)
    // The provider is gone: there is nobody to run for.
    if (count === 0) process.exit(0)
    offset += count
  }
  return bytes
}

function readJob(): { job: RunnerJob; stdin: Uint8Array; inputs: MemoryDirectory } {
  const length = new DataView(readExactly(4).buffer).getUint32(0, true)
  const job = JSON.parse(new TextDecoder().decode(readExactly(length))) as RunnerJob
  const stdin = readExactly(job.stdinBytes)
  const inputs = new MemoryDirectory()
  for (const { path, bytes } of job.inputs) placeFile(inputs, path, readExactly(bytes))
  return { job, stdin, inputs }
}

/** Why a run ended, in words of ours or of the engine, never of the program. */
function describeFailure(error: unknown): RunnerEnd {
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

function runJob(module: WasmModule): void {
  const { job, stdin, inputs } = readJob()
  const quota = new Quota({ bytes: job.outputBytes, files: job.outputFiles, folders: job.outputFolders })
  const outputs = new MemoryDirectory(quota)
  const scratch = new MemoryDirectory(new Quota({ bytes: job.scratchBytes, files: 65_536, folders: 65_536 }))
  const announced = new Set<string>()
  const readPaths = outputLineReader()
  const system = new DeterministicWasi(
    job.args,
    job.env,
    [
      new OpenMemoryFile(new MemoryFile(stdin)),
      new ConsoleStdout((bytes) => send('stdout', bytes)),
      new ConsoleStdout((bytes) => {
        send('stderr', bytes)
        for (const path of readPaths(bytes)) sendEarly(outputs, path, announced)
      }),
      new PreopenMemoryDirectory('/in', inputs),
      new PreopenMemoryDirectory('/out', outputs),
      new PreopenMemoryDirectory('/tmp', scratch),
    ],
    job.seed,
  )
  const end = execute(module, system)
  // A program that hit the limit and carried on has written less than it meant to, so its outputs count for nothing.
  if (quota.isExceeded) {
    finish({ kind: 'output-limit' })
    return
  }
  if (end.kind === 'exited') {
    for (const { path, content } of listFiles(outputs)) {
      send('file', utf8.encode(JSON.stringify({ path, bytes: content.length })))
      if (content.length > 0) send('data', content)
    }
  }
  finish(end)
}

/** Sends a file that the program says is finished, once. */
function sendEarly(outputs: MemoryDirectory, path: string, announced: Set<string>): void {
  const file = announced.has(path) ? undefined : findFile(outputs, path)
  if (file === undefined) return
  announced.add(path)
  const { content } = file
  send('early', utf8.encode(JSON.stringify({ path, bytes: content.length })))
  if (content.length > 0) send('data', content)
}

function execute(module: WasmModule, system: DeterministicWasi): RunnerEnd {
  let instance: WasmInstance | undefined
  const end = ((): RunnerEnd => {
    try {
      const isKnown = WebAssembly.Module.imports(module).every(
        ({ module: from, name, kind }) =>
          from === 'wasi_snapshot_preview1' && kind === 'function' && name in system.wasiImport,
      )
      if (!isKnown) throw new UnknownImportError()
      instance = new WebAssembly.Instance(module, { wasi_snapshot_preview1: system.wasiImport })
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

function finish(end: RunnerEnd): void {
  send('end', utf8.encode(JSON.stringify(end)))
}

function main(programPath: string, compilation: string): void {
  if (compilation === 'optimised') {
    // Here and not on the command line, where they would also slow down the WebAssembly inside Node.js itself.
    setFlagsFromString('--no-liftoff')
    setFlagsFromString('--no-wasm-lazy-compilation')
  }
  let module: WasmModule
  try {
    module = new WebAssembly.Module(readFileSync(programPath))
  } catch (error) {
    finish(describeFailure(error))
    return
  }
  send('ready', new Uint8Array())
  runJob(module)
}

main(process.argv[2] ?? '', process.argv[3] ?? 'tiered')
