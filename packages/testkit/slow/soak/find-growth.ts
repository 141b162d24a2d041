import type { Sample } from './sample.ts'

/** A sample and how many jobs were done when it was taken. */
export type SampleAt = { readonly jobs: number; readonly sample: Sample }

/** What may come on top between the first and the last quarter of the samples. */
export type Bound = {
  readonly matches: RegExp
  /** Share of the first figure. */
  readonly share: number
  /** Units on top of it. */
  readonly plus: number
  /** Units for each job between the two quarters: what is kept of a job on purpose. */
  readonly perJob: number
}

/** How a figure changed from the first quarter after warm-up to the last. */
export type Growth = {
  readonly figure: string
  readonly first: number
  readonly last: number
  readonly perJob: number
  readonly isAllowed: boolean
}

const median = (numbers: readonly number[]) =>
  [...numbers].sort((a, b) => a - b)[Math.floor((numbers.length - 1) / 2)] ?? 0

/**
 * Compares the medians of the first and the last quarter of the samples, without those of the warm-up: one garbage
 * collection more or less moves single samples, not those. A figure without a bound must stay what it was.
 */
export function findGrowth(
  samples: readonly SampleAt[],
  bounds: readonly Bound[],
  warmUpShare = 0.2,
): readonly Growth[] {
  const steady = samples.slice(Math.ceil(samples.length * warmUpShare))
  const quarter = Math.floor(steady.length / 4)
  if (quarter < 2) throw new RangeError('too few samples to see growth')
  const [early, late] = [steady.slice(0, quarter), steady.slice(-quarter)]
  const jobs = median(late.map((at) => at.jobs)) - median(early.map((at) => at.jobs))
  return Object.keys(samples[0]?.sample ?? {}).map((figure) => {
    const [first, last] = [early, late].map((part) => median(part.map(({ sample }) => sample[figure] ?? 0))) as [
      number,
      number,
    ]
    const { share, plus, perJob } = bounds.find(({ matches }) => matches.test(figure)) ?? {
      share: 0,
      plus: 0,
      perJob: 0,
    }
    return {
      figure,
      first,
      last,
      perJob: Math.round((last - first) / jobs),
      isAllowed: last <= first * (1 + share) + plus + perJob * jobs,
    }
  })
}
