import type { Address } from '@lilypad-agents/protocol'
import { type ChainClient, getTokenBalance } from '@lilypad-agents/sdk'
import { type ExactPayment, findAuthorizer, isAuthorizationUsed, type TokenDomain } from '@lilypad-agents/sdk/x402'
import type { Offer } from './sale.ts'

/** Why a payment is not taken, in the words of x402. */
export type PaymentFault =
  | 'unsupported_scheme'
  | 'invalid_network'
  | 'invalid_payment_requirements'
  | 'invalid_exact_evm_payload_recipient_mismatch'
  | 'invalid_exact_evm_payload_authorization_value'
  | 'invalid_exact_evm_payload_authorization_valid_after'
  | 'invalid_exact_evm_payload_authorization_valid_before'
  | 'invalid_exact_evm_payload_signature'
  | 'invalid_transaction_state'
  | 'insufficient_funds'

/** What every offer of a seller asks for. */
export type Terms = {
  readonly network: string
  readonly asset: Address
  readonly domain: TokenDomain
}

// The token reads times with this bit set as block numbers.
const latestTime = 1n << 40n

/** What is wrong with a payment for an offer, as far as it can be seen without the chain. */
export function findPaymentFault(
  { accepted, payload: { authorization, signature } }: ExactPayment,
  offer: Offer,
  terms: Terms,
  nowSeconds: number,
): PaymentFault | undefined {
  if (accepted.scheme !== 'exact') return 'unsupported_scheme'
  if (accepted.network !== terms.network) return 'invalid_network'
  const isAsOffered =
    accepted.asset.toLowerCase() === terms.asset &&
    accepted.payTo.toLowerCase() === offer.payTo &&
    accepted.amount === offer.amount.toString()
  if (!isAsOffered) return 'invalid_payment_requirements'
  if (authorization.to !== offer.payTo) return 'invalid_exact_evm_payload_recipient_mismatch'
  if (authorization.value !== offer.amount) return 'invalid_exact_evm_payload_authorization_value'
  if (authorization.validAfter >= BigInt(nowSeconds)) return 'invalid_exact_evm_payload_authorization_valid_after'
  const { validBefore } = authorization
  if (validBefore < BigInt(offer.payableUntil) || validBefore >= latestTime)
    return 'invalid_exact_evm_payload_authorization_valid_before'
  if (findAuthorizer(terms.domain, authorization, signature) !== authorization.from)
    return 'invalid_exact_evm_payload_signature'
  return undefined
}

/** What is wrong with a payment on chain: used or cancelled, or its money is not there. */
export async function findChainFault(
  client: ChainClient,
  { payload: { authorization } }: ExactPayment,
  { asset }: Terms,
): Promise<PaymentFault | undefined> {
  const { from, nonce, value } = authorization
  const [isUsed, balance] = await Promise.all([
    isAuthorizationUsed(client, { token: asset, from, nonce }),
    getTokenBalance(client, { token: asset, account: from }),
  ])
  if (isUsed) return 'invalid_transaction_state'
  return balance < value ? 'insufficient_funds' : undefined
}
