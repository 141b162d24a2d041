/** Text of another party as it may stand in a log or record: one line, without control characters, quoted and cut. */
export function quoteForeign(text: string, length = 200): string {
  return JSON.stringify(text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, ' ').slice(0, length))
}
