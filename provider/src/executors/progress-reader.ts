import type { Progress } from './executor.ts'

const maxLineLength = 512
const maxTextLength = 120

/** Reads `lilypad-progress <0..1> <text>` lines out of a byte stream; other lines and over-long lines are passed over. */
export function progressReader(): (bytes: Uint8Array) => readonly Progress[] {
  const decoder = new TextDecoder()
  let line = ''
  let isSkipping = false
  return (bytes) => {
    const found: Progress[] = []
    const pieces = decoder.decode(bytes, { stream: true }).split('\n')
    for (const [index, piece] of pieces.entries()) {
      if (line.length + piece.length > maxLineLength) isSkipping = true
      if (!isSkipping) line += piece
      if (index === pieces.length - 1) break
      const progress = isSkipping ? undefined : parseProgress(line)
      if (progress) found.push(progress)
      line = ''
      isSkipping = false
    }
    return found
  }
}

function parseProgress(line: string): Progress | undefined {
  const match = /^lilypad-progress (0(?:\.\d{1,9})?|1(?:\.0{1,9})?)(?: (.*))?$/.exec(line.trimEnd())
  if (match === null) return undefined
  const text = (match[2] ?? '').replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ').slice(0, maxTextLength)
  return { fraction: Number(match[1]), text }
}
