import type { BenchContext, Measurement } from '../bench/define-bench.ts'
import { describeSpread, measureRounds, median } from '../bench/rounds.ts'
import { dockerRunName, onSlotWorkbench } from './slot-workbench.ts'

/** Milliseconds until one moment of a job in a slot, against the same moment of `docker run --rm`. */
export function measureSlot(
  options: {
    readonly moment: 'firstByte' | 'settled'
    /** Whether a slot waits before the clock starts; otherwise it is opened for the job. */
    readonly isWarm: boolean
    readonly note: string
  },
  { runs = 31, signal }: BenchContext,
): Promise<Measurement | { readonly skipped: string }> {
  const { moment, isWarm, note } = options
  return onSlotWorkbench({ warmSlots: 1 }, async (bench) => {
    const rounds = await measureRounds({
      runs,
      warmups: 3,
      restMilliseconds: 300,
      signal,
      async ours() {
        if (isWarm) await bench.warm()
        return (await bench.runJob('slot'))[moment]
      },
      reference: async () => (await bench.runDocker())[moment],
    })
    return {
      ours: median(rounds.ours),
      reference: median(rounds.reference),
      referenceName: dockerRunName,
      runs,
      notes: [note, describeSpread(rounds)],
    }
  })
}
