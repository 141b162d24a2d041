const maxLineLength = 1024

/** Reads `lilypad-output <path>` lines out of a byte stream; other lines and over-long lines are passed over. */
export function outputLineReader(): (bytes: Uint8Array) => readonly string[] {
  const decoder = new TextDecoder()
  let line = ''
  return (bytes) => {
    const pieces = (line + decoder.decode(bytes, { stream: true })).split('\n')
    // Of an over-long line the start is kept, which is enough to see that it is none.
    line = (pieces.pop() ?? '').slice(0, maxLineLength + 1)
    return pieces.flatMap((piece) => {
      const path = piece.length <= maxLineLength ? /^lilypad-output (.+)$/.exec(piece.trimEnd())?.[1] : undefined
      return path === undefined ? [] : [path]
    })
  }
}
