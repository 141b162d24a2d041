import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, statSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { LilypadError } from '@lilypad-agents/protocol'
import { z } from 'zod'
import { PrincipalName } from '../principals/principal-name.ts'
import { scopes } from './scope.ts'

const Amount = z.codec(z.string().regex(/^\d{1,78}$/), z.bigint(), { decode: BigInt, encode: String })
const StoredToken = z.strictObject({
  name: PrincipalName,
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  scopes: z.array(z.enum(scopes)).min(1),
  limits: z.strictObject({
    perJob: Amount.exactOptional(),
    perDay: Amount.exactOptional(),
    total: Amount.exactOptional(),
  }),
  /** Unix seconds. */
  createdAt: z.int(),
  expiresAt: z.int().optional(),
})
const TokenFile = z.strictObject({ version: z.literal(1), tokens: z.array(StoredToken).max(10_000) })

/** A token as it is kept: who it stands for and what it allows, not the token. */
export type StoredToken = z.output<typeof StoredToken>

// Scanners for leaked secrets find tokens by such a prefix.
const prefix = 'lilypad_'

const digest = (token: string): Buffer => createHash('sha256').update(token).digest()

/**
 * Reads the tokens of a file; a file that is not there has none.
 * @throws LilypadError CONFIG_INVALID
 */
export function readTokenFile(path: string): readonly StoredToken[] {
  let text: string
  try {
    if (process.platform !== 'win32' && (statSync(path).mode & 0o077) !== 0)
      throw new LilypadError('CONFIG_INVALID', 'The token file can be read or changed by others.', {
        details: [`File: ${path}`],
        hint: 'make it its owner’s alone: chmod 600',
      })
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (LilypadError.is(error)) throw error
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw new LilypadError('CONFIG_INVALID', 'The token file cannot be read.', {
      details: [`File: ${path}`],
      cause: error,
    })
  }
  try {
    return z.decode(TokenFile, JSON.parse(text)).tokens
  } catch {
    throw new LilypadError('CONFIG_INVALID', 'The token file does not hold tokens.', {
      details: [`File: ${path}`],
      hint: 'move it away and add the tokens again with `lilypad-mcp token add`',
    })
  }
}

/**
 * Makes a token and keeps its hash. A name is taken until it is revoked.
 * @returns the token; nobody can read it again
 * @throws LilypadError CONFIG_INVALID
 */
export function addToken(path: string, entry: Omit<StoredToken, 'sha256'>): string {
  const token = `${prefix}${randomBytes(32).toString('base64url')}`
  changeTokenFile(path, (tokens) => {
    if (tokens.some(({ name }) => name === entry.name))
      throw new LilypadError('CONFIG_INVALID', 'There is a token of this name.', {
        details: [`Name: ${entry.name}`],
        hint: `revoke it first, \`lilypad-mcp token revoke ${entry.name}\`; its jobs and what it has spent stay`,
      })
    return [...tokens, { ...entry, sha256: digest(token).toString('hex') }]
  })
  return token
}

/**
 * Forgets a token, so that its bearer is refused.
 * @throws LilypadError CONFIG_INVALID when there is none of that name
 */
export function revokeToken(path: string, name: string): void {
  changeTokenFile(path, (tokens) => {
    const left = tokens.filter((token) => token.name !== name)
    if (left.length < tokens.length) return left
    throw new LilypadError('CONFIG_INVALID', 'There is no token of this name.', {
      details: [`Name: ${name}   Names: ${tokens.map((token) => token.name).join(', ') || 'none'}`],
      hint: '`lilypad-mcp token list` shows them',
    })
  })
}

/** The entry of a token. Every entry is compared in constant time, so that the time tells nothing about any of them. */
export function findToken(tokens: readonly StoredToken[], token: string): StoredToken | undefined {
  const given = digest(token)
  return tokens.reduce<StoredToken | undefined>(
    (found, entry) => (timingSafeEqual(given, Buffer.from(entry.sha256, 'hex')) ? entry : found),
    undefined,
  )
}

/** Writes the changed list beside the old one and puts it in its place; the new file is also the lock. */
function changeTokenFile(path: string, change: (tokens: readonly StoredToken[]) => readonly StoredToken[]): void {
  const next = `${path}.new`
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const tokens = change(readTokenFile(path))
  let file: number
  try {
    file = openSync(next, 'wx', 0o600)
  } catch (error) {
    throw new LilypadError('CONFIG_INVALID', 'The token file cannot be changed now.', {
      details: [`File: ${next}`],
      hint: 'wait for the other command; if none is running, delete this file',
      cause: error,
    })
  }
  try {
    writeSync(file, `${JSON.stringify(z.encode(TokenFile, { version: 1, tokens: [...tokens] }), undefined, 2)}\n`)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(next, path)
}
