import { defineBench } from '../bench/define-bench.ts'
import { measureHeld } from './measure-held.ts'

export const gasClaimLone = defineBench({
  name: 'gas.claimLone',
  unit: 'gas/job',
  summary: 'one job claimed without acknowledgement and paid after the window, two transactions',
  goal: null,
  run: (context) =>
    measureHeld(
      {
        step: 'one claim, then its payment',
        reference: 349_713,
        referenceName:
          'Ocean Escrow (oceanprotocol/contracts@1c779f90), lock and claim of one job; measured earlier, not in this run',
      },
      context,
      (market) => market.claimAndFinalize(1),
    ),
})
