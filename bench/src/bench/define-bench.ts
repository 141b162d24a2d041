import type { Goal } from './goal.ts'

/** What a benchmark is given. */
export type BenchContext = {
  /** Rounds to measure, when the caller asked for a number. */
  readonly runs: number | undefined
  readonly onStep: (step: string) => void
  readonly signal: AbortSignal
}

/** Our figure and the reference's, from the same run. */
export type Measurement = {
  readonly ours: number
  readonly reference: number
  /** What the reference does, or where its figure comes from. */
  readonly referenceName: string
  /** Rounds behind each figure. */
  readonly runs: number
  readonly notes: readonly string[]
}

/** Why a benchmark cannot run on this machine. */
type Skipped = { readonly skipped: string }

export type Bench = {
  /** `<group>.<figure>`; `--only` picks by the start of it. */
  readonly name: string
  readonly unit: string
  /** What is measured, in one line. */
  readonly summary: string
  /** Null where only the figure is reported. */
  readonly goal: Goal | null
  run(context: BenchContext): Promise<Measurement | Skipped>
}

/** Declares a benchmark. */
export function defineBench(bench: Bench): Bench {
  return bench
}
