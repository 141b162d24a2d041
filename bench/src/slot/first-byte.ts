import { defineBench } from '../bench/define-bench.ts'
import { describeSpread, measureRounds, median } from '../bench/rounds.ts'
import { dockerRunName, onSlotWorkbench } from './slot-workbench.ts'

export const slotFirstByte = defineBench({
  name: 'slot.firstByte',
  unit: 'ms',
  summary: 'first byte of output of a hardened container job in a waiting slot, against `docker run --rm`',
  goal: { of: 'ratio', atMost: 0.033 },
  run: ({ runs = 31, signal }) =>
    onSlotWorkbench({ warmSlots: 1 }, async (bench) => {
      const rounds = await measureRounds({
        runs,
        warmups: 3,
        restMilliseconds: 300,
        signal,
        async ours() {
          await bench.warm()
          return (await bench.runJob('slot')).firstByte
        },
        reference: async () => (await bench.runDocker()).firstByte,
      })
      return {
        ours: median(rounds.ours),
        reference: median(rounds.reference),
        referenceName: dockerRunName,
        runs,
        notes: ['opening the slot is not in the time', describeSpread(rounds)],
      }
    }),
})
