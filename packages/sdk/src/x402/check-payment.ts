import type { Address } from '@lilypad-agents/protocol'
import type { ChainClient } from '../chain/lilypad-chain.ts'
import { getTokenBalance } from '../token/token-actions.ts'
import type { TokenDomain } from '../token/token-domain.ts'
import { findAuthorizer, isAuthorizationUsed } from './authorization.ts'
import type { ExactPayment } from './wire.ts'

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

/** In what a seller is paid. */
export type PaymentTerms = {
  readonly network: string
  readonly asset: Address
  readonly domain: TokenDomain
}

/** What a payment has to be. */
export type ExpectedPayment = {
  readonly payTo: Address
  /** Base units of the asset. */
  readonly amount: bigint
  /** Unix second until which it has to be valid. */
  readonly payableUntil: number
}

// The token reads times with this bit set as block numbers.
const latestTime = 1n << 40n

/** What is wrong with a payment, as far as it can be seen without the chain. */
export function findPaymentFault(
  { accepted, payload: { authorization, signature } }: ExactPayment,
  expected: ExpectedPayment,
  terms: PaymentTerms,
  nowSeconds: number,
): PaymentFault | undefined {
  if (accepted.scheme !== 'exact') return 'unsupported_scheme'
  if (accepted.network !== terms.network) return 'invalid_network'
  const isAsOffered =
    accepted.asset.toLowerCase() === terms.asset &&
    accepted.payTo.toLowerCase() === expected.payTo &&
    accepted.amount === expected.amount.toString()
  if (!isAsOffered) return 'invalid_payment_requirements'
  if (authorization.to !== expected.payTo) return 'invalid_exact_evm_payload_recipient_mismatch'
  if (authorization.value !== expected.amount) return 'invalid_exact_evm_payload_authorization_value'
  if (authorization.validAfter >= BigInt(nowSeconds)) return 'invalid_exact_evm_payload_authorization_valid_after'
  const { validBefore } = authorization
  if (validBefore < BigInt(expected.payableUntil) || validBefore >= latestTime)
    return 'invalid_exact_evm_payload_authorization_valid_before'
  if (findAuthorizer(terms.domain, authorization, signature) !== authorization.from)
    return 'invalid_exact_evm_payload_signature'
  return undefined
}

/** What is wrong with a payment on chain: used or cancelled, or its money is not there. */
export async function findChainFault(
  client: ChainClient,
  { payload: { authorization } }: ExactPayment,
  { asset }: Pick<PaymentTerms, 'asset'>,
): Promise<PaymentFault | undefined> {
  const { from, nonce, value } = authorization
  const [isUsed, balance] = await Promise.all([
    isAuthorizationUsed(client, { token: asset, from, nonce }),
    getTokenBalance(client, { token: asset, account: from }),
  ])
  if (isUsed) return 'invalid_transaction_state'
  return balance < value ? 'insufficient_funds' : undefined
}
