import type {
  Bytes32,
  LogStream,
  ModuleLimits,
  ModuleNetwork,
  ModuleRuntime,
  OutputFile,
  ServerUsage,
} from '@lilypad-agents/protocol'
import type { Gpu } from '../gpu/gpu.ts'

/** What an executor did to keep a program in: facts for the job manifest, never wishes. */
export type Isolation = Readonly<Record<string, string | number | boolean>>

/** What a run of a model server needs: one request. */
export type ServerJob = {
  readonly moduleVersion: Bytes32
  /** Body of the request: JSON text, or a file of this machine that holds it. */
  readonly request: string | { readonly path: string }
  /** The most units that the order pays for. */
  readonly caps: ServerUsage
  /** Whether the units of the reply are the meter; one that tells none, or more than the caps, is then refused. */
  readonly isMetered: boolean
}

/** One run of one program. Everything in it was checked before; arguments have their placeholders filled in. */
export type ExecutorTask = {
  /** Order hash. Seeds clock and randomness where the executor controls them, so a re-run with the same id sees the same. */
  readonly id: string
  readonly runtime: ModuleRuntime
  /** File that holds the program of a `wasm` runtime. Its digest is compared with the manifest before it runs. */
  readonly programPath?: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Bytes on standard input. Without them the program reads end of file at once. */
  readonly stdin?: Uint8Array
  /** Files that appear read-only at `/in/<path>`. `source` is a file of this machine. */
  readonly inputs: readonly { readonly path: string; readonly source: string }[]
  readonly limits: ModuleLimits
  /** Hosts that the run may talk to, through a proxy of the executor. @default none */
  readonly network?: ModuleNetwork
  /** GPUs that are this run's own. @default none */
  readonly gpus?: readonly Gpu[]
  /** The request of a run that a model server answers; then arguments, environment and inputs are of no use. */
  readonly server?: ServerJob
  /** Empty folder of this machine. Accepted output files are placed in it; the log files stand next to it. */
  readonly outputDirectory: string
  /** Unix seconds after which the run is useless. The earlier of this and `limits.timeoutSeconds` stops it. */
  readonly deadline?: number
}

/** How a run ended. `reason` is always the executor's own words; `path` is quoted and cut. */
export type Outcome =
  | { readonly kind: 'exited'; readonly code: number; readonly reason?: string }
  | { readonly kind: 'timed-out' }
  | { readonly kind: 'out-of-memory' }
  | { readonly kind: 'log-limit' }
  | { readonly kind: 'output-limit' }
  | { readonly kind: 'refused-output'; readonly reason: string; readonly path: string }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'trapped'; readonly reason: string }

/** What came of a run. */
export type Execution = {
  readonly outcome: Outcome
  /** Files in `outputDirectory`, sorted by path. Empty unless the program exited by itself. */
  readonly outputs: readonly OutputFile[]
  readonly logs: { readonly stdout: LogStream; readonly stderr: LogStream }
  readonly stdoutPath: string
  readonly stderrPath: string
  /** Unix milliseconds. */
  readonly startedAt: number
  /** Unix milliseconds. */
  readonly finishedAt: number
  readonly isolation: Isolation
  /** Units counted by the executor itself, for modules that are metered by use (tokens). Absent: the inputs are the meter. */
  readonly units?: { readonly inputUnits: number; readonly outputUnits: number }
}

export type Progress = { readonly fraction: number; readonly text: string }

export type RunOptions = {
  /** Stops the run; its outcome is `cancelled`. */
  readonly signal?: AbortSignal
  /** Ends the streamed reply of a model server where it stands: what was sent is the reply. Others take no notice of it. */
  readonly cut?: AbortSignal
  /**
   * Receives log bytes as they come, at most `limits.logBytes` per stream. The bytes are a stranger's: quote them. The executor reads
   * on when the promise is kept, so a program that writes faster than is taken is held up by its own pipe.
   */
  readonly onLog?: (stream: 'stdout' | 'stderr', bytes: Uint8Array) => void | Promise<void>
  /**
   * Receives files that the program named with a line `lilypad-output <path>` on stderr, while it goes on. `source` is a copy and stays until
   * the promise is kept. Only executors that can read such a file safely call it; the others give it at the end.
   */
  readonly onFile?: (file: OutputFile & { readonly source: string }) => Promise<void>
  /** Receives the reply of a model server as it is made. The executor reads on when the promise is kept: that is the backpressure. */
  readonly onResponse?: (bytes: Uint8Array) => void | Promise<void>
  /** Receives `lilypad-progress <0..1> <text>` lines of stderr. The text is a stranger's, cut, without control characters. */
  readonly onProgress?: (progress: Progress) => void
}

export type Availability =
  | { readonly available: true; readonly facts: Readonly<Record<string, string>> }
  | { readonly available: false; readonly reason: string }

/**
 * Runs programs of strangers and keeps them in.
 *
 * | method | before `prepare` | prepared | while running | after `close` |
 * |---|---|---|---|---|
 * | `probe` | looks, changes nothing | same | same | same |
 * | `prepare` | checks the program, warms up | does nothing more | allowed | throws `ExecutorClosedError` |
 * | `forget` | nothing to do | undoes `prepare` | leaves live runs alone | nothing to do |
 * | `run` | prepares first | starts at once | independent runs side by side | throws `ExecutorClosedError` |
 * | `sweep` | removes what killed runs of this node left | same | leaves live runs of this process alone | same |
 * | `close` | nothing to do | frees warm slots | stops all runs (`cancelled`) | nothing to do |
 *
 * `run` resolves for everything a program can do, also the worst, and rejects only for what the operator or the
 * caller has to mend: a daemon that does not answer, an image or program that is not the one named by the module.
 * When it settles, nothing of the program runs any more, but for a model server, which is kept for the next job: its
 * processes are gone or were killed. What the run had (process, container, mount, temporary files) is gone or being
 * removed, and `close` waits for that; `sweep` of the next process removes what a crash left of it.
 */
export interface Executor {
  readonly name: 'wasm' | 'docker' | 'server' | 'noop'
  /** Says whether this machine can run programs this way, and on what. Never throws. */
  probe(): Promise<Availability>
  /**
   * Makes later runs of a program start fast.
   * @throws ProgramMismatchError or ImageMissingError when the program is not the one the manifest names
   */
  prepare(
    runtime: ModuleRuntime,
    programPath?: string,
    options?: {
      readonly limits?: ModuleLimits
      readonly network?: ModuleNetwork
      readonly moduleVersion?: Bytes32
    },
  ): Promise<void>
  /** Gives up what waits for a program. Executors that keep nothing by the program do not have it. */
  forget?(runtime: ModuleRuntime): Promise<void>
  run(task: ExecutorTask, options?: RunOptions): Promise<Execution>
  /** Removes leftovers of runs of this node whose provider process was killed. */
  sweep(): Promise<void>
  close(): Promise<void>
}
