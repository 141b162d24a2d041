import type { BenchContext, Measurement } from '../bench/define-bench.ts'
import { measureRounds, median, quantile } from '../bench/rounds.ts'
import { directName, onServerWorkbench } from './server-workbench.ts'

/** Milliseconds that the executor adds to a request or to the first bytes of a streamed one: the median of the differences of the rounds. */
export function measureServer(isStreamed: boolean, { runs = 300, signal }: BenchContext): Promise<Measurement> {
  return onServerWorkbench(async (bench) => {
    const { ours, reference } = await measureRounds({
      runs,
      warmups: 50,
      signal,
      ours: () => bench.throughExecutor(isStreamed),
      reference: () => bench.direct(isStreamed),
    })
    const added = ours.map((figure, round) => figure - (reference[round] ?? figure))
    return {
      ours: median(added),
      reference: median(reference),
      referenceName: directName,
      runs,
      notes: [
        `through the executor ${median(ours).toPrecision(3)} ms`,
        `middle half of what is added: ${quantile(added, 0.25).toPrecision(3)} to ${quantile(added, 0.75).toPrecision(3)} ms`,
      ],
    }
  })
}
