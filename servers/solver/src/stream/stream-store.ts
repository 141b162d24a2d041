import { type FileHandle, mkdir, open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Bytes32, LilypadError, StreamChain, StreamChunk } from '@lilypad-agents/protocol'
import { createJobSignals, type JobSignals } from '../job/job-signals.ts'
import { Turns } from '../job/turns.ts'

/** Where a stream stands: how many chunks of its newest run are stored. */
export type StreamPosition = { readonly attempt: number; readonly chunks: number }

/** Reads the stream of one job from a place on. */
export type StreamReader = {
  /** Where it goes on; what was read counts as seen. */
  readonly position: StreamPosition
  /** The next chunks that are stored, as JSON text, at most about 128 KiB at once. Empty when there are no more now. */
  next(): Promise<readonly string[]>
}

/**
 * Streams of running jobs, one file of lines per job: only the newest run is kept. A chunk is written before anybody sees it, so that
 * what was read once can be read again after a restart.
 */
export type StreamStore = {
  /**
   * Stores the next chunk of a job; one that is stored already is left as it is.
   * @throws StreamBrokenError when it does not follow from what is stored, `PAYLOAD_TOO_LARGE` over the limits, `STORAGE_FULL`
   */
  append(
    orderHash: Bytes32,
    chunk: StreamChunk,
    limits: { readonly bytes: number; readonly chunks: number },
  ): Promise<StreamPosition>
  find(orderHash: Bytes32): Promise<StreamPosition | undefined>
  openReader(orderHash: Bytes32, from: StreamPosition): StreamReader
  /** Wakes those who wait for more of a job's stream. */
  readonly signals: JobSignals
  /** Removes streams that were last written before this time. */
  sweep(olderThan: Date): Promise<number>
  close(): Promise<void>
}

type OpenStream = {
  readonly handle: FileHandle
  chain: StreamChain
  /** Bytes of whole lines in the file. */
  size: number
  last: { readonly index: number; readonly line: string; readonly end: number } | undefined
  usedAt: number
}

const readBytes = 128 * 1024
const idleMilliseconds = 60_000
/** Files that are open at once, unless more are written at the same time. */
const maxOpen = 512
/** A stream that was used so lately may be written on. */
const restMilliseconds = 1000
const newLine = 10

/** Opens the folder of streams and counts what is there. */
export async function openStreamStore(options: {
  readonly directory: string
  readonly quotaBytes: number
}): Promise<StreamStore> {
  const { directory, quotaBytes } = options
  await mkdir(directory, { recursive: true })
  const streams = new Map<Bytes32, OpenStream>()
  const turns = new Turns()
  const signals = createJobSignals()
  let usedBytes = 0
  let isClosed = false
  for (const name of await readdir(directory)) usedBytes += await sizeOf(join(directory, name))

  // The hash becomes a path, so it is parsed here too, whatever the caller did.
  const folderOf = (orderHash: Bytes32) => join(directory, Bytes32.parse(orderHash).slice(2))

  /** Closes files that were not used for so long. Call it out of turn. */
  async function closeIdle(milliseconds: number): Promise<void> {
    for (const [orderHash, stream] of streams) {
      if (Date.now() - stream.usedAt < milliseconds) continue
      await turns.inTurn(orderHash, async () => {
        if (streams.get(orderHash) !== stream || Date.now() - stream.usedAt < milliseconds) return
        streams.delete(orderHash)
        await stream.handle.close()
      })
    }
  }
  let closing: Promise<void> | undefined
  const keepFew = () => {
    if (streams.size > maxOpen) closing ??= closeIdle(restMilliseconds).finally(() => (closing = undefined))
  }
  const idling = setInterval(() => void closeIdle(idleMilliseconds), idleMilliseconds)
  idling.unref()

  /** The stream of a job, opened when it is not. Call it in turn. */
  async function load(orderHash: Bytes32): Promise<OpenStream | undefined> {
    const known = streams.get(orderHash)
    if (known) {
      known.usedAt = Date.now()
      return known
    }
    if (isClosed) return undefined
    const folder = folderOf(orderHash)
    const attempts = (await readdir(folder).catch(() => [])).map(Number).filter(Number.isSafeInteger)
    if (attempts.length === 0) return undefined
    const attempt = Math.max(...attempts)
    const handle = await open(join(folder, String(attempt)), 'r+')
    const stream: OpenStream = {
      handle,
      chain: StreamChain.start(orderHash, attempt),
      size: 0,
      last: undefined,
      usedAt: Date.now(),
    }
    try {
      for (;;) {
        const { lines } = await readLines(handle, stream.size)
        if (lines.length === 0) break
        for (const line of lines) {
          stream.chain.take(StreamChunk.parse(JSON.parse(line)))
          stream.size += Buffer.byteLength(line) + 1
        }
      }
    } catch {
      // The disk gave back other bytes than were written: what is left of the stream ends before them.
    }
    // A killed process leaves half a line as well. The provider sends again what is not here.
    await handle.truncate(stream.size)
    streams.set(orderHash, stream)
    keepFew()
    return stream
  }

  async function begin(orderHash: Bytes32, attempt: number): Promise<OpenStream> {
    const folder = folderOf(orderHash)
    const before = streams.get(orderHash)
    streams.delete(orderHash)
    await before?.handle.close()
    const isFirst = await mkdir(folder).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error
        return false
      },
    )
    if (!isFirst) usedBytes -= await sizeOf(folder)
    const handle = await open(join(folder, String(attempt)), 'w+', 0o600)
    if (!isFirst)
      for (const name of await readdir(folder))
        if (name !== String(attempt)) await rm(join(folder, name), { force: true })
    const chain = StreamChain.start(orderHash, attempt)
    const stream: OpenStream = { handle, chain, size: 0, last: undefined, usedAt: Date.now() }
    streams.set(orderHash, stream)
    keepFew()
    return stream
  }

  return {
    signals,
    append: (orderHash, chunk, limits) =>
      turns.inTurn(orderHash, async () => {
        if (isClosed) throw new LilypadError('SOLVER_UNREACHABLE', 'The relay is stopping.')
        let stream = await load(orderHash)
        const current = stream?.chain.position
        const isNewRun = current === undefined || chunk.attempt > current.attempt
        if (current !== undefined && !isNewRun && chunk.attempt === current.attempt && chunk.index < current.chunks)
          return current
        // Checked on a copy: a chunk that cannot be written has not been taken.
        const chain = isNewRun ? StreamChain.start(orderHash, chunk.attempt) : StreamChain.from(current)
        chain.take(chunk)
        const { bytes, chunks } = chain.position
        if (bytes > limits.bytes || chunks > limits.chunks) {
          throw new LilypadError('PAYLOAD_TOO_LARGE', 'The stream is longer than its module allows.', {
            details: [`Expected: at most ${limits.bytes} bytes in ${limits.chunks} chunks`],
          })
        }
        const line = JSON.stringify(chunk)
        const data = Buffer.from(`${line}\n`)
        if (usedBytes + data.length > quotaBytes)
          throw new LilypadError('STORAGE_FULL', 'The relay has no room for more streams now.')
        if (isNewRun || stream === undefined) stream = await begin(orderHash, chunk.attempt)
        await writeAll(stream.handle, data, stream.size)
        usedBytes += data.length
        stream.size += data.length
        stream.chain = chain
        stream.last = { index: chunk.index, line, end: stream.size }
        signals.notify(orderHash)
        return chain.position
      }),
    find: (orderHash) => turns.inTurn(orderHash, async () => (await load(orderHash))?.chain.position),
    openReader(orderHash, from) {
      let position = from
      // Where in the file the place is; found by counting lines when the reader comes back.
      let offset = from.chunks === 0 ? 0 : undefined
      return {
        get position() {
          return position
        },
        next: () =>
          turns.inTurn(orderHash, async () => {
            const stream = await load(orderHash)
            if (stream === undefined) return []
            const { attempt, chunks } = stream.chain.position
            if (attempt > position.attempt) {
              position = { attempt, chunks: 0 }
              offset = 0
            }
            if (attempt < position.attempt || chunks <= position.chunks) return []
            const { last } = stream
            if (last?.index === position.chunks) {
              position = { attempt, chunks }
              offset = last.end
              return [last.line]
            }
            offset ??= await findOffset(stream.handle, position.chunks)
            const { lines, end } = await readLines(stream.handle, offset, stream.size)
            offset = end
            position = { attempt, chunks: position.chunks + lines.length }
            return lines
          }),
      }
    },
    async sweep(olderThan) {
      let removed = 0
      for (const name of await readdir(directory)) {
        const orderHash: Bytes32 = `0x${name}`
        await turns.inTurn(orderHash, async () => {
          const folder = join(directory, name)
          if (streams.has(orderHash) || (await changedAt(folder)) >= olderThan) return
          usedBytes -= await sizeOf(folder)
          await rm(folder, { recursive: true, force: true })
          removed++
        })
      }
      return removed
    },
    async close() {
      isClosed = true
      clearInterval(idling)
      await closing
      for (const orderHash of [...streams.keys()])
        await turns.inTurn(orderHash, async () => {
          await streams.get(orderHash)?.handle.close()
          streams.delete(orderHash)
        })
    },
  }
}

async function writeAll(handle: FileHandle, data: Buffer, position: number): Promise<void> {
  for (let written = 0; written < data.length; )
    written += (await handle.write(data, written, data.length - written, position + written)).bytesWritten
}

/** Whole lines from a place on, and where they end. */
async function readLines(
  handle: FileHandle,
  from: number,
  size = Number.POSITIVE_INFINITY,
): Promise<{ readonly lines: readonly string[]; readonly end: number }> {
  const buffer = Buffer.allocUnsafe(Math.min(readBytes, size - from))
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, from)
  const length = buffer.subarray(0, bytesRead).lastIndexOf(newLine) + 1
  if (length === 0) return { lines: [], end: from }
  return { lines: buffer.toString('utf8', 0, length - 1).split('\n'), end: from + length }
}

/** Where the line of this number begins. */
async function findOffset(handle: FileHandle, line: number): Promise<number> {
  for (let offset = 0, seen = 0; ; ) {
    const { lines, end } = await readLines(handle, offset)
    if (lines.length === 0) throw new RangeError('the file has fewer lines than were stored')
    if (seen + lines.length <= line) {
      seen += lines.length
      offset = end
      if (seen === line) return offset
      continue
    }
    for (const text of lines.slice(0, line - seen)) offset += Buffer.byteLength(text) + 1
    return offset
  }
}

async function sizeOf(folder: string): Promise<number> {
  let bytes = 0
  for (const name of await readdir(folder).catch(() => []))
    bytes += await stat(join(folder, name)).then(
      ({ size }) => size,
      () => 0,
    )
  return bytes
}

async function changedAt(folder: string): Promise<Date> {
  let newest = new Date(0)
  for (const name of await readdir(folder).catch(() => [])) {
    const mtime = await stat(join(folder, name)).then(
      (found) => found.mtime,
      () => newest,
    )
    if (mtime > newest) newest = mtime
  }
  return newest
}
