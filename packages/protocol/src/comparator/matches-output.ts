import type { Comparator } from '../module/module-manifest.ts'

/** Whether a second run's output counts as equal to the first, by the comparator the module names. */
export function matchesOutput(comparator: Comparator, expected: Uint8Array, actual: Uint8Array): boolean {
  const isEqual = expected.length === actual.length && expected.every((byte, index) => byte === actual[index])
  if (isEqual || comparator.name === 'exact') return isEqual
  try {
    return matchesJson(parse(expected), parse(actual), 10 ** -comparator.digits)
  } catch {
    return false
  }
}

const parse = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))

function matchesJson(expected: unknown, actual: unknown, tolerance: number): boolean {
  if (typeof expected === 'number' && typeof actual === 'number') return Math.abs(expected - actual) <= tolerance
  if (typeof expected !== 'object' || typeof actual !== 'object' || expected === null || actual === null)
    return expected === actual
  if (Array.isArray(expected) !== Array.isArray(actual)) return false
  const left = new Map(Object.entries(expected))
  const right = new Map(Object.entries(actual))
  return (
    left.size === right.size &&
    [...left].every(([key, value]) => right.has(key) && matchesJson(value, right.get(key), tolerance))
  )
}
