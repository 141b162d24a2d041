import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Caller } from '../auth/caller.ts'
import type { McpConfig } from '../config/config.ts'
import type { HttpConfig } from '../config/http-settings.ts'
import { leastLimits, limitPolicy } from '../config/policy.ts'
import { readWallet } from '../config/read-wallet.ts'
import type { Allotments } from './allotments.ts'

/** Under what terms a principal's app is opened: for a call, as its token says; to finish old jobs, with what it had. */
export type PrincipalTerms =
  | ({
      readonly kind: 'call'
      /** Whether a share of the wallet is put aside for it. One that has a share already keeps it in any case. */
      readonly takesShare: boolean
    } & Pick<Caller, 'limits' | 'mayHaveWallet'>)
  | { readonly kind: 'resume' }

/**
 * The configuration of one principal's server: its own folders, limits that are the least of the server's and its token's, and its own
 * key, or its share of the server's wallet, or none: then it reads only.
 * @throws LilypadError CONFIG_INVALID when its key or grant cannot be read
 */
export function toPrincipalConfig(options: {
  readonly server: McpConfig
  readonly http: HttpConfig
  readonly principal: string
  readonly terms: PrincipalTerms
  readonly allotments: Allotments
}): McpConfig {
  const { server, http, principal, terms, allotments } = options
  const limits = terms.kind === 'call' ? terms.limits : {}
  const { signer, grant, inputDirectory, outputDirectory, http: _http, ...rest } = server
  const folder = join(http.principalsDirectory, principal)
  const config: McpConfig = {
    ...rest,
    principal,
    stateDirectory: join(folder, 'state'),
    policy: { ...server.policy, ...leastLimits(server.policy, limits) },
    ...(inputDirectory ? { inputDirectory: join(inputDirectory, principal) } : {}),
    ...(outputDirectory ? { outputDirectory: join(outputDirectory, principal) } : {}),
  }
  if (terms.kind === 'call' && !terms.mayHaveWallet) return config
  const keyFile = join(folder, 'key')
  if (existsSync(keyFile)) {
    const grantFile = join(folder, 'grant.json')
    const own = readWallet(
      { mode: server.mode, 'key-file': keyFile, ...(existsSync(grantFile) ? { 'grant-file': grantFile } : {}) },
      server.network,
    )
    return { ...config, ...own, policy: limitPolicy(config.policy, own.grant) }
  }
  if (!signer || http.principalWallet === 'own') return config
  const wanted = leastLimits(config.policy, { ...http.principalLimits, ...limits })
  const share =
    terms.kind === 'resume'
      ? allotments.find(principal)
      : terms.takesShare
        ? allotments.allot(principal, wanted)
        : // It sees what it could do with a token that may spend, and nothing is put aside for it.
          { perDay: 0n, total: 0n }
  if (!share) return config
  return { ...config, signer, ...(grant ? { grant } : {}), policy: { ...config.policy, ...share } }
}

/**
 * Whether a call puts a share of the wallet aside, or uses one that is put aside: those who may only read could otherwise, many together,
 * take every share, which never shrinks.
 */
export function takesShare(
  { principal, scopes }: Pick<Caller, 'principal' | 'scopes'>,
  { http, allotments }: { readonly http: HttpConfig; readonly allotments: Pick<Allotments, 'find'> },
): boolean {
  const hasOwnKey = http.principalWallet === 'own' || existsSync(join(http.principalsDirectory, principal, 'key'))
  return scopes.includes('lilypad:spend') || hasOwnKey || allotments.find(principal) !== undefined
}
