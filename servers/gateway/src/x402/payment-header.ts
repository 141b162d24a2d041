import {
  Address,
  type Bytes32,
  concatBytes,
  fromHex,
  keccak256,
  LilypadError,
  parseWire,
} from '@lilypad-agents/protocol'
import { ExactPayment, PaymentRequirements } from '@lilypad-agents/sdk/x402'
import { z } from 'zod'

/** Headers of x402 v2. */
export const paymentHeader = 'payment-signature'
export const paymentRequiredHeader = 'payment-required'
export const paymentResponseHeader = 'payment-response'

const maxCharacters = 12_000

/** A value as it stands in a header of x402. */
export const toHeader = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64')

/** A payment of any scheme. */
const AnyPayment = z.looseObject({ x402Version: z.literal(2), accepted: PaymentRequirements })
type AnyPayment = z.output<typeof AnyPayment>

/**
 * Reads the payment of a request.
 * @throws InvalidRequestError
 */
export function readPayment(header: string): AnyPayment {
  let value: unknown
  try {
    value = header.length > maxCharacters ? undefined : JSON.parse(Buffer.from(header, 'base64').toString())
  } catch {
    value = undefined
  }
  if (value === undefined)
    throw new LilypadError('INVALID_REQUEST', 'The header PAYMENT-SIGNATURE is no payment of x402.', {
      hint: 'send the payment as JSON in Base64, of version 2',
    })
  return parseWire(AnyPayment, value, 'payment')
}

/** @throws InvalidRequestError when it is none of scheme `exact` by a signed transfer */
export const readExactPayment = (payment: AnyPayment): ExactPayment => parseWire(ExactPayment, payment, 'payment')

/** A payment is its transfer: a token takes a nonce of an account once. */
export function paymentId({ accepted, payload: { authorization } }: ExactPayment): Bytes32 {
  const asset = parseWire(Address, accepted.asset.toLowerCase(), 'accepted.asset')
  return keccak256(concatBytes(fromHex(asset), fromHex(authorization.from), fromHex(authorization.nonce)))
}
