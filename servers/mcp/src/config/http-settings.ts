import { join } from 'node:path'
import { z } from 'zod'
import { count, File, invalid, Lily, splitList } from './values.ts'

/** Who may call over HTTP, under which names the server is reached, and what each caller may use. */
export type HttpConfig = {
  /** Address to listen on. */
  readonly host: string
  /** Host names, without ports, that requests may name besides those of loopback. */
  readonly allowedHosts: readonly string[]
  /** Host names, without ports, of the web pages that may call; nothing keeps programs from calling. */
  readonly allowedOrigins: readonly string[]
  readonly auth: HttpAuth
  /** Where clients reach `/mcp`; the audience that access tokens must name. @default the address it listens on */
  readonly publicUrl?: string
  /** Proxies in front whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: number
  /** Calls a minute for each principal, and twice as many for each address. */
  readonly requestsPerMinute: number
  /** A folder for each principal: its state, its files, and its key when it has one. */
  readonly principalsDirectory: string
  /** Whether principals without a key of their own spend from the server's wallet. */
  readonly principalWallet: 'own' | 'shared'
  /** Most that a principal on the server's wallet may spend, in base units, when its token does not say less or more. */
  readonly principalLimits: { readonly perDay: bigint; readonly total: bigint }
}

/** How callers prove who they are. */
export type HttpAuth =
  | { readonly kind: 'none' }
  | { readonly kind: 'token'; readonly file: string }
  | { readonly kind: 'oauth'; readonly issuer: string; readonly jwksUrl?: string }

/** Settings that only `http` and `token` read, in the form of the others. */
export const httpSettings = {
  port: { env: 'LILYPAD_PORT', value: 'port', help: 'port to listen on; 0 takes a free one  [8601]' },
  host: { env: 'LILYPAD_HOST', value: 'address', help: 'address to listen on  [127.0.0.1]' },
  'allowed-hosts': {
    env: 'LILYPAD_ALLOWED_HOSTS',
    value: 'names',
    help: 'host names clients use, comma-separated  [loopback]',
  },
  'allowed-origins': {
    env: 'LILYPAD_ALLOWED_ORIGINS',
    value: 'names',
    help: 'host names of web pages that may call, comma-separated  [loopback]',
  },
  auth: { env: 'LILYPAD_AUTH', value: 'how', help: 'none, token or oauth; none only on loopback  [none]' },
  'token-file': {
    env: 'LILYPAD_TOKEN_FILE',
    value: 'file',
    help: 'hashes of tokens, kept by `token`  [<state-dir>/tokens.json]',
  },
  'oauth-issuer': { env: 'LILYPAD_OAUTH_ISSUER', value: 'url', help: 'authorization server whose tokens count' },
  'oauth-jwks-url': {
    env: 'LILYPAD_OAUTH_JWKS_URL',
    value: 'url',
    help: "its keys, when they are not on the issuer's own origin",
  },
  'public-url': {
    env: 'LILYPAD_PUBLIC_URL',
    value: 'url',
    help: 'address of /mcp as clients see it: the audience of OAuth tokens',
  },
  'trusted-proxies': {
    env: 'LILYPAD_TRUSTED_PROXIES',
    value: 'count',
    help: 'proxies in front whose X-Forwarded-For is believed  [0]',
  },
  'requests-per-minute': {
    env: 'LILYPAD_REQUESTS_PER_MINUTE',
    value: 'count',
    help: 'for each principal; twice that for each address  [300]',
  },
  'principals-dir': {
    env: 'LILYPAD_PRINCIPALS_DIR',
    value: 'folder',
    help: 'a folder for each principal  [<state-dir>/principals]',
  },
  'principal-wallet': {
    env: 'LILYPAD_PRINCIPAL_WALLET',
    value: 'how',
    help: "own: only principals with a key spend; shared: the others from the server's  [token: shared, oauth: own]",
  },
  'principal-max-per-day': {
    env: 'LILYPAD_PRINCIPAL_MAX_PER_DAY',
    value: 'LILY',
    help: "most a principal may spend of the server's wallet in 24 hours  [1]",
  },
  'principal-max-total': {
    env: 'LILYPAD_PRINCIPAL_MAX_TOTAL',
    value: 'LILY',
    help: "most a principal may ever spend of the server's wallet  [10]",
  },
} as const

const HostNames = z
  .string()
  .transform((text) => splitList(text.toLowerCase()))
  .pipe(z.array(z.string().regex(/^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)$/, 'expected names without scheme and port')))
const HttpUrl = z.url({ protocol: /^https?$/ })

/** What the settings may be. */
export const httpShape = {
  port: count(65_535).prefault('8601'),
  host: z.string().min(1).default('127.0.0.1'),
  'allowed-hosts': HostNames.prefault(''),
  'allowed-origins': HostNames.prefault(''),
  auth: z.enum(['none', 'token', 'oauth']).default('none'),
  'token-file': File.optional(),
  'oauth-issuer': HttpUrl.optional(),
  'oauth-jwks-url': HttpUrl.optional(),
  'public-url': HttpUrl.optional(),
  'trusted-proxies': count(10).prefault('0'),
  'requests-per-minute': count(1_000_000)
    .refine((given) => given > 0, 'expected at least 1')
    .prefault('300'),
  'principals-dir': File.optional(),
  'principal-wallet': z.enum(['own', 'shared']).optional(),
  'principal-max-per-day': Lily.prefault('1'),
  'principal-max-total': Lily.prefault('10'),
} satisfies { readonly [name in keyof typeof httpSettings]: z.ZodType }

/** What was set, as the server reads it. @throws LilypadError CONFIG_INVALID */
export function toHttpConfig(given: z.output<z.ZodObject<typeof httpShape>>, stateDirectory: string): HttpConfig {
  const publicUrl = given['public-url']
  return {
    host: given.host,
    allowedHosts: given['allowed-hosts'],
    allowedOrigins: given['allowed-origins'],
    auth: toAuth(given, stateDirectory),
    ...(publicUrl === undefined ? {} : { publicUrl: new URL(publicUrl).href }),
    trustedProxies: given['trusted-proxies'],
    requestsPerMinute: given['requests-per-minute'],
    principalsDirectory: given['principals-dir'] ?? defaultPrincipalsDirectory(stateDirectory),
    principalWallet: given['principal-wallet'] ?? (given.auth === 'oauth' ? 'own' : 'shared'),
    principalLimits: { perDay: given['principal-max-per-day'], total: given['principal-max-total'] },
  }
}

export const defaultTokenFile = (stateDirectory: string): string => join(stateDirectory, 'tokens.json')
export const defaultPrincipalsDirectory = (stateDirectory: string): string => join(stateDirectory, 'principals')

function toAuth(given: z.output<z.ZodObject<typeof httpShape>>, stateDirectory: string): HttpAuth {
  const { auth, 'oauth-issuer': issuer, 'oauth-jwks-url': jwksUrl, 'token-file': file } = given
  if (auth === 'none') return { kind: 'none' }
  if (auth === 'token') return { kind: 'token', file: file ?? defaultTokenFile(stateDirectory) }
  if (issuer === undefined)
    throw invalid('--auth oauth needs --oauth-issuer', 'name the authorization server whose tokens count')
  for (const [name, url] of [
    ['oauth-issuer', issuer],
    ['oauth-jwks-url', jwksUrl],
  ] as const)
    if (url !== undefined && !isSafeUrl(url))
      throw invalid(`--${name}: ${url.slice(0, 200)}`, 'use https; plain http is for loopback only')
  return { kind: 'oauth', issuer, ...(jwksUrl === undefined ? {} : { jwksUrl }) }
}

/** Whether nobody on the way can read or change what is fetched from a URL. */
export function isSafeUrl(url: string): boolean {
  const { protocol, hostname } = new URL(url)
  return protocol === 'https:' || isLoopback(hostname)
}

/** Whether only this machine reaches a host. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '')
  return bare === 'localhost' || bare === '::1' || /^127(\.\d{1,3}){3}$/.test(bare)
}

/**
 * Refuses to be reachable from elsewhere without knowing who calls and under which name: whoever gets in can spend.
 * @throws LilypadError CONFIG_INVALID
 */
export function assertSafeExposure({ host, allowedHosts, auth, publicUrl }: HttpConfig): void {
  const isLocal =
    isLoopback(host) && allowedHosts.every(isLoopback) && (!publicUrl || isLoopback(new URL(publicUrl).hostname))
  if (isLocal) return
  if (auth.kind === 'none')
    throw invalid(
      `Listens on: ${host}   Hosts: ${allowedHosts.join(', ') || 'any'}   Login: none`,
      'add --auth token or --auth oauth; without a login only loopback is served',
    )
  if (allowedHosts.length === 0)
    throw invalid(
      `Listens on: ${host}   Hosts: none named`,
      'add --allowed-hosts with the names under which clients reach it, such as mcp.example.com',
    )
  if (publicUrl !== undefined && !isSafeUrl(publicUrl))
    throw invalid(`--public-url: ${publicUrl}`, 'tokens travel to it: use https, which a proxy in front can speak')
  if (auth.kind === 'oauth' && publicUrl === undefined)
    throw invalid(
      '--auth oauth needs --public-url',
      'name the address of /mcp as clients see it; it is the audience their tokens must name',
    )
}
