import { createSigner, type LilypadError } from '@lilypad-agents/protocol'
import { formatTokenAmount } from '@lilypad-agents/sdk'
import { writeKeyFile } from '@lilypad-agents/sdk/node'
import { addToken, readTokenFile, revokeToken, type StoredToken } from '../auth/token-file.ts'
import type { TokenCommand } from '../config/token-command.ts'

const secondsADay = 86_400

/**
 * Adds, lists or revokes tokens. @returns the lines for the person who asked; the first of a new token is the token
 * @throws {@link LilypadError} CONFIG_INVALID
 */
export function runTokenCommand(command: TokenCommand, now = new Date()): readonly string[] {
  switch (command.action) {
    case 'list': {
      const tokens = readTokenFile(command.file)
      return tokens.length === 0 ? [`There is no token in ${command.file}.`] : tokens.map(describe)
    }
    case 'revoke':
      revokeToken(command.file, command.tokenName)
      return [`${command.tokenName} is revoked. Its jobs, and what it has spent, stay in its folder.`]
    case 'add':
      return add(command, Math.floor(now.getTime() / 1000))
  }
}

function add(command: TokenCommand & { readonly action: 'add' }, createdAt: number): readonly string[] {
  const { tokenName, scopes, limits, expiresInDays, keyFile, file } = command
  const key = keyFile === undefined ? undefined : createSigner(writeKeyFile(keyFile)).address
  const token = addToken(file, {
    name: tokenName,
    scopes: [...scopes],
    limits,
    createdAt,
    ...(expiresInDays === undefined ? {} : { expiresAt: createdAt + expiresInDays * secondsADay }),
  })
  return [
    token,
    `This is the token of ${tokenName}. It is not shown again.`,
    ...(key === undefined
      ? []
      : [
          `Its key: ${key}. Deposit for it, or put a grant for it beside it: ${keyFile?.replace(/key$/, 'grant.json')}`,
        ]),
  ]
}

function describe({ name, scopes, limits, expiresAt }: StoredToken): string {
  const bounds = Object.entries(limits).map(([limit, amount]) => `${limit} ${formatTokenAmount(amount)}`)
  const end = expiresAt === undefined ? 'no end' : `until ${new Date(expiresAt * 1000).toISOString()}`
  return [name, scopes.join(' '), bounds.join(', ') || 'limits of the server', end].join('  ')
}
