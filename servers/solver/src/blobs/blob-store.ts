import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { Bytes32, LilypadError } from '@lilypad-agents/protocol'

/** Content by its SHA-256, on disk. */
export type BlobStore = {
  readonly directory: string
  /**
   * Keeps a stream whose digest is known. Nothing of it is kept unless all of it came and the digest fits.
   * @returns size in bytes
   */
  put(
    digest: Bytes32,
    source: Readable,
    options: { readonly maxBytes: number; readonly bytes?: number },
  ): Promise<number>
  has(digest: Bytes32): Promise<boolean>
  /** Path relative to `directory`. */
  path(digest: Bytes32): string
  read(digest: Bytes32): Readable
  /** Removes blobs that were last put before this time. */
  sweep(olderThan: Date): Promise<number>
}

type Options = {
  readonly directory: string
  readonly quotaBytes: number
  /** Longest silence of a sender. */
  readonly idleMilliseconds: number
}

/** Opens a folder of blobs: removes what a killed process left half written and counts what is there. */
export async function openBlobStore({ directory, quotaBytes, idleMilliseconds }: Options): Promise<BlobStore> {
  const incoming = join(directory, 'incoming')
  await rm(incoming, { recursive: true, force: true })
  await mkdir(incoming, { recursive: true })
  let usedBytes = 0
  for await (const blob of listBlobs(directory)) usedBytes += blob.bytes

  const path = (digest: Bytes32) => {
    // The digest becomes a path, so it is parsed here too, whatever the caller did.
    const name = Bytes32.parse(digest).slice(2)
    return join(name.slice(0, 2), name)
  }

  async function receive(
    digest: Bytes32,
    source: Readable,
    options: { maxBytes: number; bytes?: number },
  ): Promise<number> {
    const target = join(directory, path(digest))
    // Sending known bytes again takes the place of the old file, so it needs no room of its own.
    const knownBytes = await stat(target).then(
      ({ size }) => size,
      () => 0,
    )
    const temporary = join(incoming, randomUUID())
    const file = await open(temporary, 'wx', 0o600)
    const hash = createHash('sha256')
    let bytes = 0
    // Read by hand: leaving a `for await` would destroy the request, and with it the connection that carries the answer.
    const chunks = source[Symbol.asyncIterator]()
    try {
      for (;;) {
        const { done, value } = await withinIdleTime(chunks.next(), idleMilliseconds)
        if (done === true) break
        const data = value as Uint8Array
        bytes += data.length
        usedBytes += data.length
        if (bytes > options.maxBytes) {
          throw new LilypadError('PAYLOAD_TOO_LARGE', 'The file is larger than allowed here.', {
            details: [`Expected: at most ${options.maxBytes} bytes`],
          })
        }
        if (usedBytes - knownBytes > quotaBytes) throw storageFull()
        hash.update(data)
        await file.write(data)
      }
      const actual = `0x${hash.digest('hex')}`
      if (actual !== digest || (options.bytes !== undefined && options.bytes !== bytes)) {
        throw new LilypadError('DIGEST_MISMATCH', 'The file is not the one that was named.', {
          details: [
            `Expected: ${digest}${options.bytes === undefined ? '' : `, ${options.bytes} bytes`}`,
            `Actual: ${actual}, ${bytes} bytes`,
          ],
          hint: 'send the whole file whose SHA-256 is in the address',
        })
      }
      // The bytes are on disk before their name is: after a crash a name never stands for half a file.
      await file.sync()
      await file.close()
      await mkdir(dirname(target), { recursive: true })
      await rename(temporary, target)
      usedBytes -= knownBytes
      return bytes
    } catch (error) {
      usedBytes -= bytes
      await file.close().catch(() => {})
      await rm(temporary, { force: true })
      throw toUploadError(error)
    }
  }

  return {
    directory,
    path,
    put: receive,
    async has(digest) {
      return stat(join(directory, path(digest))).then(
        (entry) => entry.isFile(),
        () => false,
      )
    },
    read: (digest) => createReadStream(join(directory, path(digest))),
    async sweep(olderThan) {
      let removed = 0
      for await (const blob of listBlobs(directory)) {
        if (blob.modifiedAt >= olderThan) continue
        await rm(blob.path, { force: true })
        usedBytes -= blob.bytes
        removed++
      }
      return removed
    },
  }
}

async function* listBlobs(directory: string) {
  for (const shard of await readdir(directory)) {
    if (!/^[0-9a-f]{2}$/.test(shard)) continue
    for (const name of await readdir(join(directory, shard))) {
      const path = join(directory, shard, name)
      const entry = await stat(path).catch(() => undefined)
      if (entry?.isFile()) yield { path, bytes: entry.size, modifiedAt: entry.mtime }
    }
  }
}

async function withinIdleTime<T>(next: Promise<T>, milliseconds: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const silence = new Promise<never>((_resolve, reject) => {
    const error = new LilypadError('TIMED_OUT', 'The upload stopped sending data.', { hint: 'send the file again' })
    timer = setTimeout(() => reject(error), milliseconds)
  })
  try {
    return await Promise.race([next, silence])
  } finally {
    clearTimeout(timer)
    // Whichever lost the race is of no interest any more.
    next.catch(() => {})
  }
}

function storageFull() {
  return new LilypadError('STORAGE_FULL', 'The relay has no room for more files now.', { hint: 'try again later' })
}

function toUploadError(error: unknown): unknown {
  if (LilypadError.is(error)) return error
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'ENOSPC' || code === 'EDQUOT') return storageFull()
  if (code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE' || code === 'ABORT_ERR') {
    return new LilypadError('TIMED_OUT', 'The upload ended before the whole file had come.', {
      cause: error,
      hint: 'send the file again',
    })
  }
  return error
}
