import { and, eq, sql, sum, type WithSubquery } from 'drizzle-orm'
import {
  type Bytes32,
  jobOrderType,
  laneId,
  LilypadError,
  listInputFiles,
  OrderRequest,
  reservationType,
  sessionGrantType,
  SignedReservation,
  zeroAddress,
} from '@lilypad-agents/protocol'
import { z } from 'zod'
import { findAskProblem } from '../attestation/find-ask-problem.ts'
import type { ChainGrant } from '../chain/chain.ts'
import { nowSeconds, type SolverContext } from '../context.ts'
import type { Transaction } from '../db/open-database.ts'
import { jobEvents, jobFiles, jobs, ledgers, reservations } from '../db/schema.ts'
import { assertInputRoom } from '../files/relay-room.ts'
import { assertGuardian } from '../guardian/assert-guardian.ts'
import { FundsMemory } from '../guardian/funds-memory.ts'
import { assertWithinCaps, grantCaps } from '../grant/assert-within-grant.ts'
import { assertOrder } from '../order/assert-order.ts'
import { emptyLedger, nextReservation } from '../reservation/next-reservation.ts'
import { findJob, type JobRow, JobUnknownError, lightColumns, selectJob, toEventRow } from './job-row.ts'
import { type JobViewJson, toJobView } from './job-view.ts'

export type PlacedOrder = { readonly job: JobRow; readonly view: JobViewJson; readonly isNew: boolean }

/** A settlement came between reading the balance and locking the ledger; the balance has to be read again. */
class BalanceOutdated extends Error {}
const maxAttempts = 5
const maxUnobservedSeconds = 3600

/** Takes orders. The same order, however often and however many at once, is one job with one reservation. */
export function createOrderDesk(context: SolverContext) {
  const inFlight = new Map<Bytes32, Promise<PlacedOrder>>()
  const memory = new FundsMemory(context)

  async function placeNew(request: OrderRequest, orderHash: Bytes32): Promise<PlacedOrder> {
    const { order, grant } = request
    const module = context.catalog.get(order.moduleVersion)
    assertOrder(request, {
      domain: context.domain,
      solver: context.signer.address,
      token: context.contracts.lilyToken,
      manifest: module.manifest,
      isDeprecated: module.deprecated,
      now: nowSeconds(context),
    })
    if (!context.providers.isConnected(order.provider)) {
      throw new LilypadError('PROVIDER_GONE', 'The provider of this order is not connected now.', {
        details: [`Provider: ${order.provider}`],
        hint: 'request a new quote; the solver names a provider that is there',
      })
    }
    const problem = findAskProblem(context, order)
    if (problem !== undefined) {
      throw new LilypadError('NO_PROVIDER_AVAILABLE', 'The provider of this order is given no container jobs now.', {
        details: [`Provider: ${order.provider}`, `Reason: ${problem}`],
        hint: 'request a new quote',
      })
    }
    if (grant) {
      const digest = sessionGrantType.hash(context.domain, grant.grant)
      if (!(await context.chain.isSignedBy({ address: order.payer, digest, signature: grant.signature }))) {
        throw new LilypadError('SIGNATURE_INVALID', 'The grant is not signed by the payer.', {
          details: [`Payer: ${order.payer}`],
        })
      }
    }
    for (let attempt = 1; ; attempt++) {
      try {
        return await reserve(request, orderHash, { isFresh: attempt > 1 })
      } catch (error) {
        // What was remembered may be older than a deposit, a grant or a settlement.
        const isOld = error instanceof BalanceOutdated || (attempt === 1 && LilypadError.is(error))
        if (!isOld || attempt === maxAttempts) throw error
      }
    }
  }

  async function reserve(
    request: OrderRequest,
    orderHash: Bytes32,
    how: { readonly isFresh: boolean },
  ): Promise<PlacedOrder> {
    const { order, grant } = request
    const { payer, key, token } = order
    const lane = laneId(order)
    const [{ funds, grant: chainGrant }, isNonceUsed] = await Promise.all([
      memory.read(order, how),
      memory.isNonceUsed(order),
    ])
    const { account, spendable, settlements } = funds
    if (isNonceUsed) throw nonceUsed(order.nonce)
    assertGuardian(order, { account, solver: context.signer.address })
    if (account.guardian !== zeroAddress) assertObserved()
    const end = context.memory.change(orderHash)
    const placing = context.database.transaction(async (transaction) => {
      const ledger = await lockLedger(transaction, request)
      if (ledger.settlements !== settlements) throw new BalanceOutdated()
      if (grant && chainGrant) await assertCaps(transaction, request, chainGrant)
      await assertInputRoom(transaction, context.rules.quotas, request)
      const now = nowSeconds(context)
      const solver = context.signer.address
      const reservation = nextReservation(ledger, { order, orderHash, solver, spendable, now })
      const hash = reservationType.hash(context.domain, reservation)
      const signature = context.signer.sign(hash)
      const reserved = transaction.$with('reserved').as(
        transaction
          .insert(reservations)
          .values({ ...reservation, key, hash, held: reservation.amount, releasedAt: null })
          .returning({ hash: reservations.hash }),
      )
      const counted = transaction.$with('counted').as(
        transaction
          .update(ledgers)
          .set({ sequence: reservation.sequence, head: hash, outstanding: reservation.outstanding })
          .where(and(eq(ledgers.payer, payer), eq(ledgers.token, token)))
          .returning({ sequence: ledgers.sequence }),
      )
      const { job, length } = await insertJob(transaction, request, {
        orderHash,
        laneId: lane,
        reservation: JSON.stringify(z.encode(SignedReservation, { reservation, signature })),
        now,
        with: [reserved, counted],
      })
      return { job, view: await toJobView(transaction, job), isNew: true, length }
    })
    return placing.then(
      ({ length, ...placed }) => {
        end(placed.job)
        if (length !== undefined) context.memory.rememberRequest(orderHash, request, length)
        return placed
      },
      async (error: unknown) => {
        end()
        // The same order came by another way meanwhile.
        const known = await selectJob(context.database, orderHash)
        if (known) return { job: known, view: await toJobView(context.database, known), isNew: false }
        throw isTaken(error) ? nonceUsed(order.nonce) : error
      },
    )
  }

  /** Announced settlements leave after a day; whoever has not read the chain for so long must promise nothing. */
  function assertObserved(): void {
    const { at } = context.observed
    if (at !== undefined && at + maxUnobservedSeconds >= nowSeconds(context)) return
    throw new LilypadError('RPC_UNREACHABLE', 'The solver has not caught up with the chain yet.', {
      hint: 'try again in a few seconds',
    })
  }

  async function assertCaps(
    transaction: Transaction,
    { order, grant }: OrderRequest,
    chainGrant: ChainGrant,
  ): Promise<void> {
    if (!grant) return
    const { payer, key, token } = order
    const [row] = await transaction
      .select({ held: sum(reservations.held) })
      .from(reservations)
      .where(
        and(
          eq(reservations.payer, payer),
          eq(reservations.key, key),
          eq(reservations.token, token),
          // In these words, so that the index of what is held is known to fit.
          sql`${reservations.held} > 0`,
        ),
      )
    const now = nowSeconds(context)
    assertWithinCaps(order, { caps: grantCaps(grant.grant, chainGrant, now), outstanding: BigInt(row?.held ?? 0), now })
  }

  return async function placeOrder(request: OrderRequest): Promise<PlacedOrder> {
    const { order } = request
    const orderHash = jobOrderType.hash(context.domain, order)
    if (jobOrderType.findSigner(context.domain, order, request.signature) !== order.key) {
      throw new LilypadError('SIGNATURE_INVALID', 'The order is not signed by its key.', {
        details: [`Key: ${order.key}`],
        hint: `sign for chain ${context.domain.chainId} and vault ${context.domain.vault}; GET /network tells both`,
      })
    }
    // A known order is answered before any check: a retry after the deadline still has to find its job.
    const known = await findJob(context, orderHash)
    if (known) return { job: known, view: await toJobView(context.database, known), isNew: false }
    const running = inFlight.get(orderHash)
    if (running) return { ...(await running), isNew: false }
    const placing = placeNew(request, orderHash).finally(() => inFlight.delete(orderHash))
    inFlight.set(orderHash, placing)
    const placed = await placing
    if (placed.isNew) {
      context.log.info({ jobId: orderHash, provider: order.provider, module: order.moduleVersion }, 'job.reserved')
      context.signals.notify(orderHash)
      await context.providers.pushJob(placed.job)
    }
    return placed
  }
}

async function lockLedger(transaction: Transaction, { order }: OrderRequest) {
  const { payer, token } = order
  const lock = () =>
    transaction
      .select()
      .from(ledgers)
      .where(and(eq(ledgers.payer, payer), eq(ledgers.token, token)))
      .for('update')
  const [known] = await lock()
  if (known) return known
  await transaction
    .insert(ledgers)
    .values({ payer, token, ...emptyLedger })
    .onConflictDoNothing()
  const [ledger] = await lock()
  if (!ledger) throw new JobUnknownError()
  return ledger
}

async function insertJob(
  transaction: Transaction,
  request: OrderRequest,
  facts: { orderHash: Bytes32; laneId: Bytes32; reservation: string; now: number; with: readonly WithSubquery[] },
): Promise<{ readonly job: JobRow /** Characters of the request. */; readonly length: number }> {
  const { order } = request
  const { orderHash, now } = facts
  const json = z.encode(OrderRequest, request)
  const text = JSON.stringify(json)
  const files = [...new Map(listInputFiles(request.inputs).map(({ file }) => [file.sha256, file])).values()]
  // Ordered and reserved are one step here: an order that gets no reservation leaves nothing behind.
  const told = transaction.$with('told').as(
    transaction
      .insert(jobEvents)
      .values([
        toEventRow(orderHash, 1, { type: 'state', state: 'ordered', at: now }),
        toEventRow(orderHash, 2, { type: 'state', state: 'reserved', at: now }),
      ])
      .returning({ sequence: jobEvents.sequence }),
  )
  const [job] = await transaction
    .with(...facts.with, told)
    .insert(jobs)
    .values({
      orderHash,
      state: 'reserved',
      payer: order.payer,
      key: order.key,
      provider: order.provider,
      token: order.token,
      moduleVersion: order.moduleVersion,
      laneId: facts.laneId,
      nonce: order.nonce,
      startBy: order.startBy,
      deliverBy: order.deliverBy,
      request: text,
      order: JSON.stringify(json.order),
      reservation: facts.reservation,
      missingInputs: files.length,
      eventSequence: 2,
      createdAt: now,
      updatedAt: now,
    })
    .returning(lightColumns)
  if (!job) throw new JobUnknownError()
  if (files.length > 0) {
    const rows = files.map(({ sha256, bytes }) => ({
      orderHash,
      direction: 'input' as const,
      sha256,
      bytes,
      present: false,
    }))
    await transaction.insert(jobFiles).values(rows)
  }
  return { job, length: text.length }
}

/** Whether the database refuses a row because another has what only one may have. */
function isTaken(error: unknown): boolean {
  const { code, cause } = error as { readonly code?: unknown; readonly cause?: unknown }
  return code === '23505' || (cause instanceof Error && isTaken(cause))
}

function nonceUsed(nonce: number) {
  return new LilypadError('NONCE_USED', 'Another order of this lane has this nonce.', {
    details: [`Nonce: ${nonce}`],
    hint: 'sign the order with the next nonce of the lane',
  })
}
