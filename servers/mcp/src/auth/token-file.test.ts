import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { createTokenAuthenticator } from './token-authenticator.ts'
import { addToken, findToken, readTokenFile, revokeToken } from './token-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'lilypad-mcp-tokens-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let files = 0
const freshFile = () => join(folder, String(files++), 'tokens.json')
const entry = (name: string, change = {}) => ({
  name,
  scopes: ['lilypad:read' as const, 'lilypad:spend' as const],
  limits: { perDay: 5n },
  createdAt: 1_700_000_000,
  ...change,
})

test('a token is kept as its hash, in a file of its owner alone', () => {
  const path = freshFile()
  const token = addToken(path, entry('alice'))
  const other = addToken(path, entry('bob', { limits: {} }))
  expect(token).toMatch(/^lilypad_[\w-]{43}$/)
  const text = readFileSync(path, 'utf8')
  for (const secret of [token, other, token.slice(8)]) expect(text).not.toContain(secret)
  const tokens = readTokenFile(path)
  expect(findToken(tokens, token)).toMatchObject({ name: 'alice', limits: { perDay: 5n } })
  expect(findToken(tokens, other)?.name).toBe('bob')
  expect(findToken(tokens, `${token}x`)).toBeUndefined()
  expect(findToken(tokens, '')).toBeUndefined()
  expect(findToken([], token)).toBeUndefined()
  expect(existsSync(`${path}.new`)).toBe(false)
  chmodSync(path, 0o644)
  expect(() => readTokenFile(path)).toThrow(/read or changed by others/)
})

test('a name is taken until it is revoked', () => {
  const path = freshFile()
  const first = addToken(path, entry('alice'))
  expect(() => addToken(path, entry('alice'))).toThrow(/There is a token of this name/)
  revokeToken(path, 'alice')
  expect(() => revokeToken(path, 'alice')).toThrow(/no token of this name/)
  const second = addToken(path, entry('alice'))
  expect(findToken(readTokenFile(path), first)).toBeUndefined()
  expect(findToken(readTokenFile(path), second)?.name).toBe('alice')
})

test('two changes at once: the second is refused, and nothing is lost', () => {
  const path = freshFile()
  addToken(path, entry('alice'))
  writeFileSync(`${path}.new`, '')
  expect(() => addToken(path, entry('bob'))).toThrow(/cannot be changed now/)
  expect(readTokenFile(path).map(({ name }) => name)).toEqual(['alice'])
})

test.each([
  ['no JSON', '{'],
  ['another version', '{"version":2,"tokens":[]}'],
  ['a name that leaves the folder', '{"version":1,"tokens":[{"name":"../x","sha256":"00"}]}'],
])('a file with %s is refused, and what is in it is not told', (_what, text) => {
  const path = join(folder, `bad-${files++}`)
  writeFileSync(path, text, { mode: 0o600 })
  expect(() => readTokenFile(path)).toThrow(/does not hold tokens/)
})

test('callers are known from the moment of the change, and forgotten from the next', async () => {
  const path = freshFile()
  const authenticator = createTokenAuthenticator(path)
  await expect(authenticator.authenticate('lilypad_guess')).rejects.toThrow(/not known/)
  const token = addToken(path, entry('alice'))
  const caller = await authenticator.authenticate(token)
  expect(caller).toMatchObject({ principal: 'alice', mayHaveWallet: true, limits: { perDay: 5n } })
  expect(authenticator.isValid(caller)).toBe(true)
  revokeToken(path, 'alice')
  expect(authenticator.isValid(caller)).toBe(false)
  await expect(authenticator.authenticate(token)).rejects.toThrow(/not known/)
  // A new token under the old name does not bring the old one back.
  addToken(path, entry('alice'))
  expect(authenticator.isValid(caller)).toBe(false)
  const ended = addToken(path, entry('carol', { expiresAt: 1_700_000_001, scopes: ['lilypad:read'] }))
  await expect(authenticator.authenticate(ended)).rejects.toThrow(/expired/)
})
