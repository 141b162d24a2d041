import type { Address } from '@lilypad-agents/protocol'
import type { Chain } from '../chain/chain.ts'
import type { ClaimTerms, ProviderStake } from '../chain/claim-chain.ts'

/** What the chain says of a provider's own money. In base units and wei. */
export type NodeMoney = {
  /** Withdrawable now. */
  readonly credit: bigint
  readonly stake: ProviderStake
  readonly ether: bigint
  readonly gasPrice: bigint
  readonly terms: ClaimTerms
}

/** Reads it, or gives undefined when the chain does not answer. */
export async function findNodeMoney(
  chain: Chain,
  of: { readonly account: Address; readonly token: Address },
): Promise<NodeMoney | undefined> {
  try {
    const [credit, stake, ether, gasPrice, terms] = await Promise.all([
      chain.getCredit(of),
      chain.claims.getStake(of),
      chain.getEther(of.account),
      chain.getGasPrice(),
      chain.claims.getTerms(),
    ])
    return { credit, stake, ether, gasPrice, terms }
  } catch {
    return undefined
  }
}
