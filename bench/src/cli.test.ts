import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { benches } from './benches.ts'
import { runCli } from './cli.ts'
import { listBenches } from './report/table.ts'

async function run(...args: string[]) {
  const stdout: string[] = []
  const stderr: string[] = []
  const streams = { stdout: (line: string) => void stdout.push(line), stderr: (line: string) => void stderr.push(line) }
  const code = await runCli(args, streams, new AbortController().signal)
  return { code, stdout, stderr: stderr.join('\n') }
}

test('--list prints every benchmark once, without running any', async () => {
  const { code, stdout } = await run('--list')
  expect({ code, stdout }).toEqual({ code: 0, stdout: [listBenches(benches)] })
  expect(new Set(benches.map(({ name }) => name)).size).toBe(benches.length)
})

test('--only picks by prefix and may be repeated', async () => {
  const { stdout } = await run('--list', '--only', 'gas.lane1', '--only', 'protocol.')
  const names = [...stdout.join().matchAll(/`([a-z]+\.\w+)`/g)].map((match) => match[1])
  expect(names).toEqual(['protocol.sign', 'protocol.verify', 'gas.lane100', 'gas.lane1000'])
})

test.each([
  ['a prefix of nothing', ['--only', 'nothing'], /names none of: protocol\.sign/],
  ['a number of runs that is none', ['--runs', '0'], /--runs takes a whole number/],
  ['an unknown flag', ['--fast'], /Unknown option '--fast'/],
])('%s is refused with the usage', async (_name, args, message) => {
  const { code, stdout, stderr } = await run(...args)
  expect({ code, stdout }).toEqual({ code: 2, stdout: [] })
  expect(stderr).toMatch(message)
  expect(stderr).toContain('npm run bench')
})

test('the README holds the list that --list prints', () => {
  expect(readFileSync(join(import.meta.dirname, '..', 'README.md'), 'utf8')).toContain(listBenches(benches))
})

// Gas does not depend on the machine, so these two may run in a test; nothing that takes time does.
test('gas benchmarks give one object per line, the same each time', async () => {
  const { code, stdout } = await run('--json', '--only', 'gas.lone', '--only', 'gas.lane100')
  const results = stdout.map((line) => JSON.parse(line))
  expect(code).toBe(0)
  expect(results.map(({ name }) => name)).toEqual(['gas.lone', 'gas.lane100', 'gas.lane1000'])
  for (const result of results) {
    expect(Object.keys(result)).toEqual([
      'name',
      'unit',
      'ours',
      'reference',
      'referenceName',
      'ratio',
      'goal',
      'met',
      'runs',
      'notes',
    ])
    // A transaction costs 21,000 at least, a record of 89 bytes 1,424 in calldata.
    expect(result.ours).toBeGreaterThan(result.name === 'gas.lone' ? 40_000 : 2000)
    expect(result.ratio).toBeLessThan(0.5)
    expect(result.ratio).toBeCloseTo(result.ours / result.reference, 3)
  }
  const again = await run('--json', '--only', 'gas.lone')
  expect(again.stdout).toEqual([stdout[0]])
}, 120_000)
