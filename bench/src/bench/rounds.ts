import { setTimeout as pause } from 'node:timers/promises'

/** Figures of both sides, a pair a round. */
export type Rounds = { readonly ours: readonly number[]; readonly reference: readonly number[] }

/**
 * Measures both sides in turn, so that what else the machine does falls on both; who goes first changes every round.
 * The first rounds are thrown away: caches fill and code is compiled in them.
 */
export async function measureRounds(options: {
  readonly runs: number
  readonly warmups: number
  /** Gives one figure. */
  readonly ours: () => Promise<number>
  readonly reference: () => Promise<number>
  /** Quiet time before each measurement, in which the work that the last one left behind comes to its end. @default 0 */
  readonly restMilliseconds?: number
  readonly signal: AbortSignal
}): Promise<Rounds> {
  const { runs, warmups, restMilliseconds = 0, signal } = options
  const ours: number[] = []
  const reference: number[] = []
  for (let round = -warmups; round < runs; round++) {
    const sides = [
      { figures: ours, measure: options.ours },
      { figures: reference, measure: options.reference },
    ]
    for (const { figures, measure } of round % 2 === 0 ? sides : sides.reverse()) {
      signal.throwIfAborted()
      if (restMilliseconds > 0) await pause(restMilliseconds)
      const figure = await measure()
      if (round >= 0) figures.push(figure)
    }
  }
  return { ours, reference }
}

/** Value below which this share of the figures lies, by linear interpolation. */
export function quantile(figures: readonly number[], share: number): number {
  if (figures.length === 0) throw new RangeError('no figures')
  const sorted = figures.toSorted((a, b) => a - b)
  const at = (sorted.length - 1) * share
  const below = sorted[Math.floor(at)] ?? 0
  const above = sorted[Math.ceil(at)] ?? below
  return below + (above - below) * (at - Math.floor(at))
}

/** The middle figure. */
export const median = (figures: readonly number[]): number => quantile(figures, 0.5)

/** How far the figures of both sides spread, as a note. */
export function describeSpread({ ours, reference }: Rounds): string {
  const range = (figures: readonly number[]) =>
    [0.25, 0.75].map((share) => quantile(figures, share).toPrecision(3)).join(' to ')
  return `middle half of the rounds: ours ${range(ours)}, reference ${range(reference)}`
}
