import { defineBench } from '../bench/define-bench.ts'
import { measureSlot } from './measure-slot.ts'

export const slotExit = defineBench({
  name: 'slot.exit',
  unit: 'ms',
  summary: 'result with outputs of a hardened container job in a waiting slot, against `docker run --rm`',
  goal: { of: 'ratio', atMost: 0.05 },
  run: (context) =>
    measureSlot(
      {
        moment: 'settled',
        isWarm: true,
        note: 'opening the slot is not in the time, nor is the removal of the container, which the reference waits for',
      },
      context,
    ),
})
