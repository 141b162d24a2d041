/** What a vendor's tool said: cards that can be used, and in our words why others cannot. */
export type ToolReading<T> = { readonly found: readonly T[]; readonly problems: readonly string[] }

/** A name or version out of a tool's answer: one line of printable characters, cut. */
export function cleanFact(text: string): string {
  return text
    .replace(/[^\x20-\x7e]+/g, ' ')
    .trim()
    .slice(0, 128)
}

/** The JSON object in a tool's answer, which may stand behind warnings. */
export function findJsonObject(text: string): Readonly<Record<string, unknown>> | undefined {
  const start = text.indexOf('{')
  const end = text.lastIndexOf('}')
  if (start === -1 || end < start) return undefined
  try {
    return asObject(JSON.parse(text.slice(start, end + 1)))
  } catch {
    return undefined
  }
}

export function asObject(value: unknown): Readonly<Record<string, unknown>> | undefined {
  // The cast holds for every object that JSON can make.
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined
}

/** A positive whole number that a tool wrote as a number or as text. */
export function findBytes(value: unknown): number | undefined {
  const text = typeof value === 'number' || typeof value === 'string' ? String(value) : ''
  const bytes = /^[1-9]\d{0,15}$/.test(text) ? Number(text) : undefined
  return bytes !== undefined && Number.isSafeInteger(bytes) ? bytes : undefined
}
