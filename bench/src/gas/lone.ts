import { defineBench } from '../bench/define-bench.ts'
import { measureSettlement } from './measure-settlement.ts'

export const gasLone = defineBench({
  name: 'gas.lone',
  unit: 'gas/job',
  summary: 'one job settled alone in one transaction',
  goal: { of: 'ours', atMost: 65_000 },
  run: (context) => measureSettlement({ payers: 1, jobs: 1, peer: 'lone' }, context),
})
