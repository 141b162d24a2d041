import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { readFile, realpath } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, extname, join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { RunnerJob } from './frames.ts'
import { recordProcess } from './process-records.ts'
import { findSystemWall, type SystemWall } from './system-wall.ts'

/** When V8 compiles a function: before the job is there, or when the program first calls it. */
export type Compilation = 'ahead' | 'lazy'

export type RunnerOptions = {
  readonly programPath: string
  readonly memoryBytes: number
  readonly compilation: Compilation
  /** Folder for records of running children, so that `sweep` finds orphans. */
  readonly recordFolder: string
}

const wasmPageBytes = 65_536
const maxWasmPages = 65_536
const diagnosticBytes = 4096

// Source runs as .ts, the built package as .js: the runner stands beside this file in both.
const thisFile = fileURLToPath(import.meta.url)
const runnerPath = join(dirname(thisFile), `runner${extname(thisFile)}`)
const shimFolder = dirname(createRequire(import.meta.url).resolve('@bjorn3/browser_wasi_shim'))

/** The flag that turns on Node's permission model, or undefined where there is none. */
export function findPermissionFlag(): string | undefined {
  return ['--permission', '--experimental-permission'].find((flag) => process.allowedNodeEnvironmentFlags.has(flag))
}

/** Pages of 64 KiB that a program may have. */
export function memoryPages(memoryBytes: number): number {
  return Math.max(1, Math.min(maxWasmPages, Math.floor(memoryBytes / wasmPageBytes)))
}

async function runnerFlags(options: RunnerOptions, programPath: string): Promise<readonly string[]> {
  const permission = findPermissionFlag()
  const readable = [`${dirname(await realpath(runnerPath))}/*`, `${dirname(await realpath(shimFolder))}/*`, programPath]
  return [
    '--no-warnings',
    ...(permission ? [permission, ...readable.map((path) => `--allow-fs-read=${path}`)] : []),
    `--wasm-max-mem-pages=${memoryPages(options.memoryBytes)}`,
    '--max-old-space-size=128',
    '--disallow-code-generation-from-strings',
    '--disable-proto=delete',
  ]
}

/** A child process that compiles one program, waits for one job, runs it and ends. */
export class RunnerProcess {
  readonly pid: number
  readonly compilation: Compilation
  readonly wall: SystemWall
  readonly frames: Readable
  /** Resolves when the process is gone and its record removed. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>
  #diagnostics = ''
  #hasEnded = false

  private constructor(
    child: ChildProcessByStdio<Writable, Readable, Readable>,
    pid: number,
    options: RunnerOptions & { readonly wall: SystemWall },
    forget: Promise<() => Promise<void>>,
  ) {
    this.#child = child
    this.pid = pid
    this.compilation = options.compilation
    this.wall = options.wall
    // Without a listener Node would throw away what an ended child has written and nobody has read yet.
    this.frames = child.stdout.on('readable', () => {})
    this.ended = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        this.#hasEnded = true
        forget.then((forgetRecord) => forgetRecord()).finally(() => resolve({ code, signal }))
      })
    })
    child.stderr.setEncoding('latin1').on('data', (text: string) => {
      this.#diagnostics = (this.#diagnostics + text).slice(-diagnosticBytes)
    })
    // A child that was killed no longer reads; its end is reported by `ended`.
    child.stdin.on('error', () => {})
  }

  static async start(options: RunnerOptions): Promise<RunnerProcess> {
    const programPath = await realpath(options.programPath)
    const wall = await findSystemWall()
    const flags = await runnerFlags(options, programPath)
    const runner = [process.execPath, ...flags, await realpath(runnerPath), programPath, options.compilation]
    // The wall becomes the runner: its number stays.
    const [command = process.execPath, ...args] = [...wall.command, ...runner]
    const child = spawn(command, args, {
      cwd: '/',
      env: {},
      stdio: ['pipe', 'pipe', 'pipe'],
      windowsHide: true,
    })
    await once(child, 'spawn')
    const { pid } = child
    if (pid === undefined) throw new Error('a spawned process has a number')
    return new RunnerProcess(child, pid, { ...options, wall }, recordProcess(options.recordFolder, pid))
  }

  /** Whether it has ended. */
  get isBroken(): boolean {
    return this.#hasEnded
  }

  get closed(): Promise<unknown> {
    return this.ended
  }

  /** Whether the engine said that it ran out of memory before it died. */
  get ranOutOfMemory(): boolean {
    return /out of memory|heap limit|Allocation failed/i.test(this.#diagnostics)
  }

  /** Resolves when the program is compiled, or could not be, and the process waits or has ended. */
  async ready(): Promise<void> {
    if (this.frames.readableLength > 0) return
    await Promise.race([once(this.frames, 'readable'), this.ended])
  }

  /** Hands over the one job. False when an input is no longer as long as the job says. */
  async send(job: RunnerJob, stdin: Uint8Array, sources: readonly string[]): Promise<boolean> {
    const header = Buffer.from(JSON.stringify(job))
    const length = Buffer.alloc(4)
    length.writeUInt32LE(header.length)
    await this.#write(Buffer.concat([length, header, stdin]))
    for (const [index, source] of sources.entries()) {
      const bytes = job.inputs[index]?.bytes ?? 0
      let sent = 0
      for await (const piece of createReadStream(source)) {
        sent += (piece as Buffer).length
        if (sent > bytes) return false
        await this.#write(piece as Buffer)
      }
      if (sent < bytes) return false
    }
    // Standard input stays open: its end means to the runner that the provider is gone.
    return true
  }

  async #write(bytes: Uint8Array): Promise<void> {
    if (this.#child.stdin.write(bytes) || this.#hasEnded) return
    await Promise.race([new Promise((resolve) => this.#child.stdin.once('drain', resolve)), this.ended])
  }

  /** Bytes of memory the process holds, where the system tells. */
  async residentBytes(): Promise<number | undefined> {
    const pages = (await readFile(`/proc/${this.pid}/statm`, 'utf8').catch(() => '')).split(' ')[1]
    return pages === undefined ? undefined : Number(pages) * 4096
  }

  /** Sends SIGKILL: from then on the process runs nothing, though it takes the system a moment to take it apart. */
  stop(): void {
    if (!this.#hasEnded) this.#child.kill('SIGKILL')
  }

  /** Stops a process whose words nobody wants any more. */
  abandon(): void {
    this.stop()
    // The end of a process is told only after its pipes are closed, and a pipe that nobody reads stays open.
    setImmediate(() => this.frames.destroy())
  }

  /** Abandons a process and waits until it is gone. */
  async kill(): Promise<void> {
    this.abandon()
    await this.ended
  }
}
