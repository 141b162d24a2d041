import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { and, eq, gt, isNull, or } from 'drizzle-orm'
import { LilypadError } from '@lilypad-agents/protocol'
import type { Database, Transaction } from '../db/open-database.ts'
import { accounts, apiKeys, auditLog } from '../db/schema.ts'
import { AccountUnknownError } from './account-errors.ts'

/** Every key begins with it. */
export const keyPrefix = 'lp-'

/** A key as a request needs it. */
export type ApiKey = {
  readonly id: string
  readonly accountId: string
  readonly requestsPerMinute: number | null
  /** Models and modules it may use; null for all. */
  readonly models: readonly string[] | null
}

/** What bounds a key; what is not given is not bounded. Amounts in base units of LILY, times in Unix seconds. */
export type KeyLimits = {
  /** Most it may ever spend. */
  readonly budget?: bigint | undefined
  /** Most it may spend in a UTC day, and in a UTC month. */
  readonly dayBudget?: bigint | undefined
  readonly monthBudget?: bigint | undefined
  readonly requestsPerMinute?: number | undefined
  readonly models?: readonly string[] | undefined
  readonly expiresAt?: number | undefined
}

const hashKey = (key: string) => createHash('sha256').update(key).digest('hex')
const makeKey = () => `${keyPrefix}${randomBytes(32).toString('base64url')}`

function toColumns({ budget, dayBudget, monthBudget, requestsPerMinute, models, expiresAt }: KeyLimits) {
  return {
    budget: budget ?? null,
    dayBudget: dayBudget ?? null,
    monthBudget: monthBudget ?? null,
    requestsPerMinute: requestsPerMinute ?? null,
    models: models ? [...models] : null,
    expiresAt: expiresAt ?? null,
  }
}

const write = (transaction: Transaction, action: string, id: string, details: object, now: number) =>
  transaction.insert(auditLog).values({
    action,
    subject: id,
    details: JSON.stringify(details, (_, value) => (typeof value === 'bigint' ? String(value) : value)),
    createdAt: now,
  })

/**
 * Makes a key for an account. The key is in the answer and nowhere else.
 * @throws {@link AccountUnknownError}
 */
export async function createApiKey(
  database: Database,
  options: { readonly account: string; readonly name: string; readonly now: number } & KeyLimits,
): Promise<{ readonly id: string; readonly key: string }> {
  const { account, name, now, ...limits } = options
  const key = makeKey()
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
      spent: 0n,
      reserved: 0n,
      ...toColumns(limits),
      createdAt: now,
    })
    await write(transaction, 'key.created', id, { account, name, ...limits }, now)
  })
  return { id, key }
}

const { id: idColumn, accountId, requestsPerMinute, models } = apiKeys
const columns = { id: idColumn, accountId, requestsPerMinute, models }

/** A key by its id, for whom the gateway knows by something else than the key. */
export async function findApiKeyById(database: Database, id: string): Promise<ApiKey | undefined> {
  const [found] = await database
    .select(columns)
    .from(apiKeys)
    .where(and(eq(apiKeys.id, id), isNull(apiKeys.revokedAt)))
  return found
}

/** The key that a request shows, unless it is none of ours, is over, switched off or revoked. */
export async function findApiKey(database: Database, key: string, now: number): Promise<ApiKey | undefined> {
  if (!key.startsWith(keyPrefix) || key.length > 100) return undefined
  const hash = hashKey(key)
  const [found] = await database
    .select(columns)
    .from(apiKeys)
    .where(
      and(
        or(eq(apiKeys.hash, hash), and(eq(apiKeys.previousHash, hash), gt(apiKeys.previousUntil, now))),
        isNull(apiKeys.revokedAt),
        isNull(apiKeys.disabledAt),
        or(isNull(apiKeys.expiresAt), gt(apiKeys.expiresAt, now)),
      ),
    )
  return found
}

/** Makes a key useless from now on. Requests that run go on. Returns whether there was such a key in use. */
export function revokeApiKey(database: Database, options: { readonly id: string; readonly now: number }) {
  const { id, now } = options
  return changeApiKey(database, { id, now, action: 'key.revoked', set: { revokedAt: now } })
}

/** Switches a key off, or on again. Returns whether there is such a key that is not revoked. */
export function switchApiKey(
  database: Database,
  options: { readonly id: string; readonly isEnabled: boolean; readonly now: number },
) {
  const { id, isEnabled, now } = options
  const action = isEnabled ? 'key.enabled' : 'key.disabled'
  return changeApiKey(database, { id, now, action, set: { disabledAt: isEnabled ? null : now } })
}

/** Puts other limits in place of all that a key has. Returns whether there is such a key that is not revoked. */
export function limitApiKey(database: Database, options: { readonly id: string; readonly now: number } & KeyLimits) {
  const { id, now, ...limits } = options
  return changeApiKey(database, { id, now, action: 'key.limited', set: toColumns(limits), details: limits })
}

/**
 * Gives a key another secret; the one before is good for some time yet. Budgets, what was spent and idempotency keys stay.
 * @throws LilypadError NOT_FOUND when there is no such key, or it is revoked
 */
export async function rotateApiKey(
  database: Database,
  options: { readonly id: string; readonly graceSeconds: number; readonly now: number },
): Promise<{ readonly id: string; readonly key: string }> {
  const { id, graceSeconds, now } = options
  const key = makeKey()
  const hashed = { hash: hashKey(key), hint: key.slice(-4) }
  const previous = { previousHash: apiKeys.hash, previousUntil: now + graceSeconds }
  const details = { graceSeconds }
  if (!(await changeApiKey(database, { id, now, action: 'key.rotated', set: { ...hashed, ...previous }, details })))
    throw new LilypadError('NOT_FOUND', 'There is no such key in use.', { hint: 'list the keys to see their ids' })
  return { id, key }
}

function changeApiKey(
  database: Database,
  change: {
    readonly id: string
    readonly action: string
    readonly set: Parameters<ReturnType<typeof database.update<typeof apiKeys>>['set']>[0]
    readonly details?: object
    readonly now: number
  },
): Promise<boolean> {
  const { id, action, set, details = {}, now } = change
  return database.transaction(async (transaction) => {
    const changed = await transaction
      .update(apiKeys)
      .set(set)
      .where(and(eq(apiKeys.id, id), isNull(apiKeys.revokedAt)))
      .returning({ id: apiKeys.id })
    if (changed.length > 0) await write(transaction, action, id, details, now)
    return changed.length > 0
  })
}

/** Keys of an account, or of all, with what bounds them and what they spent; no secret is among it. */
export async function listApiKeys(database: Database, account?: string) {
  const rows = await database
    .select({ key: apiKeys, account: accounts.name })
    .from(apiKeys)
    .innerJoin(accounts, eq(accounts.id, apiKeys.accountId))
    .where(account === undefined ? undefined : eq(accounts.name, account))
    .orderBy(accounts.name, apiKeys.createdAt, apiKeys.id)
  return rows.map(({ key: { hash, previousHash, accountId, ...key }, account: owner }) => ({ account: owner, ...key }))
}
