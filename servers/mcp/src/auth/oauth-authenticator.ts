import { createHash } from 'node:crypto'
import { LilypadError } from '@lilypad-agents/protocol'
import { OAuthError, OAuthErrorCode } from '@modelcontextprotocol/server'
import { errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose'
import { scopes } from './scope.ts'
import type { Authenticator } from './caller.ts'
import { IssuerUnreachableError } from './fetch-issuer.ts'

// Signatures that only the issuer can make; a shared secret would let every resource server mint tokens.
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']
const clockToleranceSeconds = 5
const maxTokenCharacters = 8192

/**
 * Knows callers by JWT access tokens (RFC 9068) of one issuer, made for this server (RFC 8707). The subject is the principal. Nothing of
 * a token is passed on to anyone.
 */
export function createOAuthAuthenticator(options: {
  readonly issuer: string
  /** The audience that tokens must name: the public address of the server. */
  readonly resource: () => string
  readonly keys: JWTVerifyGetKey
}): Authenticator {
  const { issuer, resource, keys } = options

  async function verify(token: string): Promise<JWTPayload> {
    if (token.length > maxTokenCharacters) throw new OAuthError(OAuthErrorCode.InvalidToken, 'The token is too long')
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer,
        audience: [resource(), resource().replace(/\/$/, '')],
        algorithms,
        requiredClaims: ['sub', 'exp'],
        clockTolerance: clockToleranceSeconds,
      })
      return payload
    } catch (error) {
      throw toAuthError(error, issuer)
    }
  }

  return {
    async authenticate(token) {
      const payload = await verify(token)
      const { sub, exp } = payload
      if (!sub || exp === undefined)
        throw new OAuthError(OAuthErrorCode.InvalidToken, 'The token names no subject or end')
      // Taken as a plain token, one that is bound to its sender's key would be worth more to a thief than it should be.
      if (payload.cnf !== undefined)
        throw new OAuthError(OAuthErrorCode.InvalidToken, 'Sender-constrained tokens are not supported')
      return {
        principal: principalOf(issuer, sub),
        scopes: scopes.filter((scope) => grantedScopes(payload).includes(scope)),
        mayHaveWallet: true,
        limits: {},
        expiresAt: exp,
      }
    },
    isValid: ({ expiresAt }) => expiresAt !== undefined && expiresAt > Date.now() / 1000,
  }
}

/** The folder of a subject: a digest, because a subject may be any text. */
export function principalOf(issuer: string, subject: string): string {
  return `sub-${createHash('sha256').update(`${issuer}\0${subject}`).digest('hex').slice(0, 32)}`
}

/** Scopes as RFC 9068 writes them, and as the servers do that call them `scp`. */
function grantedScopes({ scope, scp }: JWTPayload): readonly unknown[] {
  return [scope, scp].flatMap((given) =>
    typeof given === 'string' ? given.split(' ') : Array.isArray(given) ? given : [],
  )
}

/** What is wrong with a token, in words that hold nothing of it. */
function toAuthError(error: unknown, issuer: string): Error {
  if (LilypadError.is(error)) return error
  if (error instanceof errors.JWTExpired) return new OAuthError(OAuthErrorCode.InvalidToken, 'The token has expired')
  if (error instanceof errors.JWTClaimValidationFailed)
    return new OAuthError(
      OAuthErrorCode.InvalidToken,
      `The token's ${claimName(error.claim)} is not the one expected here`,
    )
  if (error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid)
    return new IssuerUnreachableError(issuer, 'its keys could not be read', error)
  if (error instanceof errors.JOSEError && error.code === 'ERR_JOSE_GENERIC')
    return new IssuerUnreachableError(issuer, 'its keys could not be fetched', error)
  return new OAuthError(OAuthErrorCode.InvalidToken, 'The token is not one of this issuer')
}

const claimName = (claim: string): string =>
  ['iss', 'aud', 'sub', 'exp', 'nbf', 'iat'].includes(claim) ? claim : 'claim'
