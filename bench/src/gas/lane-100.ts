import { defineBench } from '../bench/define-bench.ts'
import { measureSettlement } from './measure-settlement.ts'

export const gasLane100 = defineBench({
  name: 'gas.lane100',
  unit: 'gas/job',
  summary: '100 jobs of one lane settled in one transaction',
  goal: null,
  run: (context) => measureSettlement({ payers: 1, jobs: 100, peer: 'batch' }, context),
})
