import { defineBench } from '../bench/define-bench.ts'
import { measureHeld } from './measure-held.ts'

export const gasClaim = defineBench({
  name: 'gas.claim',
  unit: 'gas/job',
  summary: '100 jobs of a silent payer claimed in one transaction, and paid after the window in another',
  goal: { of: 'ours', atMost: 130_000 },
  run: (context) =>
    measureHeld(
      {
        step: '100 claims, then their payment',
        reference: 183_952,
        referenceName:
          'Ocean Escrow (oceanprotocol/contracts@1c779f90), lock and claim, batch of 25; measured earlier, not in this run',
      },
      context,
      (market) => market.claimAndFinalize(100),
    ),
})
