import type { IncomingMessage, ServerResponse } from 'node:http'
import { LilypadError } from '@lilypad-agents/protocol'
import {
  bearerAuthChallengeResponse,
  getOAuthProtectedResourceMetadataUrl,
  OAuthError,
  OAuthErrorCode,
} from '@modelcontextprotocol/server'
import { type Scope, scopes } from './scope.ts'
import { refuse } from '../http/refusal.ts'
import type { Authenticator, Caller } from './caller.ts'

/** Lets callers in by the bearer token of their request. */
export type BearerGate = {
  /** Who calls; undefined when the request was answered with a challenge. */
  admit(request: IncomingMessage, response: ServerResponse): Promise<Caller | undefined>
  /** Whether the caller's token allows this; answers with a challenge when it does not. */
  permit(caller: Caller, scope: Scope, response: ServerResponse): boolean
  /** Answers requests for the metadata of this resource (RFC 9728). @returns whether this was one */
  serveMetadata(request: IncomingMessage, response: ServerResponse): boolean
}

/** Makes the gate. With an issuer, challenges and metadata lead clients to it. */
export function createBearerGate(options: {
  readonly authenticator: Authenticator
  readonly issuer?: string
  /** The address of this resource as clients see it. */
  readonly resource: () => string
  /** Told about each request that is refused, with the code of the reason. */
  readonly onRefused: (request: IncomingMessage, code: string) => void
}): BearerGate {
  const { authenticator, issuer, resource, onRefused } = options

  function challenge(response: ServerResponse, error: OAuthError, requiredScopes: readonly Scope[]): Promise<void> {
    const answer = bearerAuthChallengeResponse(error, {
      requiredScopes: [...requiredScopes],
      ...(issuer === undefined
        ? {}
        : { resourceMetadataUrl: getOAuthProtectedResourceMetadataUrl(new URL(resource())) }),
    })
    response.writeHead(answer.status, Object.fromEntries(answer.headers))
    return answer.text().then((text) => void response.end(text))
  }

  return {
    async admit(request, response) {
      try {
        return await authenticator.authenticate(readToken(request.headers.authorization))
      } catch (error) {
        request.resume()
        if (error instanceof OAuthError) {
          onRefused(request, error.code.toUpperCase())
          await challenge(response, error, ['lilypad:read'])
          return undefined
        }
        if (!LilypadError.is(error) || !error.retryable) throw error
        onRefused(request, error.code)
        const { row, shortMessage, hint, code, retryable } = error
        refuse(response, {
          status: row.http,
          code: row.http,
          message: shortMessage,
          headers: { 'retry-after': '10' },
          data: { code, retryable, fix: hint ?? 'try again later' },
        })
        return undefined
      }
    },
    permit(caller, scope, response) {
      if (caller.scopes.includes(scope)) return true
      const error = new OAuthError(OAuthErrorCode.InsufficientScope, `This needs the scope ${scope}`)
      // All of them, because a client asks for a new token with exactly these.
      void challenge(response, error, scope === 'lilypad:spend' ? scopes : ['lilypad:read'])
      return false
    },
    serveMetadata(request, response) {
      if (issuer === undefined) return false
      const path = request.url?.split('?', 1)[0]
      const wellKnown = '/.well-known/oauth-protected-resource'
      const ours = [
        wellKnown,
        `${wellKnown}/mcp`,
        new URL(getOAuthProtectedResourceMetadataUrl(new URL(resource()))).pathname,
      ]
      if (request.method !== 'GET' || path === undefined || !ours.includes(path)) return false
      response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'max-age=3600' })
      response.end(
        JSON.stringify({
          resource: resource(),
          authorization_servers: [issuer],
          scopes_supported: scopes,
          bearer_methods_supported: ['header'],
          resource_name: 'Lilypad MCP server',
        }),
      )
      return true
    },
  }
}

/** @throws OAuthError when the request has none */
function readToken(authorization: string | undefined): string {
  if (authorization === undefined) throw new OAuthError(OAuthErrorCode.InvalidToken, 'A bearer token is needed')
  const token = /^bearer +([\w.~+/-]+=*)$/i.exec(authorization.trim())?.[1]
  if (token === undefined)
    throw new OAuthError(OAuthErrorCode.InvalidToken, 'The Authorization header holds no bearer token')
  return token
}
