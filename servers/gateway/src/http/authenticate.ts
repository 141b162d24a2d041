import type { Request, RequestHandler, Response } from 'express'
import { LilypadError } from '@lilypad-agents/protocol'
import { KeyRefusedError } from '../account/account-errors.ts'
import { type ApiKey, findApiKey, keyPrefix } from '../account/api-key.ts'
import { type GatewayContext, nowSeconds } from '../context.ts'
import type { BodyRoom } from './body-room.ts'
import { createRateLimit } from './rate-limit.ts'

/** The key with which a request was let in. */
export function callerOf(response: Response): ApiKey {
  const key = response.locals.apiKey as ApiKey | undefined
  if (!key) throw new KeyRefusedError()
  return key
}

/** Wrong keys that one address may show in a minute: none can be guessed, and nobody else should pay for the tries. */
const wrongKeysPerMinute = 60

/**
 * Lets in requests that show a key of ours, as often as the key may. Nothing of a body was read before. Where requests may pay for
 * themselves, one without a key goes on while there is room for its body.
 */
export function authenticate(context: GatewayContext, room: BodyRoom): RequestHandler {
  const perKey = createRateLimit()
  const perAddress = createRateLimit()
  return async (request, response, next) => {
    const address = request.socket.remoteAddress ?? ''
    const waitForAddress = perAddress.secondsUntilFree(address, wrongKeysPerMinute)
    if (waitForAddress > 0) throw tooMany(response, waitForAddress)
    const shown = shownKey(request)
    // Clients want some key to be set: one that cannot be ours is none, and its request may pay for itself.
    if (context.x402 && !shown?.startsWith(keyPrefix)) return room.enter(request, response, next)
    const key = shown === undefined ? undefined : await findApiKey(context.database, shown, nowSeconds(context))
    if (!key) {
      perAddress.take(address, wrongKeysPerMinute)
      throw new KeyRefusedError()
    }
    const perMinute = key.requestsPerMinute ?? context.rules.requestsPerMinute
    const wait = perKey.take(key.id, perMinute)
    response.setHeader('x-ratelimit-limit-requests', String(perMinute))
    response.setHeader('x-ratelimit-remaining-requests', String(perKey.left(key.id, perMinute)))
    if (wait > 0) throw tooMany(response, wait)
    response.locals.apiKey = key
    next()
  }
}

/** Requests without a key that one address may make in a minute; each may ask the solver. */
const openRequestsPerMinute = 6000

/** Bounds what an address may ask for without a key. */
export function limitAddress(): RequestHandler {
  const limit = createRateLimit()
  return (request, response, next) => {
    const wait = limit.take(request.socket.remoteAddress ?? '', openRequestsPerMinute)
    if (wait > 0) throw tooMany(response, wait)
    next()
  }
}

function shownKey(request: Request): string | undefined {
  const bearer = /^Bearer +(\S+) *$/i.exec(request.get('authorization') ?? '')?.[1]
  return bearer ?? request.get('x-api-key')
}

function tooMany(response: Response, seconds: number): LilypadError {
  response.setHeader('retry-after', String(seconds))
  return new LilypadError('RATE_LIMITED', 'Too many requests.', { hint: `wait ${seconds} s, then go on` })
}
