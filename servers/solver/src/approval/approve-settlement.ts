import { and, asc, eq, inArray, sql } from 'drizzle-orm'
import {
  type Address,
  type Bytes32,
  laneId,
  LilypadError,
  type PackedLane,
  parseSettlementLanes,
  type RefusedLane,
  type SettlementApprovalAnswer,
  settlementApprovalType,
  settlementHash,
  type SettlementLanes,
  SettlementRefusedError,
} from '@lilypad-agents/protocol'
import { nowSeconds, type SolverContext } from '../context.ts'
import type { Transaction } from '../db/open-database.ts'
import { jobs, ledgers, reservations } from '../db/schema.ts'
import { type Funds, readFunds } from '../guardian/read-funds.ts'
import { type JobRow, selectJobs } from '../job/job-row.ts'
import { findRefusal, isStepOf } from './find-refusal.ts'

/** How long an approval is good for; the vault looks at the time of the block. */
export const approvalSeconds = 600
const maxLanes = 500
const maxRecords = 5000

/**
 * Consents to a settlement: every job in it was reserved here and is delivered, so the ledger counts its price until it is paid.
 * A job whose money was freed meanwhile is reserved again, if the payer still has as much.
 * @throws {@link SettlementRefusedError} naming every lane that this solver does not answer for; LilypadError `INVALID_REQUEST`
 */
export async function approveSettlement(
  context: SolverContext,
  settlement: SettlementLanes,
): Promise<SettlementApprovalAnswer> {
  const lanes = parseSettlement(context, settlement)
  const records = new Map(lanes.flatMap((lane) => lane.records.map((record) => [record.orderHash, record] as const)))
  const orderHashes = [...new Set(lanes.flatMap(({ records }) => records.map(({ orderHash }) => orderHash)))]
  const before = await selectReserved(context.database, records)
  const seen = new Set(before.map(({ orderHash }) => orderHash))
  // Only lanes of jobs that are ours are worth asking the chain about.
  const known = lanes.filter(({ records }) => records.every(({ orderHash }) => seen.has(orderHash)))
  const ids = [...new Set(known.map((packed) => laneId({ ...settlement, ...packed })))]
  const progress = new Map(await Promise.all(ids.map(async (id) => [id, await context.chain.getLane(id)] as const)))
  const short = [...new Set(before.filter(isShort).map(({ payer }) => payer))]
  const funds = new Map(
    await Promise.all(
      short.map(async (payer) => [payer, await readFunds(context, { payer, token: settlement.token })] as const),
    ),
  )
  const approvedUntil = nowSeconds(context) + approvalSeconds
  const approving = orderHashes.map((orderHash) => context.memory.change(orderHash))
  const approved = context.database.transaction(async (transaction) => {
    const locked = await selectJobs(transaction)
      .where(inArray(jobs.orderHash, orderHashes))
      .orderBy(asc(jobs.orderHash))
      .for('update')
    const jobsByHash = new Map(locked.map((job) => [job.orderHash, job]))
    const refused = lanes.flatMap((packed): RefusedLane[] => {
      const id = laneId({ ...settlement, ...packed })
      const { domain } = context
      const reason = findRefusal(packed, { domain, settlement, jobs: jobsByHash, progress: progress.get(id) })
      return reason === undefined ? [] : [{ laneId: id, reason }]
    })
    if (refused.length > 0) throw new SettlementRefusedError(refused)
    await reserveAgain(transaction, { records, token: settlement.token, funds })
    await transaction.update(jobs).set({ approvedUntil }).where(inArray(jobs.orderHash, orderHashes))
    // What is settled is known again by the hash in its record.
    for (const job of locked) {
      const record = records.get(job.orderHash)
      if (!record || !isStepOf(job, record)) continue
      const { orderHash, receiptHash: stepHash } = record
      await transaction.update(jobs).set({ stepHash }).where(eq(jobs.orderHash, orderHash))
    }
  })
  await approved.finally(() => {
    for (const end of approving) end()
  })
  const hash = settlementHash(settlement)
  context.log.info({ settlementHash: hash, lanes: lanes.length, jobs: orderHashes.length }, 'settlement.approved')
  return {
    settlementHash: hash,
    approvedUntil,
    approval: settlementApprovalType.sign(
      context.domain,
      { settlementHash: hash, validUntil: approvedUntil },
      context.signer,
    ),
  }
}

function parseSettlement(context: SolverContext, settlement: SettlementLanes): readonly PackedLane[] {
  const invalid = (message: string, expected: unknown, actual: unknown) =>
    new LilypadError('INVALID_REQUEST', message, { details: [`Expected: ${expected}   Actual: ${actual}`] })
  const { signer, contracts } = context
  if (settlement.solver !== signer.address)
    throw invalid('The settlement names another solver.', signer.address, settlement.solver)
  if (settlement.token !== contracts.lilyToken)
    throw invalid('The settlement names another token.', contracts.lilyToken, settlement.token)
  const lanes = parseSettlementLanes(settlement)
  const records = lanes.reduce((sum, lane) => sum + lane.records.length, 0)
  if (lanes.length === 0 || lanes.length > maxLanes)
    throw invalid('The settlement has no lanes, or too many.', `1 to ${maxLanes}`, lanes.length)
  if (records > maxRecords) throw invalid('The settlement has too many jobs.', `at most ${maxRecords}`, records)
  return lanes
}

/** Records of a settlement by their orders. */
type Records = ReadonlyMap<Bytes32, PackedLane['records'][number]>
type Reserved = Pick<JobRow, 'orderHash' | 'laneId' | 'payer'> & { readonly held: bigint; readonly owed: bigint }

async function selectReserved(
  database: SolverContext['database'] | Transaction,
  records: Records,
): Promise<readonly Reserved[]> {
  const { orderHash, payer, price, receiptHash, stepPrice } = jobs
  const rows = await database
    .select({ orderHash, laneId: jobs.laneId, payer, price, receiptHash, stepPrice, held: reservations.held })
    .from(jobs)
    .innerJoin(reservations, eq(reservations.orderHash, jobs.orderHash))
    .where(inArray(jobs.orderHash, [...records.keys()]))
  return rows.map((job) => {
    const record = records.get(job.orderHash)
    return { ...job, owed: record && isStepOf(job, record) ? record.price : (job.price ?? 0n) }
  })
}

const isShort = ({ held, owed }: Reserved) => held < owed

/** Reserves the price of jobs whose money was freed. Ledgers are locked in one order, so that two approvals never wait for each other. */
async function reserveAgain(
  transaction: Transaction,
  options: {
    readonly records: Records
    readonly token: Address
    readonly funds: ReadonlyMap<Address, Funds>
  },
): Promise<void> {
  const { token, funds } = options
  const short = (await selectReserved(transaction, options.records)).filter(isShort)
  const refused: RefusedLane[] = []
  for (const payer of [...new Set(short.map((job) => job.payer))].sort()) {
    const own = short.filter((job) => job.payer === payer)
    const refuse = (reason: string) => refused.push(...own.map((job) => ({ laneId: job.laneId, reason })))
    const missing = own.reduce((sum, { owed, held }) => sum + owed - held, 0n)
    const where = and(eq(ledgers.payer, payer), eq(ledgers.token, token))
    const [ledger] = await transaction.select().from(ledgers).where(where).for('update')
    const known = funds.get(payer)
    if (!ledger || !known || known.settlements !== ledger.settlements) {
      refuse("the payer's balance has just changed; ask again")
      continue
    }
    const free = known.spendable - ledger.outstanding
    if (free < missing) {
      refuse(`the money of a job was freed, and the payer has ${free > 0n ? free : 0n} left for ${missing}`)
      continue
    }
    for (const { orderHash, owed } of own) {
      await transaction
        .update(reservations)
        .set({ held: owed, releasedAt: null })
        .where(eq(reservations.orderHash, orderHash))
    }
    await transaction
      .update(ledgers)
      .set({ outstanding: sql`${ledgers.outstanding} + ${missing.toString()}::numeric` })
      .where(where)
  }
  const lanes = new Map(refused.map((lane) => [lane.laneId, lane]))
  if (lanes.size > 0) throw new SettlementRefusedError([...lanes.values()])
}
