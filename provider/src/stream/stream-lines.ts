import { closeSync, openSync, readSync } from 'node:fs'
import { StreamChunk } from '@lilypad-agents/protocol'

const readBytes = 128 * 1024
const newLine = 10

/** A chunk in a file of chunks, with the bytes that its line takes. */
export type StreamLine = { readonly chunk: StreamChunk; readonly lineBytes: number }

/** Reads whole lines of a file of chunks from a place on, one block. Empty when there is none. */
export function readStreamBlock(file: number, offset: number): readonly StreamLine[] {
  const buffer = Buffer.allocUnsafe(readBytes)
  const length = readSync(file, buffer, 0, readBytes, offset)
  const lines: StreamLine[] = []
  for (let start = 0; ; ) {
    const end = buffer.subarray(0, length).indexOf(newLine, start)
    if (end < 0) return lines
    const chunk = StreamChunk.parse(JSON.parse(buffer.toString('utf8', start, end)))
    lines.push({ chunk, lineBytes: end + 1 - start })
    start = end + 1
  }
}

/** Reads all chunks of a file, a block at a time. */
export function* readStreamLines(path: string): Generator<StreamLine> {
  const file = openSync(path, 'r')
  try {
    for (let offset = 0; ; ) {
      const lines = readStreamBlock(file, offset)
      if (lines.length === 0) return
      for (const line of lines) {
        offset += line.lineBytes
        yield line
      }
    }
  } finally {
    closeSync(file)
  }
}
