// usage: node verify-golden.mjs <outputs> [<golden>]   compares a folder that a provider filled with golden/
// Prints one line of JSON and exits with 1 on a difference: text must be equal, numbers equal after rounding as module.json's comparator says.
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const module = dirname(fileURLToPath(import.meta.url))

/** Lists where two JSON values differ, as paths with both sides. */
function listDifferences(expected, actual, digits, path = '$') {
  if (typeof expected === 'number' && typeof actual === 'number') {
    return Math.abs(expected - actual) <= 10 ** -digits ? [] : [{ path, expected, actual }]
  }
  const [left, right] = [expected, actual].map((value) =>
    value !== null && typeof value === 'object' ? Object.keys(value).sort() : undefined,
  )
  if (left === undefined || right === undefined) return Object.is(expected, actual) ? [] : [{ path, expected, actual }]
  if (Array.isArray(expected) !== Array.isArray(actual) || left.join() !== right.join())
    return [{ path, expected: left, actual: right }]
  return left.flatMap((key) => listDifferences(expected[key], actual[key], digits, `${path}.${key}`))
}

const [outputs, golden = join(module, 'golden')] = process.argv.slice(2)
if (!outputs) {
  process.stderr.write('usage: node verify-golden.mjs <outputs> [<golden>]\n')
  process.exit(2)
}
const { comparator } = JSON.parse(await readFile(join(module, 'module.json'), 'utf8'))
const read = async (name) => Promise.all([golden, outputs].map((folder) => readFile(join(folder, name), 'utf8')))
const [expectedText, actualText] = await read('text.txt')
const [expected, actual] = (await read('result.json')).map((json) => JSON.parse(json))
const differences = listDifferences(expected, actual, comparator.digits)
if (expectedText !== actualText)
  differences.unshift({ path: 'text.txt', expected: expectedText, actual: actualText.slice(0, 1000) })
process.stdout.write(
  `${JSON.stringify({ golden, matches: differences.length === 0, differences: differences.slice(0, 20) })}\n`,
)
if (differences.length > 0) process.exitCode = 1
