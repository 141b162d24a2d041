import type { Request } from 'express'
import { Address, LilypadError, parseWire } from '@lilypad-agents/protocol'
import { parseTokenAmount } from '@lilypad-agents/sdk'
import type { RequestPolicy } from '../completion/place-job.ts'

export const maxPriceHeader = 'x-lilypad-max-price'
export const providerHeader = 'x-lilypad-provider'

/**
 * What a request allows by its headers: the most it may cost in LILY, and the one provider it is for.
 * @throws InvalidRequestError
 */
export function readPolicy(request: Request): RequestPolicy {
  const price = request.get(maxPriceHeader)
  const provider = request.get(providerHeader)
  return {
    maxPrice: price === undefined ? undefined : readPrice(price),
    provider: provider === undefined ? undefined : parseWire(Address, provider.toLowerCase(), providerHeader),
  }
}

function readPrice(text: string): bigint {
  const amount = parseTokenAmount(text)
  if (amount > 0n) return amount
  throw new LilypadError('INVALID_REQUEST', `The header ${maxPriceHeader} is an amount of LILY above zero.`)
}
