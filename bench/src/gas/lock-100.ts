import { defineBench } from '../bench/define-bench.ts'
import { measureHeld } from './measure-held.ts'

export const gasLock100 = defineBench({
  name: 'gas.lock100',
  unit: 'gas/job',
  summary: '100 jobs locked in one transaction before they run, and paid in another',
  goal: { of: 'ours', atMost: 60_000 },
  run: (context) =>
    measureHeld(
      {
        step: '100 locks, then 100 acknowledgements',
        reference: 206_195,
        referenceName:
          'Olas mech (valory-xyz/ai-registry-mech@53811b7), requested and delivered on chain, batch of 100; measured earlier, not in this run',
      },
      context,
      (market) => market.lockAndSettle(100),
    ),
})
