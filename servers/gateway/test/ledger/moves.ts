import { existsSync, readFileSync, appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { eq, sql } from 'drizzle-orm'
import { pino } from 'pino'
import { LilypadError } from '@lilypad-agents/protocol'
import { createAccount, creditAccount } from '../../src/account/account.ts'
import { createApiKey, findApiKey, type ApiKey } from '../../src/account/api-key.ts'
import {
  chargeRequest,
  listUnsettled,
  openRequest,
  releaseRequest,
  reserveFor,
} from '../../src/account/paid-request.ts'
import type { CardEvent } from '../../src/billing/card-event.ts'
import { applyCardEvent, openTopUp } from '../../src/billing/top-up.ts'
import type { Database } from '../../src/db/open-database.ts'
import { ledgerEntries, requests } from '../../src/db/schema.ts'
import type { DepositChain } from '../../src/deposits/deposit-chain.ts'
import { openDepositAddress, watchDeposits } from '../../src/deposits/watch-deposits.ts'

/**
 * Random moves of money, of which every one can be repeated by anybody at any time: what comes out at the end follows from the plan
 * alone, whatever was killed on the way.
 */
export type Plan = {
  readonly accounts: readonly {
    readonly id: string
    readonly name: string
    readonly key: ApiKey
    readonly deposit: `0x${string}`
  }[]
  readonly topUps: readonly {
    readonly id: string
    readonly accountId: string
    readonly sessionId: string
    readonly cents: number
  }[]
  readonly credits: number
  readonly jobs: number
  /** Where what providers were paid is written down, a file for each replica. */
  readonly folder: string
}

const now = 1_800_000_000
const usdPerLilyWad = 10n ** 18n
const cards = {
  openPage: async ({ id }: { readonly id: string }) => ({
    sessionId: `cs_${id}`,
    url: 'https://pay.example/',
    expiresAt: now,
  }),
  readEvent: () => undefined,
}
export const depositRules = { confirmations: 2, least: 1n }
const log = pino({ level: 'silent' })

/** Accounts, keys, deposit addresses and top-ups that are asked for. */
export async function makePlan(
  database: Database,
  chain: DepositChain,
  size: {
    readonly folder: string
    readonly accounts: number
    readonly topUps: number
    readonly credits: number
    readonly jobs: number
  },
): Promise<Plan> {
  const accounts: Plan['accounts'][number][] = []
  for (let index = 0; index < size.accounts; index += 1) {
    const name = `ledger ${index}`
    const id = await createAccount(database, { name, now })
    const { key } = await createApiKey(database, { account: name, name, now, dayBudget: 10n ** 18n })
    const found = await findApiKey(database, key, now)
    if (!found) throw new Error('the key is not there')
    accounts.push({ id, name, key: found, deposit: await openDepositAddress({ database, chain }, id) })
  }
  const topUps: Plan['topUps'][number][] = []
  for (let index = 0; index < size.topUps; index += 1) {
    const { id: accountId = '' } = accounts[index % accounts.length] ?? {}
    const cents = 100 + index
    const asked = { accountId, usdCents: cents, usdPerLilyWad, idempotencyKey: `top-up ${index}`, now }
    const { id, sessionId } = await openTopUp(database, cards, asked)
    topUps.push({ id, accountId, sessionId: sessionId ?? '', cents })
  }
  return { accounts, topUps, folder: size.folder, credits: size.credits, jobs: size.jobs }
}

const creditOf = (index: number) => BigInt(((index * 7919) % 1_000_000) + 1)
const priceOf = (job: number) => BigInt(((job * 104_729) % 997) + 1)
const kept = [100, 70, 100, 0, 100, 75, 0] as const

/** All that the processor tells of a top-up; the last kind is never paid. */
function eventsOf(topUp: Plan['topUps'][number], index: number): readonly CardEvent[] {
  const { id, accountId, sessionId, cents } = topUp
  const paymentId = `pi_${id}`
  const base = (name: string, at = now) => ({ id: `evt_${id}_${name}`, type: name, at })
  const paid = {
    ...base('paid'),
    kind: 'paid' as const,
    sessionId,
    paymentId,
    topUpId: id,
    accountId,
    currency: 'usd',
    cents,
  }
  const back = (
    reversal: 'refund' | 'refund-total' | 'dispute',
    name: string,
    part: number,
    end: { readonly isStanding?: boolean; readonly isFinal?: boolean; readonly at?: number } = {},
  ) => ({
    ...base(name, end.at),
    ...{ kind: 'reversal' as const, reversal, paymentId, currency: 'usd', isStanding: true, isFinal: false },
    reversalId: `${reversal}_${id}`,
    cents: Math.floor((cents * part) / 100),
    ...end,
  })
  const kinds = [
    [paid],
    [paid, back('refund', 'refunded', 30)],
    [paid, back('refund', 'refunded', 30), back('refund', 'failed', 30, { isStanding: false, isFinal: true })],
    [paid, back('dispute', 'disputed', 100), back('dispute', 'lost', 100, { isFinal: true, at: now + 1 })],
    [
      paid,
      back('dispute', 'disputed', 100),
      back('dispute', 'won', 100, { isStanding: false, isFinal: true, at: now + 1 }),
    ],
    [paid, back('refund-total', 'total', 25), back('refund', 'refunded', 25)],
    [back('refund', 'refunded', 100)],
  ] as const
  return kinds[index % kinds.length] ?? []
}

const acksOf = (folder: string, replica: string) => join(folder, `acks-${replica}`)
const readAcks = (folder: string, replica: string) =>
  existsSync(acksOf(folder, replica)) ? readFileSync(acksOf(folder, replica), 'utf8').split('\n').filter(Boolean) : []

/** Brings to their end what a kill left open: what was paid to a provider is charged, the rest freed. */
export async function recover(database: Database, plan: Plan, replica: string): Promise<void> {
  const acks = new Map(readAcks(plan.folder, replica).map((line) => line.split(' ') as [string, string]))
  for (const { id } of await listUnsettled(database, replica)) {
    const job = acks.get(id)
    if (job === undefined) await releaseRequest(database, { id, errorCode: 'CANCELLED', now })
    else await charge(database, id, Number(job))
  }
}

const charge = (database: Database, id: string, job: number) =>
  chargeRequest(database, {
    id,
    price: priceOf(job),
    receipt: '0x01',
    inputUnits: 1,
    outputUnits: 1,
    answer: '{}',
    now,
  })

/** One move of a replica, of many kinds. */
export async function move(
  context: { readonly database: Database; readonly chain: DepositChain; readonly plan: Plan; readonly replica: string },
  random: () => number,
): Promise<void> {
  const { database, chain, plan, replica } = context
  const below = (count: number) => Math.floor(random() * count)
  const kind = random()
  if (kind < 0.2) return credit(database, plan, below(plan.credits))
  if (kind < 0.5) {
    const index = below(plan.topUps.length)
    const topUp = plan.topUps[index]
    const events = topUp ? eventsOf(topUp, index) : []
    const event = events[below(events.length)]
    if (event) await applyCardEvent(database, event, { now })
    return
  }
  if (kind < 0.52) return watchDeposits({ database, chain, rules: depositRules, log })
  await tryJob(database, plan, replica, below(plan.jobs), random)
}

async function credit(database: Database, plan: Plan, index: number): Promise<void> {
  const account = plan.accounts[index % plan.accounts.length]?.name ?? ''
  await creditAccount(database, { account, amount: creditOf(index), reference: `credit ${index}`, now })
}

/** A job as a gateway does it: noted, reserved for, run, paid to its provider, charged; or given up before that. */
async function tryJob(
  database: Database,
  plan: Plan,
  replica: string,
  job: number,
  random: () => number,
): Promise<void> {
  const { key } = plan.accounts[job % plan.accounts.length] ?? {}
  if (!key) return
  const id = `${replica}-${Date.now()}-${Math.floor(random() * 2 ** 40)}`
  const opened = await openRequest(database, {
    ...{ id, key, replica, kind: 'chat', model: 'm', digest: `job ${job}`, idempotencyKey: `job ${job}`, now },
  })
  if (!opened.isNew) return
  try {
    await reserveFor(database, { id, amount: priceOf(job) + 500n, now })
  } catch (error) {
    if (!LilypadError.is(error) || error.code !== 'INSUFFICIENT_BALANCE') throw error
    await releaseRequest(database, { id, errorCode: error.code, now })
    return
  }
  if (random() < 0.15) {
    await releaseRequest(database, { id, errorCode: 'TIMED_OUT', now })
    return
  }
  appendFileSync(acksOf(plan.folder, replica), `${id} ${job}\n`)
  await charge(database, id, job)
  // Answers are lost, and whoever waits for one tries again.
  if (random() < 0.1) await charge(database, id, job)
}

/** Repeats everything that could be missing, then says what is wrong: sums of the plan, of what providers got, and of the ledger. */
export async function finish(
  database: Database,
  chain: DepositChain,
  plan: Plan,
  replicas: readonly string[],
  deposited: bigint,
): Promise<readonly string[]> {
  for (const replica of replicas) await recover(database, plan, replica)
  for (let index = 0; index < plan.credits; index += 1) await credit(database, plan, index)
  for (const [index, topUp] of plan.topUps.entries())
    for (const event of [...eventsOf(topUp, index)].reverse()) await applyCardEvent(database, event, { now })
  await watchDeposits({ database, chain, rules: depositRules, log })
  const wrong: string[] = []
  const expect = (what: string, is: unknown, should: unknown) => {
    if (String(is) !== String(should)) wrong.push(`${what}: is ${is}, should be ${should}`)
  }
  const sumOf = async (source: 'operator' | 'card' | 'deposit' | 'job') => {
    const [row] = await database
      .select({ total: sql<string>`coalesce(sum(amount), 0)` })
      .from(ledgerEntries)
      .where(eq(ledgerEntries.source, source))
    return BigInt(row?.total ?? 0)
  }
  const sum = (amounts: readonly bigint[]) => amounts.reduce((total, amount) => total + amount, 0n)
  expect('operator', await sumOf('operator'), sum([...Array(plan.credits).keys()].map(creditOf)))
  const bought = plan.topUps.map(({ cents }, index) => {
    const part = kept[index % kept.length] ?? 0
    return BigInt(cents - Math.floor((cents * (100 - part)) / 100)) * 10n ** 16n
  })
  expect('cards', await sumOf('card'), sum(bought))
  expect('deposits', await sumOf('deposit'), deposited)
  const acks = replicas.flatMap((replica) => readAcks(plan.folder, replica)).map((line) => Number(line.split(' ')[1]))
  expect('jobs that were paid twice', acks.length - new Set(acks).size, 0)
  expect('jobs', -(await sumOf('job')), sum(acks.map(priceOf)))
  const charged = await database.select().from(requests).where(eq(requests.state, 'charged'))
  expect('charged requests', charged.length, acks.length)
  if (acks.length === 0) wrong.push('no job was paid')
  return wrong
}

/** Numbers between 0 and 1 that a seed repeats. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}
