import { and, count, eq } from 'drizzle-orm'
import { type Bytes32, JobOrder, LilypadError, SignedVoucher, voucherType } from '@lilypad-agents/protocol'
import { z } from 'zod'
import type { SolverContext } from '../context.ts'
import type { Transaction } from '../db/open-database.ts'
import { jobFiles, lanes } from '../db/schema.ts'
import { changeJob, type JobRow, JobUnknownError, moveJob, patchJob, StateConflictError } from './job-row.ts'
import { emptyLane, type LaneHead, nextLane } from './next-lane.ts'

/** Records an input that is now on the relay's disk; with the last one the order goes to the provider. */
export async function recordInput(context: SolverContext, orderHash: Bytes32, sha256: Bytes32): Promise<void> {
  const job = await changeJob(context, orderHash, async (transaction, job) => {
    const input = and(eq(jobFiles.orderHash, orderHash), eq(jobFiles.direction, 'input'))
    await transaction
      .update(jobFiles)
      .set({ present: true })
      .where(and(input, eq(jobFiles.sha256, sha256)))
    const [missing] = await transaction
      .select({ files: count() })
      .from(jobFiles)
      .where(and(input, eq(jobFiles.present, false)))
    return patchJob(transaction, job, { missingInputs: missing?.files ?? 0 })
  })
  if (job.missingInputs === 0) await context.providers.pushJob(job)
}

/**
 * Takes the requester's voucher for a delivered job. The voucher is kept before the answer, and goes to the provider
 * until the provider has it. The same voucher twice is one acknowledgement.
 */
export async function acknowledgeJob(
  context: SolverContext,
  orderHash: Bytes32,
  signed: SignedVoucher,
): Promise<JobRow> {
  const { voucher, signature } = signed
  const text = JSON.stringify(z.encode(SignedVoucher, signed))
  const signer = voucherType.findSigner(context.domain, voucher, signature)
  if (!signer) throw new LilypadError('SIGNATURE_INVALID', 'The signature of the voucher is malformed.')
  const job = await changeJob(context, orderHash, async (transaction, job) => {
    if (signer !== job.key) throw new JobUnknownError()
    if (job.acknowledgement !== null) {
      const known = SignedVoucher.parse(JSON.parse(job.acknowledgement))
      const hash = (voucher: SignedVoucher['voucher']) => voucherType.hash(context.domain, voucher)
      if (hash(known.voucher) === hash(voucher)) return job
      throw new StateConflictError(orderHash, job.state, 'acknowledged by another voucher')
    }
    if (job.state !== 'delivered' || job.receiptHash === null || job.price === null) {
      throw new StateConflictError(orderHash, job.state, 'acknowledged')
    }
    const lane = await lockLane(transaction, job)
    const order = JobOrder.parse(JSON.parse(job.order))
    const next = nextLane(lane, voucher, {
      orderHash,
      order,
      receiptHash: job.receiptHash,
      price: job.price,
    })
    await transaction.update(lanes).set(next).where(eq(lanes.laneId, job.laneId))
    return moveJob(transaction, context, job, 'acknowledged', {
      acknowledgement: text,
      acknowledgementIndex: next.jobs,
    })
  })
  await context.providers.pushJob(job)
  return job
}

async function lockLane(transaction: Transaction, { laneId }: JobRow): Promise<LaneHead> {
  const lock = () => transaction.select().from(lanes).where(eq(lanes.laneId, laneId)).for('update')
  const [known] = await lock()
  if (known) return known
  await transaction
    .insert(lanes)
    .values({ laneId, ...emptyLane })
    .onConflictDoNothing()
  const [lane] = await lock()
  return lane ?? emptyLane
}
