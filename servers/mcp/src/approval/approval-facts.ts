import type { Address, Bytes32 } from '@lilypad-agents/protocol'
import type { Network, StoredQuote } from '@lilypad-agents/sdk'
import { withToken } from '../money/token.ts'
import { cleanLine } from '../text/clean-text.ts'

/** What a person is to decide about. */
export type ApprovalFacts = {
  /** The quote. */
  readonly id: Bytes32
  readonly inputsDigest: Bytes32
  readonly maxPrice: bigint
  /** Unix seconds until which it can be ordered. */
  readonly validUntil: number
  /** What to do once it is approved. @default lilypad_run_job with the same quote */
  readonly again?: string
  /** Each fact with its name, free of what strangers wrote but for names. */
  readonly lines: readonly (readonly [name: string, value: string])[]
}

/** The facts of an order as a person has to see them before money is signed away. */
export function approvalFacts(
  { quote, module, publisher }: StoredQuote,
  { network, payer, left }: { readonly network: Network; readonly payer?: Address | undefined; readonly left: bigint },
): ApprovalFacts {
  return {
    id: quote.quoteId,
    inputsDigest: quote.inputsDigest,
    maxPrice: quote.maxPrice,
    validUntil: quote.expiresAt,
    lines: [
      ['Module', `${cleanLine(quote.module, 64)} ${cleanLine(module.version, 64)}`],
      ['Publisher', publisher ?? 'unknown'],
      ['Provider', quote.ask.ask.provider],
      // Its inputs can leave by these.
      ...(module.network ? ([['Talks to', cleanLine(module.network.hosts.join(', '), 1200)]] as const) : []),
      ['Costs at most', withToken(quote.maxPrice)],
      ['Expected', withToken(quote.expectedPrice)],
      ['Paid through contract', network.contracts.jobVault],
      ['Chain', `${network.chainId} (${cleanLine(network.name, 64)})`],
      ...(payer ? ([['Payer', payer]] as const) : []),
      ['May still be spent', withToken(left)],
      ['Inputs digest', quote.inputsDigest],
      ['Quote', quote.quoteId],
      ['Can be ordered until', new Date(quote.expiresAt * 1000).toISOString()],
    ],
  }
}

/** The facts as text, a line each. */
export const factsText = ({ lines }: ApprovalFacts): string =>
  lines.map(([name, value]) => `${name}: ${value}`).join('\n')
