import { createHash, type Hash, randomUUID } from 'node:crypto'
import { createReadStream, renameSync } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { Bytes32, LilypadError } from '@lilypad-agents/protocol'
import { BlobMismatchError, BlobTooLargeError, StorageFullError, TransferCutError } from './blob-errors.ts'
import { Pins } from './pins.ts'

/** Content by its name and size. */
export type Blob = { readonly sha256: Bytes32; readonly bytes: number }

/** Where a transfer begins, and what comes from there on. */
export type BlobPart = { readonly offset: number; readonly chunks: AsyncIterable<Uint8Array> }

/** Opens content at an offset. A source that cannot resume answers with offset 0. */
export type BlobSource = (offset: number) => BlobPart | Promise<BlobPart>

export type ContentStoreOptions = {
  /** Most bytes on disk, half-written files included. */
  readonly quotaBytes: number
  /** Longest silence of a sender. @default 60000 */
  readonly idleMilliseconds?: number
}

/** What a store holds, in bytes. `pinned` is what cannot be evicted now. */
export type StoreUsage = {
  readonly blobs: number
  readonly usedBytes: number
  readonly pinnedBytes: number
  readonly quotaBytes: number
}

type Entry = { readonly bytes: number; usedAt: number }

/** Half-written files are kept this long for a transfer that resumes. */
const partialMilliseconds = 86_400_000
/** The time of a use is written to disk when the one there is older than this. */
const useMilliseconds = 60_000

/**
 * Files by their SHA-256 in one folder, for one process. A blob is there completely, read-only and on disk, or not at
 * all: it is written beside its place, synced, then renamed. When the quota is reached the blobs go first that were not
 * used for longest; those that somebody has pinned never go. Pins live in memory and are set again from the owner's own
 * journal after a start, so there is no second list that a crash could leave behind.
 * A path stays good while its blob is pinned.
 */
export class ContentStore {
  readonly #folder: string
  readonly #quotaBytes: number
  readonly #idleMilliseconds: number
  /** Least recently used first. */
  readonly #entries = new Map<Bytes32, Entry>()
  /** Half-written files that nobody writes now. */
  readonly #partials = new Map<Bytes32, number>()
  readonly #writing = new Map<Bytes32, Promise<string>>()
  readonly #pins = new Pins()
  #usedBytes = 0

  private constructor(folder: string, options: ContentStoreOptions) {
    this.#folder = folder
    this.#quotaBytes = options.quotaBytes
    this.#idleMilliseconds = options.idleMilliseconds ?? 60_000
  }

  /** Opens the store: removes what an interrupted write left and nobody can resume, and counts what is there. */
  static async open(folder: string, options: ContentStoreOptions): Promise<ContentStore> {
    const store = new ContentStore(folder, options)
    await rm(store.#trash, { recursive: true, force: true })
    await mkdir(store.#incoming, { recursive: true, mode: 0o700 })
    await mkdir(store.#trash, { recursive: true, mode: 0o700 })
    await store.#readFolder()
    return store
  }

  get directory(): string {
    return this.#folder
  }

  /** Where a blob is, or would be, relative to the folder. @throws ZodError when it is not a digest */
  relativePathOf(sha256: Bytes32): string {
    // The digest becomes a path, so it is parsed here too, whatever the caller did.
    const name = Bytes32.parse(sha256).slice(2)
    return join(name.slice(0, 2), name)
  }

  /** Where a blob is, or would be. */
  pathOf(sha256: Bytes32): string {
    return join(this.#folder, this.relativePathOf(sha256))
  }

  /** Size of a blob that is there; no use of it. */
  sizeOf(sha256: Bytes32): number | undefined {
    return this.#entries.get(sha256)?.bytes
  }

  usage(): StoreUsage {
    let pinnedBytes = 0
    for (const [digest, { bytes }] of this.#entries) if (this.#pins.has(digest)) pinnedBytes += bytes
    return { blobs: this.#entries.size, usedBytes: this.#usedBytes, pinnedBytes, quotaBytes: this.#quotaBytes }
  }

  /** Path of a blob that is there, or undefined. Counts as a use. */
  async find(sha256: Bytes32): Promise<string | undefined> {
    const path = this.pathOf(sha256)
    const entry = this.#entries.get(sha256)
    if (entry === undefined) return undefined
    const found = await stat(path).catch(() => undefined)
    if (found?.isFile() && found.size === entry.bytes) {
      await this.#use(sha256, path)
      return path
    }
    // Somebody has removed or cut it behind our back.
    if (this.#entries.get(sha256) === entry) this.#remove(sha256, entry)
    return undefined
  }

  /**
   * Path of a blob that is there, or undefined.
   * @throws {@link BlobMismatchError} when it has another size than is said: prices are counted by it
   */
  async findExact(blob: Blob): Promise<string | undefined> {
    const path = await this.find(blob.sha256)
    const size = path === undefined ? blob.bytes : (this.#entries.get(blob.sha256)?.bytes ?? blob.bytes)
    if (size !== blob.bytes) throw new BlobMismatchError({ expected: `${blob.bytes} bytes`, actual: `${size} bytes` })
    return path
  }

  /** The bytes of a blob, or of a part of it. */
  read(sha256: Bytes32, range: { readonly start?: number; readonly end?: number } = {}) {
    return createReadStream(this.pathOf(sha256), range)
  }

  /**
   * Writes a blob of known size. A transfer that was cut before goes on where it stopped, also after a restart; several
   * writers of one blob are one.
   * @throws {@link BlobMismatchError} when size or digest differ; nothing is kept then
   * @throws {@link StorageFullError} before anything is read
   */
  async write(blob: Blob, source: BlobSource): Promise<string> {
    for (;;) {
      const known = await this.findExact(blob)
      if (known !== undefined) return known
      const running = this.#writing.get(blob.sha256)
      if (running === undefined) break
      // The other writer may have a worse source; if it fails this one tries its own.
      await running.catch(() => {})
    }
    const writing = this.#writeOnce(blob, source).finally(() => this.#writing.delete(blob.sha256))
    this.#writing.set(blob.sha256, writing)
    return writing
  }

  /**
   * Takes a stream from a sender who has to show all of it, whether or not the blob is here already.
   * @returns size in bytes
   * @throws {@link BlobMismatchError} {@link BlobTooLargeError} {@link StorageFullError} {@link TransferCutError}; nothing is kept then
   */
  async receive(
    sha256: Bytes32,
    source: AsyncIterable<Uint8Array>,
    limits: { readonly maxBytes: number; readonly bytes?: number },
  ): Promise<number> {
    this.pathOf(sha256)
    const temporary = join(this.#incoming, randomUUID())
    const isKnown = (await this.find(sha256)) !== undefined
    const file = isKnown ? undefined : await open(temporary, 'wx', 0o600)
    const hash = createHash('sha256')
    let bytes = 0
    let taken = 0
    try {
      for await (const chunk of this.#unbroken(source)) {
        bytes += chunk.length
        if (bytes > limits.maxBytes) throw new BlobTooLargeError(limits.maxBytes)
        if (file) {
          this.#take(chunk.length)
          taken += chunk.length
          await file.write(chunk)
        }
        hash.update(chunk)
      }
      const actual = `0x${hash.digest('hex')}`
      if (actual !== sha256 || bytes !== (limits.bytes ?? bytes)) {
        const size = limits.bytes === undefined ? '' : `, ${limits.bytes} bytes`
        throw new BlobMismatchError({ expected: `${sha256}${size}`, actual: `${actual}, ${bytes} bytes` })
      }
      if (file) await this.#place(file, temporary, { sha256, bytes })
      else if (!this.#entries.has(sha256)) throw new TransferCutError()
      return bytes
    } catch (error) {
      this.#usedBytes -= taken
      await file?.close().catch(() => {})
      await rm(temporary, { force: true })
      throw this.#toWriteError(error, bytes)
    }
  }

  /** Copies a file of this machine into the store and checks its digest on the way. */
  async add(blob: Blob, path: string): Promise<string> {
    return this.write(blob, (start) => ({ offset: start, chunks: createReadStream(path, { start }) }))
  }

  /** Keeps blobs, now or once they come, for an owner: a job that is not settled, a module that is offered. */
  pin(owner: string, digests: Iterable<Bytes32>): void {
    this.#pins.add(owner, digests)
  }

  /** The owner needs nothing any more. */
  release(owner: string): void {
    this.#pins.release(owner)
  }

  /** Who has pinned something, so that owners that are gone can be released. */
  listOwners(): readonly string[] {
    return this.#pins.listOwners()
  }

  /** Removes blobs that nobody has used since then and nobody has pinned. Returns how many. */
  prune(options: { readonly unusedSince: Date }): number {
    let removed = 0
    for (const [digest, entry] of [...this.#entries]) {
      if (entry.usedAt >= options.unusedSince.getTime() || this.#pins.has(digest)) continue
      this.#remove(digest, entry)
      removed += 1
    }
    return removed
  }

  get #incoming(): string {
    return join(this.#folder, 'incoming')
  }

  get #trash(): string {
    return join(this.#folder, 'trash')
  }

  async #readFolder(): Promise<void> {
    for (const name of await readdir(this.#incoming)) {
      const path = join(this.#incoming, name)
      const found = await stat(path)
      const isResumable = /^[0-9a-f]{64}$/.test(name) && found.mtimeMs > Date.now() - partialMilliseconds
      if (!isResumable) await rm(path, { recursive: true, force: true })
      else {
        this.#partials.set(`0x${name}`, found.size)
        this.#usedBytes += found.size
      }
    }
    const entries: [Bytes32, Entry][] = []
    for (const shard of await readdir(this.#folder)) {
      if (!/^[0-9a-f]{2}$/.test(shard)) continue
      for (const name of await readdir(join(this.#folder, shard))) {
        const found = await stat(join(this.#folder, shard, name)).catch(() => undefined)
        if (!found?.isFile() || !/^[0-9a-f]{64}$/.test(name)) continue
        entries.push([`0x${name}`, { bytes: found.size, usedAt: found.mtimeMs }])
        this.#usedBytes += found.size
      }
    }
    for (const [digest, entry] of entries.sort(([, a], [, b]) => a.usedAt - b.usedAt)) this.#entries.set(digest, entry)
  }

  async #use(sha256: Bytes32, path: string): Promise<void> {
    const entry = this.#entries.get(sha256)
    if (entry === undefined) return
    const now = Date.now()
    const isOld = entry.usedAt < now - useMilliseconds
    this.#entries.delete(sha256)
    this.#entries.set(sha256, entry)
    if (!isOld) return
    entry.usedAt = now
    await utimes(path, now / 1000, now / 1000).catch(() => {})
  }

  async #writeOnce(blob: Blob, source: BlobSource): Promise<string> {
    const wasResumed = (this.#partials.get(blob.sha256) ?? 0) > 0
    try {
      return await this.#writePart(blob, source)
    } catch (error) {
      // The half that was there may have been the wrong one, say after a power cut: the source gets a fresh start.
      if (wasResumed && error instanceof BlobMismatchError) return this.#writePart(blob, source)
      throw error
    }
  }

  async #writePart(blob: Blob, source: BlobSource): Promise<string> {
    const temporary = join(this.#incoming, Bytes32.parse(blob.sha256).slice(2))
    const before = this.#partials.get(blob.sha256) ?? 0
    const missing = blob.bytes - before
    this.#partials.delete(blob.sha256)
    try {
      if (missing >= 0) this.#take(missing)
      else this.#usedBytes += missing
    } catch (error) {
      if (before > 0) this.#partials.set(blob.sha256, before)
      throw error
    }
    // From here on all of the blob is counted.
    const file = await open(temporary, 'a+', 0o600).catch((error: unknown) => {
      this.#usedBytes -= missing
      if (before > 0) this.#partials.set(blob.sha256, before)
      throw this.#toWriteError(error, blob.bytes)
    })
    const written = { bytes: 0, hash: createHash('sha256') }
    try {
      await this.#copy(blob, file, source, written)
      const actual = `0x${written.hash.digest('hex')}`
      if (written.bytes < blob.bytes) throw new TransferCutError()
      if (actual !== blob.sha256) throw new BlobMismatchError({ expected: blob.sha256, actual })
      return await this.#place(file, temporary, blob)
    } catch (error) {
      await file.close().catch(() => {})
      const left = error instanceof BlobMismatchError ? 0 : Math.min(written.bytes, blob.bytes)
      this.#usedBytes -= blob.bytes - left
      if (left > 0) this.#partials.set(blob.sha256, left)
      else await rm(temporary, { force: true })
      throw this.#toWriteError(error, blob.bytes)
    }
  }

  /** Reads what is there of a file again, then appends what is missing. */
  async #copy(blob: Blob, file: FileHandle, source: BlobSource, written: { bytes: number; hash: Hash }): Promise<void> {
    const { size } = await file.stat()
    if (size > blob.bytes) await file.truncate(0)
    else if (size > 0)
      for await (const chunk of file.createReadStream({ start: 0, autoClose: false })) {
        written.hash.update(chunk)
        written.bytes += (chunk as Buffer).length
      }
    if (written.bytes === blob.bytes && blob.bytes > 0) return
    const { offset, chunks } = await source(written.bytes)
    if (offset !== written.bytes) {
      if (offset !== 0)
        throw new BlobMismatchError({ expected: `from byte ${written.bytes}`, actual: `from byte ${offset}` })
      await file.truncate(0)
      written.bytes = 0
      written.hash = createHash('sha256')
    }
    for await (const chunk of this.#unbroken(chunks)) {
      if (written.bytes + chunk.length > blob.bytes)
        throw new BlobMismatchError({ expected: `${blob.bytes} bytes`, actual: 'more' })
      await file.appendFile(chunk)
      written.hash.update(chunk)
      written.bytes += chunk.length
    }
  }

  /** Read by hand: leaving a `for await` would destroy a request, and with it the connection that carries the answer. */
  async *#unbroken(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const chunks = source[Symbol.asyncIterator]()
    for (;;) {
      const { done, value } = await withinIdleTime(chunks.next(), this.#idleMilliseconds)
      if (done === true) return
      yield value
    }
  }

  /** Gives a finished file its name. The bytes are on disk before their name is, and the name before anybody is told. */
  async #place(file: FileHandle, temporary: string, blob: Blob): Promise<string> {
    await file.chmod(0o444)
    await file.sync()
    await file.close()
    const path = this.pathOf(blob.sha256)
    const shard = join(path, '..')
    if ((await mkdir(shard, { recursive: true, mode: 0o700 })) !== undefined) await syncFolder(this.#folder)
    await rename(temporary, path)
    // A second sender of the same bytes has replaced the file by itself.
    const known = this.#entries.get(blob.sha256)
    if (known) this.#usedBytes -= known.bytes
    this.#entries.delete(blob.sha256)
    this.#entries.set(blob.sha256, { bytes: blob.bytes, usedAt: Date.now() })
    await syncFolder(shard)
    return path
  }

  /** Counts bytes that are going to be written, after making room for them. */
  #take(bytes: number): void {
    const excess = this.#usedBytes + bytes - this.#quotaBytes
    if (excess > 0) this.#evict(excess)
    this.#usedBytes += bytes
  }

  #evict(excess: number): void {
    const partials = [...this.#partials]
    const blobs: [Bytes32, Entry][] = []
    let freed = partials.reduce((sum, [, bytes]) => sum + bytes, 0)
    for (const [digest, entry] of this.#entries) {
      if (freed >= excess) break
      if (this.#pins.has(digest)) continue
      blobs.push([digest, entry])
      freed += entry.bytes
    }
    if (freed < excess) throw new StorageFullError({ neededBytes: excess - freed, quotaBytes: this.#quotaBytes })
    for (const [digest, bytes] of partials) {
      this.#partials.delete(digest)
      this.#usedBytes -= bytes
      this.#discard(join(this.#incoming, digest.slice(2)))
    }
    for (const [digest, entry] of blobs) this.#remove(digest, entry)
  }

  #remove(digest: Bytes32, entry: Entry): void {
    this.#entries.delete(digest)
    this.#usedBytes -= entry.bytes
    this.#discard(this.pathOf(digest))
  }

  /** Moves a file away at once, so that nobody can write a new one of its name before it is gone; a start empties the rest. */
  #discard(path: string): void {
    const target = join(this.#trash, randomUUID())
    try {
      renameSync(path, target)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      return
    }
    void rm(target, { force: true }).catch(() => {})
  }

  #toWriteError(error: unknown, neededBytes: number): unknown {
    if (LilypadError.is(error)) return error
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOSPC' || code === 'EDQUOT')
      return new StorageFullError({ neededBytes, quotaBytes: this.#quotaBytes, cause: error })
    if (code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE' || code === 'ABORT_ERR')
      return new TransferCutError(error)
    return error
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  // Some file systems have no such thing; there the name is as safe as it can be.
  await folder.sync().catch(() => {})
  await folder.close()
}

async function withinIdleTime<T>(next: Promise<T>, milliseconds: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const silence = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new TransferCutError()), milliseconds)
  })
  try {
    return await Promise.race([next, silence])
  } finally {
    clearTimeout(timer)
    // Whichever lost the race is of no interest any more.
    next.catch(() => {})
  }
}
