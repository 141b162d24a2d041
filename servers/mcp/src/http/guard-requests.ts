import type { IncomingMessage, ServerResponse } from 'node:http'
import { hostHeaderValidation, originValidation } from '@modelcontextprotocol/node'
import { localhostAllowedHostnames, localhostAllowedOrigins } from '@modelcontextprotocol/server'
import { type HttpConfig, isLoopback } from '../config/http-settings.ts'

const corsMaxAgeSeconds = '600'
const allowedHeaders =
  'authorization, content-type, accept, mcp-protocol-version, mcp-method, mcp-name, mcp-session-id, last-event-id'

/**
 * Lets requests through that name a host of ours and, when a web page sends them, come from a page that may. Answers the others, and
 * the questions of browsers, itself. @returns whether the request goes on
 */
export function guardRequests(
  http: Pick<HttpConfig, 'host' | 'allowedHosts' | 'allowedOrigins'>,
): (request: IncomingMessage, response: ServerResponse) => boolean {
  const { host, allowedHosts, allowedOrigins } = http
  const isAllowedHost = hostHeaderValidation([...localhostAllowedHostnames(), ...allowedHosts])
  const isAllowedOrigin = originValidation([...(isLoopback(host) ? localhostAllowedOrigins() : []), ...allowedOrigins])

  return (request, response) => {
    if (!isAllowedHost(request, response) || !isAllowedOrigin(request, response)) return false
    const { origin } = request.headers
    // Only pages that the owner has named may read answers; those on this machine need no more than not being refused.
    if (!origin || !allowedOrigins.includes(URL.parse(origin)?.hostname ?? '')) return true
    response.setHeader('access-control-allow-origin', origin)
    response.setHeader('access-control-expose-headers', 'mcp-session-id, www-authenticate, retry-after')
    response.setHeader('vary', 'origin')
    if (request.method !== 'OPTIONS') return true
    response.writeHead(204, {
      'access-control-allow-methods': 'GET, POST, DELETE',
      'access-control-allow-headers': allowedHeaders,
      'access-control-max-age': corsMaxAgeSeconds,
    })
    response.end()
    return false
  }
}
