import type { BenchContext, Measurement } from '../bench/define-bench.ts'
import { type HeldMarket, startHeldMarket } from './held-market.ts'

/** Gas per job when the money is set aside on chain, beside the rival that records each job for the least. */
export async function measureHeld(
  options: { readonly step: string; readonly reference: number; readonly referenceName: string },
  context: BenchContext,
  measure: (market: HeldMarket) => Promise<number>,
): Promise<Measurement> {
  const { step, reference, referenceName } = options
  const market = await startHeldMarket()
  try {
    context.signal.throwIfAborted()
    context.onStep(step)
    return {
      ours: await measure(market),
      reference,
      referenceName,
      runs: 1,
      notes: [
        "the payer's own key, no guardian; the provider's stake is bound; author 5 %, solver and protocol 1 % each",
      ],
    }
  } finally {
    await market.close()
  }
}
