import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { OutputLimits } from '../../outputs/collect-outputs.ts'
import type { Outcome, RunOptions } from '../executor.ts'
import { OutputReceiver } from './output-receiver.ts'

/** Takes files that a program has finished before it ends, under the rules and limits of all outputs. */
export class EarlyFiles {
  readonly #directory: string
  readonly #limits: OutputLimits
  readonly #onFile: RunOptions['onFile']
  #count = 0
  #bytes = 0
  #current: { readonly receiver: OutputReceiver; readonly folder: string } | undefined

  /** @param directory folder of its own for the copies; made when it is needed, empty again after each file */
  constructor(directory: string, limits: OutputLimits, onFile: RunOptions['onFile']) {
    this.#directory = directory
    this.#limits = limits
    this.#onFile = onFile
  }

  /** Whether the bytes that come belong to a file of this kind. */
  get isOpen(): boolean {
    return this.#current !== undefined
  }

  async begin(payload: Uint8Array): Promise<Outcome | undefined> {
    if (this.#current !== undefined)
      return { kind: 'refused-output', reason: 'the runner sent less than it announced', path: '' }
    this.#count += 1
    if (this.#count > this.#limits.outputFiles) return { kind: 'output-limit' }
    const folder = join(this.#directory, String(this.#count))
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const left = { ...this.#limits, outputBytes: this.#limits.outputBytes - this.#bytes }
    this.#current = { receiver: new OutputReceiver(folder, left), folder }
    return (await this.#current.receiver.begin(payload)) ?? this.#finish()
  }

  async append(payload: Uint8Array): Promise<Outcome | undefined> {
    return (await this.#current?.receiver.append(payload)) ?? this.#finish()
  }

  async #finish(): Promise<undefined> {
    const file = this.#current?.receiver.outputs?.[0]
    if (this.#current === undefined || file === undefined) return
    const { folder } = this.#current
    this.#current = undefined
    this.#bytes += file.bytes
    await this.#onFile?.({ ...file, source: join(folder, file.path) })
    await rm(folder, { recursive: true, force: true })
  }

  async close(): Promise<void> {
    await this.#current?.receiver.close()
    if (this.#count === 0) return
    await rm(this.#directory, { recursive: true, force: true })
  }
}
