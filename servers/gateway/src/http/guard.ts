import { randomUUID } from 'node:crypto'
import type { RequestHandler } from 'express'
import { LilypadError } from '@lilypad-agents/protocol'

/** Who may be named in `Host`, and pages of which origins may call. `*` is anyone. */
export type DoorRules = { readonly hosts: readonly string[]; readonly origins: readonly string[] }

const exposed = [
  'x-request-id',
  'x-generation-id',
  'x-lilypad-job',
  'x-lilypad-receipt',
  'x-lilypad-cost',
  'x-lilypad-replayed',
  'x-lilypad-next-cursor',
  'x-ratelimit-limit-requests',
  'x-ratelimit-remaining-requests',
  'retry-after',
  'payment-required',
  'payment-response',
]

/**
 * Gives each request an id, and turns away those that name another host, so that no web site reaches a gateway on its reader's
 * machine by a name of its own. Pages of other origins get an answer they may read only where the operator allows it.
 */
export function guardDoor({ hosts, origins }: DoorRules): RequestHandler {
  return (request, response, next) => {
    response.setHeader('x-request-id', `req_${randomUUID().replaceAll('-', '')}`)
    response.setHeader('x-content-type-options', 'nosniff')
    response.setHeader('cache-control', 'no-store')
    if (!hosts.includes('*') && !hosts.includes(hostName(request.headers.host)))
      return next(
        new LilypadError('ADDRESS_NOT_ALLOWED', 'This gateway is not served under this name.', {
          hint: 'the operator names the hosts with `--allow-host`',
        }),
      )
    const { origin } = request.headers
    const isAllowed = origin !== undefined && (origins.includes('*') || origins.includes(origin))
    if (isAllowed) {
      response.setHeader('access-control-allow-origin', origins.includes('*') ? '*' : origin)
      response.setHeader('access-control-expose-headers', exposed.join(', '))
      response.setHeader('vary', 'origin')
    }
    if (request.method !== 'OPTIONS') return next()
    if (isAllowed) {
      response.setHeader('access-control-allow-methods', 'GET, POST, DELETE')
      // No cookie gives anything here, so a page may send what it wants to.
      response.setHeader('access-control-allow-headers', request.get('access-control-request-headers') ?? '')
      response.setHeader('access-control-max-age', '86400')
    }
    response.status(204).end()
  }
}

/** `Host` without its port, in lower case. */
function hostName(host: string | undefined): string {
  return (host ?? '').toLowerCase().replace(/:\d*$/, '')
}
