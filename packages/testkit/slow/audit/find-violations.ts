import { DatabaseSync } from 'node:sqlite'
import { jobVaultAbi } from '@lilypad-agents/abi'
import { type Address, type Bytes32, laneId, receiptType, zeroBytes32 } from '@lilypad-agents/protocol'
import {
  auditVault,
  type ChainClient,
  createLilypad,
  getAccount,
  type Network,
  signingDomain,
  type StoredJob,
  sumSpend,
} from '@lilypad-agents/sdk'
import { sqliteStore } from '@lilypad-agents/sdk/node'
import { getAbiItem } from 'viem'
import { openDatabase } from '../../../../servers/solver/src/db/open-database.ts'
import { jobs as solverJobs, ledgers, reservations } from '../../../../servers/solver/src/db/schema.ts'
import { readPromises } from '../lane/promise-file.ts'

/** Store of one client of the network, and what its callers were told. */
export type AuditedStore = { readonly name: string; readonly directory: string; readonly promiseFile: string }

export type AuditOptions = {
  readonly network: Network
  readonly client: ChainClient
  readonly payer: Address
  readonly balanceBefore: bigint
  readonly stores: readonly AuditedStore[]
  /** Of the stopped provider. */
  readonly journalFile: string
  /** Of the stopped solver. */
  readonly solverDatabase: string
  /** Jobs that the lane gives a reason to fail; they must be free. @default none */
  readonly mayFail?: (job: StoredJob) => boolean
}

export type AuditResult = {
  readonly violations: readonly string[]
  readonly jobs: number
  readonly settled: number
  /** Jobs that the provider began more than once. */
  readonly reruns: number
  /** Jobs whose requester names a transaction that a lost block took with it; they are settled in another. */
  readonly staleTransactions: number
  readonly paid: bigint
}

const freeStates: readonly StoredJob['state'][] = ['failed', 'declined', 'expired']

/**
 * Compares what everybody has on disk with the chain after everything has come to rest: nothing lost, nothing double,
 * all sums equal. It asks no server; what it reads is what a stranger with the same files could read.
 */
export async function findViolations(options: AuditOptions): Promise<AuditResult> {
  const { network, client, payer, balanceBefore, mayFail = () => false } = options
  const domain = signingDomain(client.chain)
  const token = network.contracts.lilyToken
  const violations: string[] = []
  const check = (holds: boolean, violation: () => string) => {
    if (!holds) violations.push(violation())
  }
  const event = getAbiItem({ abi: jobVaultAbi, name: 'JobSettled' })
  const logs = await client.getLogs({ address: network.contracts.jobVault, event, fromBlock: 0n, strict: true })
  const settled = new Map<Bytes32, (typeof logs)[number]['args']>()
  const transactions = new Map(logs.map((log) => [log.args.orderHash, log.transactionHash]))
  for (const { args } of logs) {
    check(!settled.has(args.orderHash), () => `double: ${args.orderHash} is settled twice on chain`)
    settled.set(args.orderHash, args)
  }
  const paid = logs.reduce((sum, { args }) => sum + args.price, 0n)

  const jobs = new Map<Bytes32, StoredJob>()
  const nonces = new Set<string>()
  for (const { name, directory, promiseFile } of options.stores) {
    const store = sqliteStore(directory)
    try {
      // Without a key nothing can be fetched: what verifies now is in the store itself.
      const lilypad = createLilypad({ network, store })
      const listed = await lilypad.listJobs()
      const known = new Map(listed.map((job) => [job.orderHash, job]))
      for (const promise of readPromises(promiseFile)) {
        const [what, orderHash = ''] = promise.split(' ')
        const job = known.get(orderHash as Bytes32)
        check(job !== undefined, () => `lost: ${name} was told of order ${orderHash} and its store does not know it`)
        if (what === 'completed')
          check(job?.price != null, () => `lost: ${name} was told that ${orderHash} is complete`)
      }
      for (const job of listed) {
        const { orderHash, order, state, price } = job
        const nonce = `${laneId(order)} ${order.nonce}`
        check(!nonces.has(nonce), () => `double: nonce ${nonce} is in two orders`)
        nonces.add(nonce)
        check(!jobs.has(orderHash), () => `double: order ${orderHash} is in two stores`)
        jobs.set(orderHash, job)
        const onChain = settled.get(orderHash)
        if (state !== 'settled') {
          const why = job.reason === null ? '' : `: ${job.reason.message}`
          check(
            freeStates.includes(state) && mayFail(job),
            () => `lost: ${name}'s ${orderHash} is ${freeStates.includes(state) ? '' : 'still '}${state}${why}`,
          )
          check((price ?? 0n) === 0n && !onChain, () => `paid for nothing: ${name}'s ${orderHash} is ${state}`)
          continue
        }
        check(onChain !== undefined, () => `lost: ${name}'s ${orderHash} is settled for the store and not on chain`)
        check(
          onChain?.price === price,
          () => `price: ${name}'s ${orderHash} cost ${onChain?.price}, its store says ${price}`,
        )
        const receiptHash = job.delivery && receiptType.hash(domain, job.delivery.receipt)
        check(
          onChain?.receiptHash === receiptHash,
          () => `receipt: ${name}'s ${orderHash} was settled with another receipt`,
        )
        const failed = await lilypad.verify(orderHash).then(
          ({ checks }) => checks.filter(({ ok }) => !ok).map((each) => each.name),
          (error: unknown) => [String(error).slice(0, 200)],
        )
        check(
          failed.length === 0,
          () => `output lost: ${name}'s ${orderHash} does not verify offline: ${failed.join('; ')}`,
        )
      }
      const entries = listed.map(({ order, ...rest }) => ({
        ...rest,
        kind: 'job' as const,
        maxPrice: order.maxPrice,
        deliverBy: order.deliverBy,
      }))
      const spent = sumSpend(entries, Number.MAX_SAFE_INTEGER).total
      const charged = listed.reduce((sum, { orderHash }) => sum + (settled.get(orderHash)?.price ?? 0n), 0n)
      check(spent === charged, () => `ledger: ${name} counts ${spent} as spent, the chain has ${charged}`)
    } finally {
      await store.close()
    }
  }
  for (const orderHash of settled.keys())
    check(jobs.has(orderHash), () => `unknown: ${orderHash} was settled and nobody ordered it`)

  const { balance } = await getAccount(client, { payer, token })
  check(
    balanceBefore - balance === paid,
    () => `sums: the payer has ${balanceBefore - balance} less, the prices sum to ${paid}`,
  )
  const vault = await auditVault(client, { token })
  check(vault.difference === 0n, () => `sums: the vault holds ${vault.difference} more than its books`)
  violations.push(...findJournalViolations(options.journalFile, jobs, domain))
  violations.push(...(await findSolverViolations(options.solverDatabase, jobs)))
  const settledJobs = [...jobs.values()].filter(({ state }) => state === 'settled')
  return {
    violations,
    jobs: jobs.size,
    settled: settled.size,
    reruns: settledJobs.filter(({ delivery }) => Number(delivery?.manifest.predicate.machine.attempts) > 1).length,
    staleTransactions: settledJobs.filter(
      ({ orderHash, settlement }) => settlement?.transaction !== transactions.get(orderHash),
    ).length,
    paid,
  }
}

/** The provider's journal: one receipt per order, the one its requester has, and lanes without gaps. */
function findJournalViolations(
  file: string,
  jobs: ReadonlyMap<Bytes32, StoredJob>,
  domain: Parameters<typeof receiptType.hash>[0],
): readonly string[] {
  const violations: string[] = []
  const database = new DatabaseSync(file, { readOnly: true })
  try {
    const rows = database.prepare('SELECT order_hash, phase, receipt_hash FROM jobs').all()
    if (new Set(rows.map((row) => row.order_hash)).size !== rows.length)
      violations.push('double: an order is in the journal twice')
    const receipts = new Map(rows.map((row) => [String(row.order_hash), row.receipt_hash]))
    for (const [orderHash, { state, delivery }] of jobs) {
      if (!delivery) continue
      if (receipts.get(orderHash) !== receiptType.hash(domain, delivery.receipt))
        violations.push(`double: the provider has another receipt for ${orderHash} (${state}) than its requester`)
    }
    for (const row of rows) {
      const job = jobs.get(row.order_hash as Bytes32)
      if (!job) violations.push(`unknown: the provider has ${row.order_hash}, which nobody ordered`)
      else if (['accepted', 'finished'].includes(String(row.phase)))
        violations.push(
          `unfinished: ${row.order_hash} is ${row.phase} for the provider and ${job.state} for its requester`,
        )
    }
    const lanes = database
      .prepare('SELECT lane_id, jobs, cumulative_amount, settled_jobs, settled_amount FROM lanes')
      .all()
    for (const lane of lanes) {
      const [acknowledged] = database
        .prepare('SELECT count(*) AS jobs, max(position) AS last FROM acknowledgements WHERE lane_id = ?')
        .all(String(lane.lane_id))
      const isWhole = acknowledged?.jobs === lane.jobs && Number(acknowledged?.last ?? 0) === lane.jobs
      if (!isWhole)
        violations.push(
          `lane ${lane.lane_id}: ${acknowledged?.jobs} vouchers up to ${acknowledged?.last}, ${lane.jobs} jobs`,
        )
      if (lane.settled_jobs !== lane.jobs || lane.settled_amount !== lane.cumulative_amount)
        violations.push(`lane ${lane.lane_id}: ${lane.settled_jobs} of ${lane.jobs} jobs are settled for the provider`)
    }
  } finally {
    database.close()
  }
  return violations
}

/** The solver's books: every job at rest, no money held any more, one chain of reservations without gaps. */
async function findSolverViolations(
  directory: string,
  jobs: ReadonlyMap<Bytes32, StoredJob>,
): Promise<readonly string[]> {
  const violations: string[] = []
  const { database, close } = await openDatabase({ directory })
  try {
    const rows = await database.select({ orderHash: solverJobs.orderHash, state: solverJobs.state }).from(solverJobs)
    for (const { orderHash, state } of rows) {
      const job = jobs.get(orderHash)
      if (!job) violations.push(`unknown: the solver has ${orderHash}, which nobody ordered`)
      else if (job.state !== state)
        violations.push(`state: ${orderHash} is ${state} for the solver and ${job.state} for its requester`)
    }
    for (const { payer, outstanding, sequence } of await database.select().from(ledgers)) {
      if (outstanding !== 0n) violations.push(`held: the solver still holds ${outstanding} of ${payer}`)
      const chained = (await database.select().from(reservations)).filter((each) => each.payer === payer)
      chained.sort((a, b) => a.sequence - b.sequence)
      const isChain = chained.every(
        (each, index) => each.sequence === index + 1 && each.previous === (chained[index - 1]?.hash ?? zeroBytes32),
      )
      if (!isChain || chained.length !== sequence)
        violations.push(`reservations of ${payer} are no chain of ${sequence}`)
    }
  } finally {
    await close()
  }
  return violations
}
