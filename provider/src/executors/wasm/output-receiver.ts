import { createHash, type Hash } from 'node:crypto'
import { closeSync, constants, openSync, write, writeSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { OutputFile } from '@lilypad-agents/protocol'
import {
  findPathProblem,
  maxOutputFolders,
  type OutputLimits,
  quotePath,
  sortOutputs,
} from '../../outputs/collect-outputs.ts'
import type { Outcome } from '../executor.ts'

const writeTo = promisify(write)
// Below this the way to another thread takes longer than the write.
const bytesAtOnce = 65_536

type Current = {
  readonly path: string
  readonly bytes: number
  readonly descriptor: number
  readonly hash: Hash
  received: number
}

/**
 * Writes the files that a runner sends into a folder. The runner is not trusted: names follow the rules of
 * `collectOutputs` and every limit is counted again on this side.
 */
export class OutputReceiver {
  readonly #directory: string
  readonly #limits: OutputLimits
  readonly #outputs: OutputFile[] = []
  readonly #folders = new Set<string>()
  #bytes = 0
  #current: Current | undefined

  constructor(directory: string, limits: OutputLimits) {
    this.#directory = directory
    this.#limits = limits
  }

  /** Begins a file. Returns the outcome that ends the run when the file is not acceptable. */
  async begin(payload: Uint8Array): Promise<Outcome | undefined> {
    const header = parseHeader(payload)
    if (header === undefined || this.#current !== undefined)
      return refuse('the runner sent something that is not a file', '')
    const { path, bytes } = header
    const problem = findPathProblem(path)
    if (problem !== undefined) return refuse(problem, path)
    this.#bytes += bytes
    for (let folder = dirname(path); folder !== '.'; folder = dirname(folder)) this.#folders.add(folder)
    if (this.#outputs.length + 1 > this.#limits.outputFiles || this.#bytes > this.#limits.outputBytes)
      return { kind: 'output-limit' }
    if (this.#folders.size > maxOutputFolders(this.#limits)) return { kind: 'output-limit' }
    try {
      const target = join(this.#directory, path)
      if (dirname(path) !== '.') await mkdir(dirname(target), { recursive: true })
      const descriptor = openSync(
        target,
        constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
        0o644,
      )
      this.#current = { path, bytes, descriptor, hash: createHash('sha256'), received: 0 }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'EEXIST' && code !== 'ENOTDIR') throw error
      return refuse('two outputs have the same name on this file system', path)
    }
    return this.#finishFile()
  }

  /** Takes bytes of the file that was begun. */
  async append(payload: Uint8Array): Promise<Outcome | undefined> {
    const current = this.#current
    if (current === undefined || current.received + payload.length > current.bytes)
      return refuse('the runner sent more than it announced', current?.path ?? '')
    current.received += payload.length
    current.hash.update(payload)
    for (let offset = 0; offset < payload.length; )
      offset += await writeSome(current.descriptor, payload.subarray(offset))
    return this.#finishFile()
  }

  #finishFile(): undefined {
    const current = this.#current
    if (current === undefined || current.received < current.bytes) return
    this.#current = undefined
    closeSync(current.descriptor)
    this.#outputs.push({ path: current.path, bytes: current.bytes, sha256: `0x${current.hash.digest('hex')}` })
  }

  /** All files, sorted by path, or undefined when the last one is incomplete. */
  get outputs(): readonly OutputFile[] | undefined {
    return this.#current === undefined ? sortOutputs(this.#outputs) : undefined
  }

  /** Lets go of a file that never became whole. */
  close(): void {
    if (this.#current !== undefined) closeSync(this.#current.descriptor)
    this.#current = undefined
  }
}

function writeSome(descriptor: number, bytes: Uint8Array): number | Promise<number> {
  if (bytes.length <= bytesAtOnce) return writeSync(descriptor, bytes)
  return writeTo(descriptor, bytes).then(({ bytesWritten }) => bytesWritten)
}

function refuse(reason: string, path: string): Outcome {
  return { kind: 'refused-output', reason, path: quotePath(path) }
}

function parseHeader(payload: Uint8Array): { path: string; bytes: number } | undefined {
  try {
    const value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(payload)) as {
      path?: unknown
      bytes?: unknown
    }
    const { path, bytes } = value
    return typeof path === 'string' && typeof bytes === 'number' && Number.isSafeInteger(bytes) && bytes >= 0
      ? { path, bytes }
      : undefined
  } catch {
    return undefined
  }
}
