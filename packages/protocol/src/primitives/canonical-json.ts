/** A value that JSON can carry. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined }

const maxDepth = 64

/**
 * JSON with one spelling for each value, so that its hash is an identity: keys sorted by UTF-16 code units, no white
 * space, shortest numbers. Members that are `undefined` are left out.
 * @throws RangeError for what JSON cannot carry faithfully: NaN, infinities, lone surrogates, more than 64 levels, and
 * values of other kinds, such as bigint or Date
 * @see https://www.rfc-editor.org/rfc/rfc8785
 */
export function canonicalJson(value: Json, depth = 0): string {
  if (depth > maxDepth) throw new RangeError('JSON is nested too deeply')
  if (value === null || typeof value === 'boolean') return String(value)
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new RangeError('JSON has no such number')
    return JSON.stringify(value)
  }
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new RangeError('text with a lone surrogate has no UTF-8 form')
    return JSON.stringify(value)
  }
  if (Array.isArray(value)) return `[${Array.from(value, (item) => canonicalJson(item, depth + 1)).join(',')}]`
  if (Object.prototype.toString.call(value) !== '[object Object]') throw new RangeError('JSON has no such value')
  const members = Object.entries(value as Record<string, Json | undefined>)
    .filter((entry): entry is [string, Json] => entry[1] !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  return `{${members.map(([key, item]) => `${canonicalJson(key)}:${canonicalJson(item, depth + 1)}`).join(',')}}`
}

/** Whether all text in a value is well-formed Unicode: JSON can spell a lone surrogate, but such text has no bytes to hash. */
export function isWellFormedJson(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed()
  if (Array.isArray(value)) return value.every(isWellFormedJson)
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([key, item]) => key.isWellFormed() && isWellFormedJson(item))
}
