import { z } from 'zod'
import { type Scope, scopes } from '../auth/scope.ts'
import { PrincipalName } from '../principals/principal-name.ts'
import { defaultPrincipalsDirectory, defaultTokenFile } from './http-settings.ts'
import { allSettings } from './settings.ts'
import { count, File, invalid, Lily, readVariable } from './values.ts'

/** What `token` is asked to do. */
export type TokenCommand =
  | { readonly action: 'list'; readonly file: string }
  | { readonly action: 'revoke'; readonly file: string; readonly tokenName: string }
  | {
      readonly action: 'add'
      readonly file: string
      readonly tokenName: string
      readonly scopes: readonly Scope[]
      readonly limits: Partial<Record<'perJob' | 'perDay' | 'total', bigint>>
      readonly expiresInDays?: number
      /** Where a key of its own is made; without one it spends from the server's wallet. */
      readonly keyFile?: string
    }

/** Flags that only `token add` has; the limits share their names with the server's. */
export const tokenFlags = {
  scope: { type: 'string', help: 'read, or spend: everything  [spend]' },
  'own-key': { type: 'boolean', help: "make a key that pays its jobs instead of the server's" },
  'expires-in-days': { type: 'string', help: 'days until the token ends  [never]' },
} as const

const Given = z.object({
  'state-dir': File.prefault('.lilypad/mcp'),
  'token-file': File.optional(),
  'principals-dir': File.optional(),
  'max-per-job': Lily.optional(),
  'max-per-day': Lily.optional(),
  'max-total': Lily.optional(),
  scope: z.enum(['read', 'spend']).default('spend'),
  'own-key': z.boolean().default(false),
  'expires-in-days': count(36_500)
    .refine((days) => days > 0, 'expected at least 1')
    .optional(),
})
const places = ['state-dir', 'token-file', 'principals-dir'] as const

/** Reads what follows `token`. Limits come from flags only: the variables are the server's own. @throws LilypadError CONFIG_INVALID */
export function readTokenCommand(
  words: readonly string[],
  flags: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string | undefined>>,
): TokenCommand {
  const fromEnv = Object.fromEntries(places.map((place) => [place, readVariable(env, allSettings[place].env)]))
  const parsed = Given.safeParse({ ...fromEnv, ...flags })
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw invalid(`--${issue?.path.join('.')}: ${issue?.message}`, 'run it with --help to see the settings')
  }
  const given = parsed.data
  const file = given['token-file'] ?? defaultTokenFile(given['state-dir'])
  const [action, name, ...rest] = words
  if (action === 'list' && name === undefined) return { action, file }
  const tokenName = PrincipalName.safeParse(name)
  if ((action !== 'add' && action !== 'revoke') || !tokenName.success || rest.length > 0)
    throw invalid(
      `Command: ${JSON.stringify(`token ${words.join(' ')}`.slice(0, 80))}`,
      '`token add <name>`, `token revoke <name>` or `token list`; a name has small letters, digits and dashes',
    )
  if (action === 'revoke') return { action, file, tokenName: tokenName.data }
  const limits = {
    ...(given['max-per-job'] === undefined ? {} : { perJob: given['max-per-job'] }),
    ...(given['max-per-day'] === undefined ? {} : { perDay: given['max-per-day'] }),
    ...(given['max-total'] === undefined ? {} : { total: given['max-total'] }),
  }
  const folder = `${given['principals-dir'] ?? defaultPrincipalsDirectory(given['state-dir'])}/${tokenName.data}`
  return {
    action,
    file,
    tokenName: tokenName.data,
    scopes: given.scope === 'read' ? ['lilypad:read'] : scopes,
    limits,
    ...(given['expires-in-days'] === undefined ? {} : { expiresInDays: given['expires-in-days'] }),
    ...(given['own-key'] ? { keyFile: `${folder}/key` } : {}),
  }
}
