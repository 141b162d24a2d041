import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { and, eq, isNull } from 'drizzle-orm'
import type { Database } from '../db/open-database.ts'
import { accounts, apiKeys, auditLog } from '../db/schema.ts'
import { AccountUnknownError } from './account-errors.ts'

/** Every key begins with it. */
export const keyPrefix = 'lp-'

/** A key as a request needs it. */
export type ApiKey = {
  readonly id: string
  readonly accountId: string
  readonly requestsPerMinute: number | null
}

const hashKey = (key: string) => createHash('sha256').update(key).digest('hex')

/**
 * Makes a key for an account. The key is in the answer and nowhere else.
 * @throws {@link AccountUnknownError}
 */
export async function createApiKey(
  database: Database,
  options: {
    readonly account: string
    readonly name: string
    /** Most it may ever spend, in base units. @default as much as the account has */
    readonly budget?: bigint | undefined
    readonly requestsPerMinute?: number | undefined
    readonly now: number
  },
): Promise<{ readonly id: string; readonly key: string }> {
  const { account, name, budget, requestsPerMinute, now } = options
  const key = `${keyPrefix}${randomBytes(32).toString('base64url')}`
  const id = `key_${randomUUID().replaceAll('-', '')}`
  await database.transaction(async (transaction) => {
    const [owner] = await transaction.select({ id: accounts.id }).from(accounts).where(eq(accounts.name, account))
    if (!owner) throw new AccountUnknownError(account)
    await transaction.insert(apiKeys).values({
      id,
      accountId: owner.id,
      name,
      hash: hashKey(key),
      hint: key.slice(-4),
      budget: budget ?? null,
      spent: 0n,
      reserved: 0n,
      requestsPerMinute: requestsPerMinute ?? null,
      createdAt: now,
    })
    const details = JSON.stringify({ account, name, budget: budget?.toString() ?? null })
    await transaction.insert(auditLog).values({ action: 'key.created', subject: id, details, createdAt: now })
  })
  return { id, key }
}

const columns = { id: apiKeys.id, accountId: apiKeys.accountId, requestsPerMinute: apiKeys.requestsPerMinute }

/** A key by its id, for whom the gateway knows by something else than the key. */
export async function findApiKeyById(database: Database, id: string): Promise<ApiKey | undefined> {
  const [found] = await database
    .select(columns)
    .from(apiKeys)
    .where(and(eq(apiKeys.id, id), isNull(apiKeys.revokedAt)))
  return found
}

/** The key that a request shows, unless it is none of ours or was revoked. */
export async function findApiKey(database: Database, key: string): Promise<ApiKey | undefined> {
  if (!key.startsWith(keyPrefix) || key.length > 100) return undefined
  const [found] = await database
    .select(columns)
    .from(apiKeys)
    .where(and(eq(apiKeys.hash, hashKey(key)), isNull(apiKeys.revokedAt)))
  return found
}

/** Makes a key useless from now on. Requests that run go on. Returns whether there was such a key in use. */
export async function revokeApiKey(database: Database, options: { readonly id: string; readonly now: number }) {
  const { id, now } = options
  return database.transaction(async (transaction) => {
    const revoked = await transaction
      .update(apiKeys)
      .set({ revokedAt: now })
      .where(and(eq(apiKeys.id, id), isNull(apiKeys.revokedAt)))
      .returning({ id: apiKeys.id })
    if (revoked.length > 0)
      await transaction.insert(auditLog).values({ action: 'key.revoked', subject: id, details: '{}', createdAt: now })
    return revoked.length > 0
  })
}
