import { createHash } from 'node:crypto'
import { closeSync, openSync, write } from 'node:fs'
import { promisify } from 'node:util'
import type { LogStream } from '@lilypad-agents/protocol'
import type { Progress, RunOptions } from './executor.ts'
import { progressReader } from './progress-reader.ts'

const writeTo = promisify(write)

/** Log bytes that may wait for the disk before a program is held up. */
const maxUnwrittenBytes = 1024 ** 2

/** A program may write this many times its kept log before it is stopped. */
export const floodFactor = 16

/**
 * Keeps the first `logBytes` of each stream on disk and reports when a program floods. Writes to one stream are
 * queued; `push` is for byte sources that cannot wait, and never holds more than the kept part in memory.
 */
export class LogSpool {
  readonly stdoutPath: string
  readonly stderrPath: string
  readonly #streams: { readonly stdout: SpooledStream; readonly stderr: SpooledStream }
  readonly #options: RunOptions
  #room: Promise<void> | undefined
  readonly #readProgress: ((bytes: Uint8Array) => readonly Progress[]) | undefined

  private constructor(
    paths: { stdout: string; stderr: string },
    descriptors: { stdout: number; stderr: number },
    logBytes: number,
    options: RunOptions,
  ) {
    this.stdoutPath = paths.stdout
    this.stderrPath = paths.stderr
    this.#streams = {
      stdout: new SpooledStream(descriptors.stdout, logBytes),
      stderr: new SpooledStream(descriptors.stderr, logBytes),
    }
    this.#options = options
    this.#readProgress = options.onProgress ? progressReader() : undefined
  }

  /** Opens `<outputDirectory>.stdout.log` and `<outputDirectory>.stderr.log`. */
  static async open(outputDirectory: string, logBytes: number, options: RunOptions): Promise<LogSpool> {
    const paths = { stdout: `${outputDirectory}.stdout.log`, stderr: `${outputDirectory}.stderr.log` }
    // Opening and closing take less time here than the way to another thread; what is written may have to wait for the disk.
    const stdout = openSync(paths.stdout, 'w', 0o600)
    const stderr = openSync(paths.stderr, 'w', 0o600)
    return new LogSpool(paths, { stdout, stderr }, logBytes, options)
  }

  /** Takes bytes of a stream. Returns false once the program wrote `floodFactor` times what is kept. */
  push(stream: 'stdout' | 'stderr', bytes: Uint8Array): boolean {
    const target = this.#streams[stream]
    const kept = target.push(bytes)
    this.#room = undefined
    if (kept.length > 0) {
      const room = this.#options.onLog?.(stream, kept) ?? undefined
      const { written } = target
      this.#room = room && written ? Promise.all([room, written]).then(() => {}) : (room ?? written)
      if (stream === 'stderr' && this.#readProgress)
        for (const progress of this.#readProgress(kept)) this.#options.onProgress?.(progress)
    }
    return !target.isFlooded
  }

  /** What to wait for before more is pushed; undefined when nothing is in the way. It is never rejected. */
  get room(): Promise<void> | undefined {
    return this.#room
  }

  /** Waits for the disk and closes both files. */
  async finish(): Promise<{ readonly stdout: LogStream; readonly stderr: LogStream }> {
    return { stdout: await this.#streams.stdout.finish(), stderr: await this.#streams.stderr.finish() }
  }
}

class SpooledStream {
  readonly #descriptor: number
  readonly #limit: number
  readonly #hash = createHash('sha256')
  #isClosed = false
  #kept = 0
  #seen = 0
  #writing: Promise<void> = Promise.resolve()
  #unwritten = 0
  #failure: unknown

  constructor(descriptor: number, limit: number) {
    this.#descriptor = descriptor
    this.#limit = limit
  }

  /** What to wait for while the disk is far behind; undefined when it is not. */
  get written(): Promise<void> | undefined {
    return this.#unwritten > maxUnwrittenBytes ? this.#writing : undefined
  }

  get isFlooded(): boolean {
    // A limit of 0 means "keep nothing"; such a program may still write a page of noise.
    return this.#seen > Math.max(this.#limit * floodFactor, 4096)
  }

  push(bytes: Uint8Array): Uint8Array {
    this.#seen += bytes.length
    const kept = Uint8Array.prototype.slice.call(bytes, 0, Math.max(0, this.#limit - this.#kept))
    if (kept.length === 0) return kept
    this.#kept += kept.length
    this.#hash.update(kept)
    this.#unwritten += kept.length
    this.#writing = this.#writing
      .then(async () => void (await writeTo(this.#descriptor, kept)))
      .catch((error: unknown) => {
        this.#failure ??= error
      })
      .finally(() => {
        this.#unwritten -= kept.length
      })
    return kept
  }

  async finish(): Promise<LogStream> {
    await this.#writing
    // Once only: the number may be somebody else's file by now.
    if (!this.#isClosed) closeSync(this.#descriptor)
    this.#isClosed = true
    if (this.#failure !== undefined) throw this.#failure
    return { bytes: this.#kept, sha256: `0x${this.#hash.digest('hex')}`, truncated: this.#seen > this.#kept }
  }
}
