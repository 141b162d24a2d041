import {
  type Bytes32,
  completeLane,
  type JobState,
  laneId,
  type LaneProgress,
  type PackedLane,
  type SettlementLanes,
  type SigningDomain,
  voucherType,
} from '@lilypad-agents/protocol'
import type { JobRow } from '../job/job-row.ts'

/** What decides whether this solver answers for the payment of a job. */
export type ReservedJob = Pick<
  JobRow,
  'state' | 'laneId' | 'nonce' | 'moduleVersion' | 'receiptHash' | 'price' | 'stepPrice' | 'settlementTransaction'
>

/** States in which a delivery is still to be paid; an expired one only if the payer's money suffices. */
const payableStates: readonly JobState[] = ['delivered', 'acknowledged', 'expired']
/** States in which a step is to be paid: with it the provider gives up the receipt, so any in which there may be none. */
const steppedStates: readonly JobState[] = ['running', 'failed', ...payableStates]

/** Whether a record pays a step of the job that its requester acknowledged here, and not its receipt. */
export function isStepOf(
  { receiptHash, stepPrice }: Pick<ReservedJob, 'receiptHash' | 'stepPrice'>,
  record: Pick<PackedLane['records'][number], 'receiptHash' | 'price'>,
): boolean {
  return stepPrice !== null && record.receiptHash !== receiptHash && record.price <= stepPrice
}

/**
 * Why this solver does not answer for a packed lane; undefined when it does. The signature is checked against how far the chain is:
 * bytes that fit this progress fit no later one, so two approvals for the same job can never both be used.
 */
export function findRefusal(
  packed: PackedLane,
  facts: {
    readonly domain: SigningDomain
    readonly settlement: SettlementLanes
    readonly jobs: ReadonlyMap<Bytes32, ReservedJob>
    /** Undefined when a job of the lane is unknown. */
    readonly progress: LaneProgress | undefined
  },
): string | undefined {
  const { domain, settlement, jobs, progress } = facts
  const id = laneId({ ...settlement, ...packed })
  const unknown = packed.records.find(({ orderHash }) => !jobs.has(orderHash))
  if (unknown) return `job ${unknown.orderHash} was not reserved here`
  if (!progress) return 'how far the chain is was not known; ask again'
  const { voucher, records } = completeLane(settlement, packed, progress)
  for (const record of records) {
    const job = jobs.get(record.orderHash)
    const problem = job ? findJobProblem(job, record, id) : 'was not reserved here'
    if (problem !== undefined) return `job ${record.orderHash} ${problem}`
  }
  if (voucherType.findSigner(domain, voucher, packed.signature) !== packed.key)
    return `the key did not sign these records as the next after the ${progress.settledJobs} that the chain has settled`
  return undefined
}

function findJobProblem(
  job: ReservedJob,
  record: ReturnType<typeof completeLane>['records'][number],
  id: Bytes32,
): string | undefined {
  if (job.laneId !== id) return 'belongs to another lane'
  if (job.settlementTransaction !== null) return 'is settled already'
  if (job.nonce !== record.nonce) return `has the nonce ${job.nonce}, not ${record.nonce}`
  // The key has signed for it, as for all records of the lane.
  if (isStepOf(job, record) && job.moduleVersion === record.moduleVersion)
    return steppedStates.includes(job.state) ? undefined : `is ${job.state}`
  if (!payableStates.includes(job.state) || job.receiptHash === null || job.price === null) return `is ${job.state}`
  if (job.receiptHash !== record.receiptHash) return 'was delivered with another receipt'
  if (job.moduleVersion !== record.moduleVersion) return 'runs another module version'
  if (record.price > job.price) return `costs ${job.price}, not ${record.price}`
  return undefined
}
