import type { Bench } from '../bench/define-bench.ts'
import { describeGoal } from '../bench/goal.ts'
import type { BenchResult } from '../bench/run-bench.ts'

const columns = ['name', 'ours', 'reference', 'ratio', 'goal', 'met'] as const
const widths = [16, 24, 24, 10, 16, 4] as const

const line = (cells: readonly string[]) =>
  cells
    .map((cell, index) => cell.padEnd(widths[index] ?? 0))
    .join('  ')
    .trimEnd()

/** The head of the table for people. */
export const tableHead = line(columns)

/** One result for people: figures in columns, then what they were measured against. */
export function tableRow(result: BenchResult): string {
  const { name, unit, goal } = result
  if ('skipped' in result) return line([name, 'skipped', '', '', goal ?? '-', '-']) + detail(result.skipped)
  if ('error' in result) return line([name, 'FAILED', '', '', goal ?? '-', 'no']) + detail(result.error)
  const { ours, reference, referenceName, ratio, met, runs, notes } = result
  const figure = (value: number) => `${value} ${unit}`
  const verdict = met === null ? '-' : met ? 'yes' : 'no'
  const details = [`reference: ${referenceName}`, `${runs} ${runs === 1 ? 'round' : 'rounds'}`, ...notes]
  return (
    line([name, figure(ours), figure(reference), String(ratio), goal ?? '-', verdict]) + details.map(detail).join('')
  )
}

const detail = (text: string) => `\n    ${text}`

/** All benchmarks as a Markdown table, aligned as the formatter does it; the README holds a copy. */
export function listBenches(benches: readonly Bench[]): string {
  const head = ['name', 'unit', 'goal', 'measures']
  const rows = benches.map(({ name, unit, goal, summary }) => [
    `\`${name}\``,
    unit,
    goal ? describeGoal(goal) : '-',
    summary,
  ])
  const wide = head.map((title, column) =>
    Math.max(...[title, ...rows.map((row) => row[column] ?? '')].map(({ length }) => length)),
  )
  const ruler = wide.map((width) => '-'.repeat(width))
  return [head, ruler, ...rows]
    .map((cells) => `| ${cells.map((cell, column) => cell.padEnd(wide[column] ?? 0)).join(' | ')} |`)
    .join('\n')
}
