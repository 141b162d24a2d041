import type { Bench, BenchContext } from './define-bench.ts'
import { describeGoal, isMet } from './goal.ts'

/** One line of the report. */
export type BenchResult =
  | {
      readonly name: string
      readonly unit: string
      readonly ours: number
      readonly reference: number
      readonly referenceName: string
      /** Ours divided by the reference. */
      readonly ratio: number
      readonly goal: string | null
      readonly met: boolean | null
      readonly runs: number
      readonly notes: readonly string[]
    }
  | { readonly name: string; readonly unit: string; readonly goal: string | null; readonly skipped: string }
  | { readonly name: string; readonly unit: string; readonly goal: string | null; readonly error: string }

/** Four significant digits: more would be noise. */
const round = (value: number) => (Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(4)))

/** Runs a benchmark. One that breaks gives a result with the error. */
export async function runBench(bench: Bench, context: BenchContext): Promise<BenchResult> {
  const { name, unit, goal } = bench
  const head = { name, unit }
  const wanted = goal && describeGoal(goal)
  try {
    const measured = await bench.run(context)
    if ('skipped' in measured) return { ...head, goal: wanted, skipped: measured.skipped }
    const { ours, reference, referenceName, runs, notes } = measured
    const ratio = ours / reference
    return {
      ...head,
      ours: round(ours),
      reference: round(reference),
      referenceName,
      ratio: round(ratio),
      goal: wanted,
      met: goal && isMet(goal, { ours, ratio }),
      runs,
      notes,
    }
  } catch (error) {
    return { ...head, goal: wanted, error: error instanceof Error ? error.message : String(error) }
  }
}
