import { defineBench } from '../bench/define-bench.ts'
import { measureSlot } from './measure-slot.ts'

export const slotCold = defineBench({
  name: 'slot.cold',
  unit: 'ms',
  summary: 'result with outputs of a hardened container job that nothing was made ready for, against `docker run --rm`',
  goal: { of: 'ratio', atMost: 0.6 },
  run: (context) =>
    measureSlot(
      {
        moment: 'settled',
        isWarm: false,
        note: 'the removal of the container is not in the time; the reference waits for it',
      },
      context,
    ),
})
