import { defineBench } from '../bench/define-bench.ts'
import { measureSlot } from './measure-slot.ts'

export const slotFirstByte = defineBench({
  name: 'slot.firstByte',
  unit: 'ms',
  summary: 'first byte of output of a hardened container job in a waiting slot, against `docker run --rm`',
  goal: { of: 'ratio', atMost: 0.033 },
  run: (context) =>
    measureSlot({ moment: 'firstByte', isWarm: true, note: 'opening the slot is not in the time' }, context),
})
