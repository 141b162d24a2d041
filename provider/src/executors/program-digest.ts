import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import type { Hex } from '@lilypad-agents/protocol'
import { ProgramMismatchError } from './errors.ts'

/** Checks program files against their digest, once per state of the file on disk. */
export class ProgramDigests {
  readonly #checked = new Map<string, string>()

  /** @throws ProgramMismatchError when the file holds something else */
  async assertDigest(path: string, expected: Hex): Promise<void> {
    const { dev, ino, size, mtimeMs, ctimeMs } = await stat(path)
    const state = [dev, ino, size, mtimeMs, ctimeMs, expected].join()
    if (this.#checked.get(path) === state) return
    const hash = createHash('sha256')
    await pipeline(createReadStream(path), hash)
    const actual = `0x${hash.digest('hex')}`
    if (actual !== expected) throw new ProgramMismatchError(expected, actual)
    this.#checked.set(path, state)
  }
}
