import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { access, mkdir, readdir, rm } from 'node:fs/promises'
import { dirname, extname, isAbsolute, join } from 'node:path'
import type { Bytes32 } from '@lilypad-agents/protocol'
import type { Gpu } from '../../gpu/gpu.ts'
import { containerEnvironment } from '../determinism-environment.ts'
import { ExecutorUnavailableError } from '../errors.ts'
import { recordProcess, sweepProcesses } from '../wasm/process-records.ts'
import { LogTail } from './log-tail.ts'
import {
  type ServerBackend,
  type ServerExit,
  socketName,
  socketVariable,
  type StartedServer,
} from './server-backend.ts'
import type { ServerSpec } from './server-spec.ts'

/** Programs of this machine that stand for the images of module versions which the operator trusts, by version id. */
export type TrustedModules = Readonly<Record<Bytes32, string>>

/** Unix sockets have short names. */
const maxSocketPath = 100

/**
 * Runs servers as plain processes, without any sandbox: only for module versions that the operator has named. They get an
 * environment of their own, without anything of the provider's, and a process group, so that they end as a whole.
 */
export class ProcessBackend implements ServerBackend {
  readonly name = 'process'
  readonly #trusted: TrustedModules
  readonly #folder: string
  readonly #records: string

  constructor(options: { readonly trusted: TrustedModules; readonly stateDirectory: string }) {
    this.#trusted = options.trusted
    this.#folder = join(options.stateDirectory, 'servers')
    this.#records = join(options.stateDirectory, 'server-processes')
  }

  trusts(moduleVersion: Bytes32): boolean {
    return Object.hasOwn(this.#trusted, moduleVersion)
  }

  async check(spec: ServerSpec): Promise<void> {
    const program = this.#programOf(spec)
    const isThere = await access(program, constants.R_OK).then(
      () => true,
      () => false,
    )
    if (!isAbsolute(program) || !isThere)
      throw new ExecutorUnavailableError('server', `the trusted program ${program} cannot be read`)
  }

  async start(spec: ServerSpec, gpus: readonly Gpu[]): Promise<StartedServer> {
    const program = this.#programOf(spec)
    const socketFolder = join(this.#folder, randomBytes(4).toString('hex'))
    const socketPath = join(socketFolder, socketName)
    if (Buffer.byteLength(socketPath) > maxSocketPath)
      throw new ExecutorUnavailableError(
        'server',
        `the state directory has too long a path for a socket: ${socketPath}`,
      )
    await mkdir(socketFolder, { recursive: true, mode: 0o700 })
    const isScript = ['.mjs', '.js', '.ts'].includes(extname(program))
    const child = spawn(isScript ? process.execPath : program, [...(isScript ? [program] : []), ...spec.runtime.args], {
      cwd: socketFolder,
      stdio: ['ignore', 'pipe', 'pipe'],
      // A process group of its own, which is ended as a whole.
      detached: true,
      env: {
        ...containerEnvironment,
        PATH: [dirname(process.execPath), '/usr/local/bin', '/usr/bin', '/bin'].join(':'),
        HOME: socketFolder,
        TMPDIR: socketFolder,
        ...spec.runtime.env,
        [socketVariable]: socketPath,
        ...(gpus.length === 0 ? {} : { CUDA_VISIBLE_DEVICES: gpus.map(({ uuid }) => uuid).join() }),
      },
    })
    const tail = new LogTail()
    let isKept = true
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes: Buffer) => isKept && tail.push(bytes))
    const exited = new Promise<ServerExit>((resolve) => {
      child.once('error', () => resolve({ isOutOfMemory: false }))
      child.once('exit', () => resolve({ isOutOfMemory: false }))
    })
    const forget = child.pid === undefined ? async () => {} : await recordProcess(this.#records, child.pid)
    return {
      socketFolder,
      exited,
      tail: () => tail.toString(),
      onReady() {
        isKept = false
        tail.clear()
      },
      async close() {
        killGroup(child)
        await exited
        // What it has started may live on without it.
        killGroup(child)
        await rm(socketFolder, { recursive: true, force: true })
        await forget()
      },
      isolation: { isolation: 'none: the operator trusts this module version' },
    }
  }

  async sweep(): Promise<void> {
    const swept = await sweepProcesses(this.#records, killGroupOf)
    if (swept.living > 0) return
    for (const name of await readdir(this.#folder).catch(() => []))
      await rm(join(this.#folder, name), { recursive: true, force: true })
  }

  #programOf({ moduleVersion }: ServerSpec): string {
    const program = this.trusts(moduleVersion) ? this.#trusted[moduleVersion] : undefined
    if (program === undefined)
      throw new ExecutorUnavailableError('server', `the operator does not trust the module version ${moduleVersion}`)
    return program
  }
}

function killGroup({ pid }: ChildProcess): void {
  if (pid !== undefined) killGroupOf(pid)
}

function killGroupOf(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It is gone.
  }
}
