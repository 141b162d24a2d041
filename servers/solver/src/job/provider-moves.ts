import { and, eq } from 'drizzle-orm'
import {
  type Address,
  type Bytes32,
  deliveredBytesLimit,
  Delivery,
  errorCodes,
  hasRun,
  LilypadError,
  type OrderRequest,
  receiptStatuses,
  receiptType,
} from '@lilypad-agents/protocol'
import { z } from 'zod'
import { nowSeconds, type SolverContext } from '../context.ts'
import type { Database, Transaction } from '../db/open-database.ts'
import { jobFiles } from '../db/schema.ts'
import { assertDelivery } from './assert-delivery.ts'
import {
  addJobEvent,
  changeJob,
  getRequest,
  holdAmount,
  type JobRow,
  JobUnknownError,
  moveJob,
  patchJob,
  StateConflictError,
} from './job-row.ts'

/** A job of this provider; a job of another provider is as unknown to it as one that never was. */
async function changeOwn<T>(
  context: SolverContext,
  provider: Address,
  orderHash: Bytes32,
  change: (transaction: Transaction, job: JobRow) => Promise<T>,
): Promise<T> {
  return changeJob(context, orderHash, async (transaction, job) => {
    if (job.provider !== provider) throw new JobUnknownError()
    return change(transaction, job)
  })
}

/** The provider takes the job. Twice is once. */
export async function acceptJob(context: SolverContext, provider: Address, orderHash: Bytes32): Promise<JobRow> {
  return changeOwn(context, provider, orderHash, async (transaction, job) => {
    if (job.state !== 'reserved' || job.acceptedAt !== null) return job
    if (job.missingInputs > 0) throw new StateConflictError(orderHash, job.state, 'accepted before its inputs are here')
    return patchJob(transaction, job, { acceptedAt: nowSeconds(context) })
  })
}

/** The provider does not take the job. Its reason is quoted, never followed. */
export async function declineJob(
  context: SolverContext,
  provider: Address,
  orderHash: Bytes32,
  reason: { readonly code: string; readonly text: string },
): Promise<JobRow> {
  return changeOwn(context, provider, orderHash, async (transaction, job) => {
    if (job.state === 'declined') return job
    return moveJob(transaction, context, job, 'declined', {
      reasonCode: errorCodes.find((code) => code === reason.code) ?? 'JOB_DECLINED',
      reasonMessage:
        `The provider declined the job and gave as its reason: ${JSON.stringify(reason.text.slice(0, 200))}.`.slice(
          0,
          400,
        ),
    })
  })
}

/** The program runs. */
export async function startJob(context: SolverContext, provider: Address, orderHash: Bytes32): Promise<JobRow> {
  return changeOwn(context, provider, orderHash, async (transaction, job) => {
    if (hasRun(job.state) || job.state === 'running') return job
    return moveJob(transaction, context, job, 'running', { acceptedAt: job.acceptedAt ?? nowSeconds(context) })
  })
}

/** Events kept of one job; progress beyond is dropped, moves never. */
const maxJobEvents = 5000

/** How far the program is, in its own words. */
export async function progressJob(
  context: SolverContext,
  provider: Address,
  orderHash: Bytes32,
  progress: { readonly fraction: number; readonly text: string },
): Promise<void> {
  await changeOwn(context, provider, orderHash, async (transaction, job) => {
    if (job.state !== 'running' || job.eventSequence >= maxJobEvents) return
    await addJobEvent(
      transaction,
      job,
      { type: 'progress', ...progress },
      { progressFraction: String(progress.fraction), progressText: progress.text },
    )
  })
}

export type DeliveryAnswer =
  | { readonly kind: 'stored' }
  | { readonly kind: 'missing'; readonly missing: readonly Bytes32[] }
  | { readonly kind: 'expired' }

/**
 * Takes the provider's receipt. A successful job is delivered once all its outputs are here; the provider learns which
 * are missing and comes again.
 */
export async function deliverJob(
  context: SolverContext,
  provider: Address,
  orderHash: Bytes32,
  delivery: Delivery,
): Promise<DeliveryAnswer> {
  const receiptHash = receiptType.hash(context.domain, delivery.receipt)
  return changeOwn(context, provider, orderHash, async (transaction, job): Promise<DeliveryAnswer> => {
    if (job.receiptHash === receiptHash) return { kind: 'stored' }
    if (job.receiptHash !== null) throw new StateConflictError(orderHash, job.state, 'delivered with another receipt')
    if (job.state === 'expired') return { kind: 'expired' }
    if (hasRun(job.state)) throw new StateConflictError(orderHash, job.state, 'delivered')
    const module = context.catalog.get(job.moduleVersion)
    const request = await getRequest(context, transaction, orderHash)
    const age = Math.max(0, nowSeconds(context) - job.createdAt)
    assertDelivery(delivery, { domain: context.domain, orderHash, request, manifest: module.manifest, age })
    const { receipt, manifest } = delivery
    const status = receiptStatuses[receipt.status] ?? 'failed'
    if (status === 'succeeded') {
      const uploaded = await listOutputs(transaction, orderHash)
      const missing = manifest.predicate.outputs
        .filter(({ sha256, bytes }) => uploaded.get(sha256) !== bytes)
        .map(({ sha256 }) => sha256)
      if (missing.length > 0) return { kind: 'missing', missing: [...new Set(missing)] }
    }
    const running = job.state === 'reserved' ? await moveJob(transaction, context, job, 'running') : job
    const patch = {
      acceptedAt: job.acceptedAt ?? nowSeconds(context),
      delivery: JSON.stringify(z.encode(Delivery, delivery)),
      receiptHash,
      price: receipt.price,
      runMilliseconds: manifest.predicate.usage.runMilliseconds,
    }
    if (status === 'succeeded') {
      const delivered = await moveJob(transaction, context, running, 'delivered', patch)
      // The receipt fixes the price, so the rest of the maximum is free for other orders.
      const owed = job.settlementTransaction === null ? receipt.price : 0n
      await holdAmount(transaction, delivered, owed, nowSeconds(context))
    } else {
      await moveJob(transaction, context, running, 'failed', {
        ...patch,
        reasonCode: 'JOB_FAILED',
        reasonMessage: failureText[status],
      })
    }
    return { kind: 'stored' }
  })
}

const failureText = {
  failed: 'The program of the module ended with an error. Nothing is charged; the logs tell more.',
  'limit-exceeded': 'The program went over a limit of its module (time, memory, disk or log). Nothing is charged.',
  'outputs-refused': 'The provider refused the files the program left behind. Nothing is charged.',
} as const

/** Uploaded outputs of a job: size by digest. */
export async function listOutputs(
  database: Database | Transaction,
  orderHash: Bytes32,
): Promise<ReadonlyMap<Bytes32, number>> {
  const rows = await database
    .select({ sha256: jobFiles.sha256, bytes: jobFiles.bytes })
    .from(jobFiles)
    .where(and(eq(jobFiles.orderHash, orderHash), eq(jobFiles.direction, 'output')))
  return new Map(rows.map(({ sha256, bytes }) => [sha256, bytes]))
}

/**
 * How many bytes a provider may still upload for a job.
 * @throws LilypadError `PAYLOAD_TOO_LARGE` when the module's limits are reached, `STATE_CONFLICT` when the job takes no outputs now
 */
export function getOutputRoom(
  context: Pick<SolverContext, 'catalog'>,
  facts: { readonly job: JobRow; readonly request: OrderRequest; readonly outputs: ReadonlyMap<Bytes32, number> },
): number {
  const { job, request, outputs } = facts
  if (job.state !== 'running' && job.state !== 'reserved')
    throw new StateConflictError(job.orderHash, job.state, 'given more outputs')
  const { limits } = context.catalog.get(job.moduleVersion).manifest
  // Files that came while the program ran may be those of a run that a crash has cut off, so they do not take the room of the delivery.
  const maxFiles = 2 * limits.outputFiles
  if (outputs.size >= maxFiles) {
    throw new LilypadError('PAYLOAD_TOO_LARGE', 'The job has more output files than its module may write.', {
      details: [`Expected: at most ${maxFiles}`],
    })
  }
  const limit = deliveredBytesLimit(limits, request.inputs)
  const used = [...outputs.values()].reduce((sum, bytes) => sum + bytes, 0)
  return Math.max(0, Math.min(limit, 2 * limit - used))
}

/** Records an output that is now on the relay's disk. */
export async function recordOutput(
  context: SolverContext,
  orderHash: Bytes32,
  file: { sha256: Bytes32; bytes: number },
): Promise<void> {
  await context.database
    .insert(jobFiles)
    .values({ orderHash, direction: 'output', ...file, present: true })
    .onConflictDoNothing()
}

/** The provider has the voucher on its disk. */
export async function confirmAcknowledgement(
  context: SolverContext,
  provider: Address,
  orderHash: Bytes32,
): Promise<void> {
  await changeOwn(context, provider, orderHash, async (transaction, job) => {
    if (job.acknowledgementReceived) return
    if (job.acknowledgement === null) throw new StateConflictError(orderHash, job.state, 'acknowledged by its provider')
    await patchJob(transaction, job, { acknowledgementReceived: true })
  })
}
