import { defineBench } from '../bench/define-bench.ts'
import { measureSettlement } from './measure-settlement.ts'

export const gasPayers100 = defineBench({
  name: 'gas.payers100',
  unit: 'gas/job',
  summary: 'one job of each of 100 payers settled in one transaction',
  goal: { of: 'ours', atMost: 25_000 },
  run: (context) => measureSettlement({ payers: 100, jobs: 1, peer: 'batch' }, context),
})
