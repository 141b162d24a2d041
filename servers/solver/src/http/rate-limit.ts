import type { RequestHandler } from 'express'
import { LilypadError } from '@lilypad-agents/protocol'

/** Addresses remembered at once; the one longest quiet is forgotten first. */
const maxAddresses = 10_000

/** Lets each address make so many requests a second, and twice as many in a burst. */
export function rateLimit({ requestsPerSecond }: { readonly requestsPerSecond: number }): RequestHandler {
  const burst = requestsPerSecond * 2
  const buckets = new Map<string, { tokens: number; at: number }>()
  return (request, _response, next) => {
    const address = request.socket.remoteAddress ?? ''
    // Not the wall clock: that one may jump back, and then nobody would get in for as long.
    const at = performance.now()
    const bucket = buckets.get(address) ?? { tokens: burst, at }
    const tokens = Math.min(burst, bucket.tokens + ((at - bucket.at) / 1000) * requestsPerSecond)
    buckets.delete(address)
    buckets.set(address, { tokens: Math.max(0, tokens - 1), at })
    if (buckets.size > maxAddresses) {
      const oldest = buckets.keys().next().value
      if (oldest !== undefined) buckets.delete(oldest)
    }
    if (tokens >= 1) return next()
    next(
      new LilypadError('RATE_LIMITED', 'Too many requests from this address.', { hint: 'wait a second, then go on' }),
    )
  }
}
