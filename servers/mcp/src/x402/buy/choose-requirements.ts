import { Address, LilypadError, TokenAmount, zeroAddress } from '@lilypad-agents/protocol'
import type { PaymentRequired, PaymentRequirements } from '@lilypad-agents/sdk/x402'
import { cleanLine } from '../../text/clean-text.ts'

/** A way to pay that this wallet can take: its own chain and token. */
export type Payable = {
  readonly requirements: PaymentRequirements
  readonly amount: bigint
  readonly payTo: Address
}

/** None of the ways to pay is ours, or the seller did not take what it asked for. */
export class PaymentRefusedError extends LilypadError {
  override readonly name = 'PaymentRefusedError'
  constructor(
    message: string,
    options: { readonly details: readonly string[]; readonly hint: string; readonly charged?: 'none' | 'reserved' },
  ) {
    super('PAYMENT_REFUSED', message, options)
  }
}

/**
 * Chooses the cheapest way to pay that is scheme `exact` by EIP-3009, on our chain, in our token. What the seller says of the token's name
 * and version is not used: the token itself is asked.
 * @throws {@link PaymentRefusedError}
 */
export function choosePayable(
  { accepts }: PaymentRequired,
  ours: { readonly network: string; readonly asset: Address; readonly payer: Address },
): Payable {
  const payable = accepts
    .flatMap((requirements): Payable[] => {
      const { scheme, network, asset, amount, payTo, extra } = requirements
      const method = extra?.assetTransferMethod ?? 'eip3009'
      const price = TokenAmount.safeParse(amount)
      const payee = Address.safeParse(payTo)
      const isOurs =
        scheme === 'exact' && network === ours.network && asset.toLowerCase() === ours.asset && method === 'eip3009'
      if (!isOurs || !price.success || !payee.success) return []
      if (price.data === 0n || payee.data === zeroAddress || payee.data === ours.payer) return []
      return [{ requirements, amount: price.data, payTo: payee.data }]
    })
    .sort((a, b) => (a.amount < b.amount ? -1 : 1))[0]
  if (payable) return payable
  const asked = accepts
    .slice(0, 5)
    .map(({ scheme, network, asset }) => JSON.stringify(cleanLine(`${scheme} ${network} ${asset}`, 160)))
  throw new PaymentRefusedError('The seller asks for no payment that this wallet makes.', {
    details: [`Here: exact ${ours.network} ${ours.asset}`, ...asked.map((way) => `Asked for: ${way}`)],
    hint: 'nothing was signed; use another seller',
  })
}
