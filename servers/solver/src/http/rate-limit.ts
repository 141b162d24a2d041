import type { RequestHandler } from 'express'
import { LilypadError } from '@lilypad-agents/protocol'

/** Addresses remembered at once; the one longest quiet is forgotten first. */
const maxAddresses = 10_000

/** Lets each address make so many requests a second, and twice as many in a burst. */
export function rateLimit(options: { readonly requestsPerSecond: number; readonly clock: () => Date }): RequestHandler {
  const { requestsPerSecond, clock } = options
  const burst = requestsPerSecond * 2
  const buckets = new Map<string, { tokens: number; at: number }>()
  return (request, _response, next) => {
    const address = request.socket.remoteAddress ?? ''
    const at = clock().getTime()
    const bucket = buckets.get(address) ?? { tokens: burst, at }
    const tokens = Math.min(burst, bucket.tokens + ((at - bucket.at) / 1000) * requestsPerSecond)
    buckets.delete(address)
    buckets.set(address, { tokens: Math.max(0, tokens - 1), at })
    if (buckets.size > maxAddresses) {
      const oldest = buckets.keys().next().value
      if (oldest !== undefined) buckets.delete(oldest)
    }
    if (tokens >= 1) return next()
    next(new LilypadError('RATE_LIMITED', 'Too many requests from this address.', { hint: 'wait a second, then go on' }))
  }
}
