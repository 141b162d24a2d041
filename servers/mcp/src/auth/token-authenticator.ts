import { statSync } from 'node:fs'
import { OAuthError, OAuthErrorCode } from '@modelcontextprotocol/server'
import type { Authenticator, Caller } from './caller.ts'
import { findToken, readTokenFile, type StoredToken } from './token-file.ts'

/**
 * Knows callers by the tokens of a file. A change of the file counts from the next request on.
 * @throws LilypadError CONFIG_INVALID when the file cannot be read
 */
export function createTokenAuthenticator(path: string): Authenticator {
  let seen = ''
  let tokens: readonly StoredToken[] = []
  const hashes = new WeakMap<Caller, string>()

  function readChanges(): readonly StoredToken[] {
    const stat = statSync(path, { throwIfNoEntry: false })
    const state = stat ? `${stat.ino} ${stat.size} ${stat.mtimeMs}` : ''
    if (state !== seen) {
      tokens = readTokenFile(path)
      seen = state
    }
    return tokens
  }

  readChanges()
  return {
    async authenticate(token) {
      const found = findToken(readChanges(), token)
      if (!found) throw new OAuthError(OAuthErrorCode.InvalidToken, 'The token is not known here')
      const { name, limits, expiresAt, sha256 } = found
      if (hasEnded(expiresAt)) throw new OAuthError(OAuthErrorCode.InvalidToken, 'The token has expired')
      const mayHaveWallet = found.scopes.includes('lilypad:spend')
      const caller = { principal: name, scopes: found.scopes, mayHaveWallet, limits, expiresAt }
      hashes.set(caller, sha256)
      return caller
    },
    isValid(caller) {
      const sha256 = hashes.get(caller)
      return !hasEnded(caller.expiresAt) && readChanges().some((token) => token.sha256 === sha256)
    },
  }
}

const hasEnded = (expiresAt: number | undefined): boolean => expiresAt !== undefined && expiresAt <= Date.now() / 1000
