import type { BenchContext, Measurement } from '../bench/define-bench.ts'
import { startGasMarket } from './gas-market.ts'

/** The rival that records each job on chain for the least gas: Olas mech, requests signed off chain, delivered by the mech. */
const mech = 'Olas mech (valory-xyz/ai-registry-mech@53811b7), signed requests'
const peers = {
  lone: { gas: 276_930, name: `${mech}, one job; measured earlier, not in this run` },
  batch: { gas: 128_392, name: `${mech}, batch of 100; measured earlier, not in this run` },
} as const

/**
 * Gas per job of the second settlement of its lanes, when every slot it writes holds a value already: the transaction's
 * receipt, so calldata and base fee are in it.
 */
export async function measureSettlement(
  options: { readonly payers: number; readonly jobs: number; readonly peer: keyof typeof peers },
  context: BenchContext,
): Promise<Measurement> {
  const { payers, jobs, peer } = options
  const market = await startGasMarket()
  try {
    const perJob = async (keys: 'payers' | 'session') => {
      context.signal.throwIfAborted()
      context.onStep(
        `${payers} ${payers === 1 ? 'lane' : 'lanes'}, signed by ${keys === 'payers' ? 'the payers' : 'session keys'}`,
      )
      const lanes = await market.openLanes(payers, keys)
      await market.settle(lanes, 1)
      return (await market.settle(lanes, jobs)) / (payers * jobs)
    }
    const ours = await perJob('payers')
    const session = await perJob('session')
    const floor = await market.transfer()
    return {
      ours,
      reference: peers[peer].gas,
      referenceName: peers[peer].name,
      runs: 1,
      notes: [
        `the vouchers signed by session keys under a grant: ${Math.round(session)} gas/job`,
        `a plain transfer of LILY in the same run: ${floor} gas, ${(floor / ours).toFixed(2)} of our figure`,
        "author's share 5 %, solver's and protocol's 1 % each; storage warm, one event per job",
      ],
    }
  } finally {
    await market.close()
  }
}
