const headerBytes = 8
const streams = { 1: 'stdout', 2: 'stderr' } as const

/**
 * Splits the engine's attach stream: an 8-byte header (stream, three zeros, length big endian) before each piece.
 * Passes bytes on as they come and holds at most a header.
 */
export function logDemultiplexer(
  take: (stream: 'stdout' | 'stderr', bytes: Uint8Array) => void,
): (chunk: Buffer) => void {
  let header = Buffer.alloc(0)
  let left = 0
  let stream: 'stdout' | 'stderr' | undefined
  return (chunk) => {
    let rest = chunk
    while (rest.length > 0) {
      if (left === 0) {
        const missing = headerBytes - header.length
        header = Buffer.concat([header, rest.subarray(0, missing)])
        rest = rest.subarray(missing)
        if (header.length < headerBytes) return
        stream = streams[header[0] as 1 | 2]
        left = header.readUInt32BE(4)
        header = Buffer.alloc(0)
        continue
      }
      const piece = rest.subarray(0, left)
      left -= piece.length
      rest = rest.subarray(piece.length)
      if (stream !== undefined) take(stream, piece)
    }
  }
}
