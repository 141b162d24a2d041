import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { type Bytes32, LilypadError } from '@lilypad-agents/protocol'

/** What arrived is not what was named. */
export class BlobMismatchError extends LilypadError {
  override readonly name = 'BlobMismatchError'
  constructor(options: { readonly expected: string; readonly actual: string }) {
    super('DIGEST_MISMATCH', 'The bytes are not the ones named by their digest.', {
      details: [`Expected: ${options.expected}   Actual: ${options.actual}`],
    })
  }
}

/**
 * Files by their SHA-256 in one folder. A blob is there completely and on disk, or not at all: it is written beside
 * its place, synced, then renamed.
 */
export class BlobStore {
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
  }

  /** Opens the store and removes what an interrupted write left. */
  static async open(folder: string): Promise<BlobStore> {
    await rm(join(folder, 'incoming'), { recursive: true, force: true })
    await mkdir(join(folder, 'incoming'), { recursive: true, mode: 0o700 })
    return new BlobStore(folder)
  }

  /** Where a blob is, or would be. */
  pathOf(sha256: Bytes32): string {
    return join(this.#folder, sha256.slice(2, 4), sha256.slice(2))
  }

  /** Path of a blob that is there, or undefined. */
  async find(sha256: Bytes32): Promise<string | undefined> {
    const path = this.pathOf(sha256)
    const found = await stat(path).catch(() => undefined)
    return found?.isFile() ? path : undefined
  }

  /**
   * Path of a blob that is there, or undefined.
   * @throws {@link BlobMismatchError} when it has another size than is said: prices are counted by it
   */
  async findExact(blob: { readonly sha256: Bytes32; readonly bytes: number }): Promise<string | undefined> {
    const path = await this.find(blob.sha256)
    const size = path === undefined ? blob.bytes : (await stat(path)).size
    if (size !== blob.bytes) throw new BlobMismatchError({ expected: `${blob.bytes} bytes`, actual: `${size} bytes` })
    return path
  }

  /**
   * Writes a blob from a stream.
   * @throws {@link BlobMismatchError} when size or digest differ; nothing is kept then
   */
  async write(
    blob: { readonly sha256: Bytes32; readonly bytes: number },
    source: AsyncIterable<Uint8Array>,
  ): Promise<string> {
    const known = await this.findExact(blob)
    if (known !== undefined) return known
    const temporary = join(this.#folder, 'incoming', randomUUID())
    const handle = await open(temporary, 'wx', 0o600)
    try {
      const hash = createHash('sha256')
      let bytes = 0
      for await (const chunk of source) {
        bytes += chunk.length
        if (bytes > blob.bytes) throw new BlobMismatchError({ expected: `${blob.bytes} bytes`, actual: 'more' })
        hash.update(chunk)
        await handle.writeFile(chunk)
      }
      const actual = `0x${hash.digest('hex')}`
      if (bytes !== blob.bytes)
        throw new BlobMismatchError({ expected: `${blob.bytes} bytes`, actual: `${bytes} bytes` })
      if (actual !== blob.sha256) throw new BlobMismatchError({ expected: blob.sha256, actual })
      await handle.sync()
      await handle.close()
      return await this.#place(temporary, blob.sha256)
    } catch (error) {
      await handle.close().catch(() => {})
      await rm(temporary, { force: true })
      throw error
    }
  }

  /** Copies a file of this machine into the store and checks its digest on the way. */
  async add(blob: { readonly sha256: Bytes32; readonly bytes: number }, path: string): Promise<string> {
    return this.write(blob, createReadStream(path))
  }

  /** Removes blobs that nobody touched since then, other than those to keep. Returns how many. */
  async prune(options: { readonly unusedSince: Date; readonly keep: ReadonlySet<string> }): Promise<number> {
    let removed = 0
    for (const shard of await readdir(this.#folder)) {
      if (!/^[0-9a-f]{2}$/.test(shard)) continue
      for (const name of await readdir(join(this.#folder, shard))) {
        const path = join(this.#folder, shard, name)
        const found = await stat(path).catch(() => undefined)
        if (found === undefined || found.mtime >= options.unusedSince || options.keep.has(`0x${name}`)) continue
        await rm(path, { force: true })
        removed += 1
      }
    }
    return removed
  }

  /** Counts as a use for {@link prune}. */
  async touch(sha256: Bytes32, now: Date): Promise<void> {
    await utimes(this.pathOf(sha256), now, now).catch(() => {})
  }

  async #place(temporary: string, sha256: Bytes32): Promise<string> {
    const path = this.pathOf(sha256)
    const shard = join(this.#folder, sha256.slice(2, 4))
    await mkdir(shard, { recursive: true, mode: 0o700 })
    await rename(temporary, path)
    // Without this a power cut could take the name away again after a receipt has promised the content.
    const folder = await open(shard, 'r')
    await folder.sync().catch(() => {})
    await folder.close()
    return path
  }
}
