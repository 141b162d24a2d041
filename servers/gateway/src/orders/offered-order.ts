import { askType, JobInputs, jobOrderType, Quote, SignedAsk, type SigningDomain } from '@lilypad-agents/protocol'
import type { StoredQuote } from '@lilypad-agents/sdk'
import { z } from 'zod'
import { toTypedData, TypedData } from './typed-data.ts'

/** A job as a wallet may order it itself: what it signs, and what has to come with the order. */
export const OrderTemplate = z.object({
  typed_data: TypedData.meta({
    description:
      'The order to sign. Fill in `payer` and `key` (the address that signs), `lane` (a random number, or one of your own), `nonce` (unused in the lane) and `auditCommit` (keccak256 of 32 random bytes that are kept)',
  }),
  ask: SignedAsk.meta({ description: 'Goes into the order request as it is' }),
  inputs: z.record(z.string(), z.unknown()).meta({ description: 'Goes into the order request as it is' }),
})

/** What a wallet signs to order the job of a quote. */
export function orderTemplate({ quote, inputs }: StoredQuote, domain: SigningDomain) {
  const { ask } = quote.ask
  const message = {
    moduleVersion: quote.moduleVersion,
    inputsDigest: quote.inputsDigest,
    askHash: askType.hash(domain, ask),
    provider: ask.provider,
    solver: ask.solver,
    token: ask.token,
    maxPrice: quote.maxPrice.toString(),
    startBy: quote.startBy,
    deliverBy: quote.deliverBy,
    verification: 0,
  }
  return {
    typed_data: toTypedData(jobOrderType, domain, message),
    ask: z.encode(SignedAsk, quote.ask),
    inputs: z.encode(JobInputs, inputs),
  }
}

/** The same for our own clients, which check the quote and make the order themselves. */
export function offeredJob({ quote, inputs }: StoredQuote) {
  return { quote: z.encode(Quote, quote), inputs: z.encode(JobInputs, inputs) }
}
