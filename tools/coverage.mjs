#!/usr/bin/env node
// Measures what the tests reach of the contracts, and fails when that is less than 95 of 100 branches. Invariants and gas limits are
// left out: what only a random walk reaches is not tested. Figures and what is not reached: contracts/test/COVERAGE.md.
//   node tools/coverage.mjs
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { foundryBinary } from './foundry.mjs'
import { copyShallowContracts } from './shallow-contracts.mjs'

const leastPercent = 95
const folder = mkdtempSync(join(tmpdir(), 'lilypad-coverage-'))
const project = join(folder, 'project')
const report = join(folder, 'lcov.info')

/** Lines of an lcov report as `{ file, lines, branches, missing }` for each file; lines and branches are `[reached, all]`. */
function readReport(text) {
  return text
    .split('end_of_record')
    .filter((record) => record.includes('SF:'))
    .map((record) => {
      const numberOf = (name) => Number(record.match(new RegExp(`^${name}:(\\d+)`, 'm'))?.[1] ?? 0)
      const file = record.match(/^SF:(.*)/m)[1]
      const sourceLines = readFileSync(join(project, file), 'utf8').split('\n')
      const missing = [...record.matchAll(/^(?:BRDA:(\d+),\d+,\d+,(?:0|-)|DA:(\d+),0)$/gm)]
      return {
        file,
        lines: [numberOf('LH'), numberOf('LF')],
        branches: [numberOf('BRH'), numberOf('BRF')],
        missing: missing.map(
          ([, branch, line]) => `${branch ? 'branch' : 'line'}: ${sourceLines[(branch ?? line) - 1].trim()}`,
        ),
      }
    })
}

const percent = ([reached, all]) => (all === 0 ? '-' : `${((100 * reached) / all).toFixed(1)} % (${reached}/${all})`)
const sum = (parts) => parts.reduce(([a, b], [c, d]) => [a + c, b + d], [0, 0])

try {
  copyShallowContracts(project)
  const selection = [
    '--no-match-path',
    'contracts/test/{*.gas.t.sol,invariant/*}',
    '--no-match-test',
    'test_CodeFitsTheLimit',
  ]
  const args = [
    'coverage',
    '--report',
    'lcov',
    '--report-file',
    report,
    '--no-match-coverage',
    'contracts/test',
    ...selection,
  ]
  const run = spawnSync(foundryBinary('forge'), args, {
    cwd: project,
    env: { ...process.env, FOUNDRY_PROFILE: 'shallow' },
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  })
  if (run.status !== 0) {
    const failures = run.stdout.split('\n').filter((line) => /\[FAIL|Error/.test(line))
    throw new Error(`forge coverage failed:\n${failures.join('\n')}\n${run.stderr.slice(-4000)}`)
  }
  const files = readReport(readFileSync(report, 'utf8')).filter(({ file }) => file.startsWith('contracts/src/'))
  const total = { lines: sum(files.map(({ lines }) => lines)), branches: sum(files.map(({ branches }) => branches)) }
  console.log('| file | lines | branches |\n|---|---|---|')
  for (const { file, lines, branches } of files)
    console.log(`| ${basename(file)} | ${percent(lines)} | ${percent(branches)} |`)
  console.log(`| all | ${percent(total.lines)} | ${percent(total.branches)} |\n\nNot reached:`)
  for (const { file, missing } of files) for (const place of missing) console.log(`${basename(file)}, ${place}`)
  const [reached, all] = total.branches
  if (100 * reached < leastPercent * all) {
    console.error(`\nThe tests reach fewer than ${leastPercent} % of the branches: test what is listed above.`)
    process.exitCode = 1
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
