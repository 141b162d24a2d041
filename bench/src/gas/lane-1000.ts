import { defineBench } from '../bench/define-bench.ts'
import { measureSettlement } from './measure-settlement.ts'

export const gasLane1000 = defineBench({
  name: 'gas.lane1000',
  unit: 'gas/job',
  summary: '1,000 jobs of one lane settled in one transaction',
  goal: { of: 'ours', atMost: 4000 },
  run: (context) => measureSettlement({ payers: 1, jobs: 1000, peer: 'batch' }, context),
})
