import { defineBench } from '../bench/define-bench.ts'
import { describeSpread, measureRounds, median } from '../bench/rounds.ts'
import { dockerRunName, onSlotWorkbench } from './slot-workbench.ts'

export const slotCold = defineBench({
  name: 'slot.cold',
  unit: 'ms',
  summary: 'result with outputs of a hardened container job that nothing was made ready for, against `docker run --rm`',
  goal: { of: 'ratio', atMost: 0.6 },
  run: ({ runs = 31, signal }) =>
    onSlotWorkbench({ warmSlots: 1 }, async (bench) => {
      const rounds = await measureRounds({
        runs,
        warmups: 3,
        restMilliseconds: 300,
        signal,
        ours: async () => (await bench.runJob('slot')).settled,
        reference: async () => (await bench.runDocker()).settled,
      })
      return {
        ours: median(rounds.ours),
        reference: median(rounds.reference),
        referenceName: dockerRunName,
        runs,
        notes: ['the removal of the container is not in the time; the reference waits for it', describeSpread(rounds)],
      }
    }),
})
