import { and, eq, inArray, notInArray, sql } from 'drizzle-orm'
import { type Address, type Bytes32, LilypadError, listInputFiles, type OrderRequest } from '@lilypad-agents/protocol'
import type { SolverContext } from '../context.ts'
import type { Transaction } from '../db/open-database.ts'
import { jobFiles, jobs, reservations } from '../db/schema.ts'

/** Bytes at the relay that open jobs may need, by whom they are for. What jobs that are over have left counts for nobody. */
export type RelayQuotas = {
  /** Inputs of one payer. */
  readonly requesterBytes: number
  /** Outputs of one provider. */
  readonly providerBytes: number
  /** Inputs and outputs of all jobs whose maximum price is zero: they cost their parties nothing, however many keys they use. */
  readonly unpaidBytes: number
}

/** States of a job whose files somebody still waits for. */
export const openStates = ['ordered', 'reserved', 'running', 'delivered', 'disputed'] as const

type Party = { readonly payer: Address } | { readonly provider: Address } | 'unpaid'

/** Bytes of open jobs of a party, without those of some files; a file that several jobs name counts once. */
async function countBytes(
  database: Pick<Transaction, 'selectDistinct' | 'select'>,
  party: Party,
  without: readonly Bytes32[] = [],
): Promise<number> {
  const isOpen = inArray(jobs.state, [...openStates])
  const isOfParty =
    party === 'unpaid'
      ? eq(reservations.amount, 0n)
      : 'payer' in party
        ? and(eq(jobs.payer, party.payer), eq(jobFiles.direction, 'input'))
        : and(eq(jobs.provider, party.provider), eq(jobFiles.direction, 'output'))
  const ofJobs = database
    .selectDistinct({ sha256: jobFiles.sha256, bytes: jobFiles.bytes })
    .from(jobs)
    .innerJoin(jobFiles, eq(jobFiles.orderHash, jobs.orderHash))
    .$dynamic()
  const files = (
    party === 'unpaid' ? ofJobs.innerJoin(reservations, eq(reservations.orderHash, jobs.orderHash)) : ofJobs
  )
    .where(and(isOpen, isOfParty, without.length > 0 ? notInArray(jobFiles.sha256, [...without]) : undefined))
    .as('files')
  const [row] = await database.select({ bytes: sql<string | null>`sum(${files.bytes})` }).from(files)
  return Number(row?.bytes ?? 0)
}

/**
 * Whether the relay keeps the inputs of a new order for its payer.
 * @throws LilypadError `STORAGE_FULL`
 */
export async function assertInputRoom(
  transaction: Transaction,
  quotas: RelayQuotas,
  { order, inputs }: OrderRequest,
): Promise<void> {
  const files = new Map(listInputFiles(inputs).map(({ file }) => [file.sha256, file.bytes]))
  const bytes = [...files.values()].reduce((sum, size) => sum + size, 0)
  if (bytes === 0) return
  const own = [...files.keys()]
  const used = await countBytes(transaction, { payer: order.payer }, own)
  if (used + bytes > quotas.requesterBytes)
    throw noRoom('this requester', { used, bytes, quotaBytes: quotas.requesterBytes })
  if (order.maxPrice > 0n) return
  const unpaid = await countBytes(transaction, 'unpaid', own)
  if (unpaid + bytes > quotas.unpaidBytes)
    throw noRoom('jobs without a price', { used: unpaid, bytes, quotaBytes: quotas.unpaidBytes })
}

/** Room for outputs, given out while they are uploaded side by side. */
export class OutputRoom {
  readonly #context: Pick<SolverContext, 'database' | 'rules'>
  readonly #inFlight = new Map<string, number>()

  constructor(context: Pick<SolverContext, 'database' | 'rules'>) {
    this.#context = context
  }

  /**
   * Uploads within what the job's provider may keep here.
   * @throws LilypadError `STORAGE_FULL`
   */
  async within<T>(
    job: { readonly provider: Address; readonly maxPrice: bigint },
    bytes: number,
    upload: () => Promise<T>,
  ): Promise<T> {
    const { database, rules } = this.#context
    const { quotas } = rules
    const parties: [string, string, number, number][] = [
      [job.provider, 'this provider', quotas.providerBytes, await countBytes(database, { provider: job.provider })],
    ]
    if (job.maxPrice === 0n)
      parties.push(['unpaid', 'jobs without a price', quotas.unpaidBytes, await countBytes(database, 'unpaid')])
    // Nothing waits between looking and taking.
    for (const [key, name, quotaBytes, kept] of parties) {
      const used = kept + (this.#inFlight.get(key) ?? 0)
      if (used + bytes > quotaBytes) throw noRoom(name, { used, bytes, quotaBytes })
    }
    for (const [key] of parties) this.#inFlight.set(key, (this.#inFlight.get(key) ?? 0) + bytes)
    try {
      return await upload()
    } finally {
      for (const [key] of parties) {
        const left = (this.#inFlight.get(key) ?? 0) - bytes
        if (left > 0) this.#inFlight.set(key, left)
        else this.#inFlight.delete(key)
      }
    }
  }
}

/** Open jobs with the files that are here or may come. */
export async function listOpenFiles(
  database: Pick<Transaction, 'select'>,
): Promise<readonly { readonly orderHash: Bytes32; readonly sha256: Bytes32 | null }[]> {
  return database
    .select({ orderHash: jobs.orderHash, sha256: jobFiles.sha256 })
    .from(jobs)
    .leftJoin(jobFiles, eq(jobFiles.orderHash, jobs.orderHash))
    .where(inArray(jobs.state, [...openStates]))
}

function noRoom(whose: string, facts: { readonly used: number; readonly bytes: number; readonly quotaBytes: number }) {
  return new LilypadError('STORAGE_FULL', `The relay keeps no more files for ${whose} now.`, {
    details: [`Expected: at most ${facts.quotaBytes} bytes   Kept: ${facts.used}   Asked: ${facts.bytes}`],
    hint: 'acknowledge delivered jobs or wait until open jobs end, then try again',
  })
}
