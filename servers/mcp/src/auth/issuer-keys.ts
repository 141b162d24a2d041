import { createRemoteJWKSet, customFetch, type JWTVerifyGetKey } from 'jose'
import { z } from 'zod'
import { isSafeUrl } from '../config/http-settings.ts'
import { fetchIssuer, IssuerUnreachableError } from './fetch-issuer.ts'

const cacheMilliseconds = 10 * 60 * 1000
// Somebody who sends made-up key ids or comes while the issuer is away causes no more than one question in this time.
const cooldownMilliseconds = 10_000

const Metadata = z.object({ issuer: z.string(), jwks_uri: z.url() })

/**
 * The keys with which an issuer signs, found through its metadata (RFC 8414, then OpenID Connect) and kept for ten minutes. They are
 * fetched from the origin of the issuer or from the address that the owner has named, from nowhere else.
 * @throws {@link IssuerUnreachableError} while they cannot be had
 */
export function createIssuerKeys(options: { readonly issuer: string; readonly jwksUrl?: string }): JWTVerifyGetKey {
  const { issuer, jwksUrl } = options
  let opened: Promise<JWTVerifyGetKey> | undefined
  let failedAt = Number.NEGATIVE_INFINITY

  async function open(): Promise<JWTVerifyGetKey> {
    return createRemoteJWKSet(new URL(jwksUrl ?? (await findKeysUrl(issuer))), {
      cacheMaxAge: cacheMilliseconds,
      cooldownDuration: cooldownMilliseconds,
      [customFetch]: (url: string) => fetchIssuer(url),
    })
  }

  return async (header, token) => {
    if (!opened && performance.now() - failedAt < cooldownMilliseconds)
      throw new IssuerUnreachableError(issuer, 'it did not answer a moment ago')
    opened ??= open()
    const keys = await opened.catch((error: unknown) => {
      opened = undefined
      failedAt = performance.now()
      throw error
    })
    return keys(header, token)
  }
}

async function findKeysUrl(issuer: string): Promise<string> {
  for (const url of metadataUrls(issuer)) {
    const response = await fetchIssuer(url)
    if (response.status !== 200) continue
    const metadata = Metadata.safeParse(await response.json().catch(() => undefined))
    // Another issuer's metadata under this address would let that one sign for this one.
    if (!metadata.success || metadata.data.issuer !== issuer)
      throw new IssuerUnreachableError(url, 'its metadata is not of this issuer')
    const { jwks_uri: keys } = metadata.data
    if (new URL(keys).origin !== new URL(issuer).origin || !isSafeUrl(keys))
      throw new IssuerUnreachableError(
        keys,
        'its keys are elsewhere; the owner can name that address with --oauth-jwks-url',
      )
    return keys
  }
  throw new IssuerUnreachableError(issuer, 'it has no metadata')
}

/** Where RFC 8414 and OpenID Connect Discovery put the metadata of an issuer. */
export function metadataUrls(issuer: string): readonly string[] {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/, '')
  return [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}/.well-known/openid-configuration${path}`,
    ...(path ? [`${origin}${path}/.well-known/openid-configuration`] : []),
  ]
}
