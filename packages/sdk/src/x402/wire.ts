import { Address, Bytes32, Signature, TokenAmount, Uint256 } from '@lilypad-agents/protocol'
import { z } from 'zod'

/** Where a payment and its receipt stand in the `_meta` of an MCP call. */
export const paymentMetaKey = 'x402/payment'
export const paymentResponseMetaKey = 'x402/payment-response'

const Text = z.string().min(1).max(2000)
const Extra = z.record(z.string().max(100), z.unknown())

/**
 * One way to pay, as a seller names it: of any scheme, chain and token, because a list may hold ways that are not ours. Whoever pays sends it
 * back as it came, so nothing of it is left out.
 * @see https://github.com/coinbase/x402/blob/main/specs/x402-specification-v2.md
 */
export const PaymentRequirements = z.looseObject({
  scheme: z.string().min(1).max(64),
  network: z.string().min(3).max(80),
  amount: z.string().min(1).max(80),
  asset: z.string().min(1).max(120),
  payTo: z.string().min(1).max(120),
  maxTimeoutSeconds: z.number().positive(),
  extra: Extra.nullish(),
})
export type PaymentRequirements = z.output<typeof PaymentRequirements>

const Resource = z.object({
  url: z.string().min(1).max(2000),
  description: z.string().max(4000).nullish(),
  mimeType: z.string().max(200).nullish(),
})

/** What a seller answers to a call without a payment that it takes. */
export const PaymentRequired = z.object({
  x402Version: z.literal(2),
  error: z.string().max(4000).nullish(),
  resource: Resource.nullish(),
  accepts: z.array(PaymentRequirements).min(1).max(32),
})
export type PaymentRequired = z.output<typeof PaymentRequired>

/** An EIP-3009 `TransferWithAuthorization`, times in Unix seconds. */
export const TransferAuthorization = z.object({
  from: Address,
  to: Address,
  value: TokenAmount,
  validAfter: Uint256,
  validBefore: Uint256,
  nonce: Bytes32,
})
export type TransferAuthorization = z.output<typeof TransferAuthorization>

/** A payment of scheme `exact` by EIP-3009: the way that was chosen, and the signed transfer. */
export const ExactPayment = z.object({
  x402Version: z.literal(2),
  accepted: PaymentRequirements,
  payload: z.object({ authorization: TransferAuthorization, signature: Signature }),
})
export type ExactPayment = z.output<typeof ExactPayment>

/** What a seller says of the settlement. */
export const PaymentResponse = z.object({
  success: z.boolean(),
  transaction: z.string().max(200),
  network: z.string().max(80),
  payer: z.string().max(120).nullish(),
  amount: z.string().max(80).nullish(),
  errorReason: Text.nullish(),
})
export type PaymentResponse = z.output<typeof PaymentResponse>

/** Name of a chain in x402: CAIP-2. */
export const toNetworkName = (chainId: number): string => `eip155:${chainId}`
