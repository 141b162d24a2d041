import type { Bytes32 } from '@lilypad-agents/protocol'
import type { LaneSettlement } from '@lilypad-agents/sdk'
import type { ChainLane } from '../chain/chain.ts'
import type { LaneEntry } from '../journal/journal.ts'

/** Vouchers of a lane that the chain may not have. */
export type LaneBacklog = {
  readonly laneId: Bytes32
  /** Jobs acknowledged in all. */
  readonly jobs: number
  /** Acknowledged jobs in order, without gaps, the last of them possibly before `jobs`. */
  readonly entries: readonly LaneEntry[]
  /** Running hash before the first of `entries`. */
  readonly previousRecordsHash: Bytes32
}

export type SettlementLimits = {
  /** Records in one transaction: bounds its gas. */
  readonly maxRecords: number
  readonly maxLanes: number
}

export const defaultSettlementLimits: SettlementLimits = { maxRecords: 1000, maxLanes: 200 }

/** The vault takes at most this many versions for the records of a lane. */
const maxModuleVersions = 256

/** A lane with what is to be settled of it. */
export type PlannedLane = { readonly laneId: Bytes32; readonly settlement: LaneSettlement }

export type SettlementPlan = {
  /** One transaction each. */
  readonly batches: readonly (readonly PlannedLane[])[]
  /** Lanes of which the chain has all. */
  readonly settled: readonly Bytes32[]
  /** Lanes that the journal cannot continue from where the chain is. */
  readonly broken: readonly { readonly laneId: Bytes32; readonly reason: string }[]
}

/**
 * Decides what to send, from what was acknowledged and what the chain says now. The chain's counters alone say what is
 * settled, so the same plan after a crash, a lost transaction or a reorganisation is right again.
 */
export function planSettlement(
  lanes: readonly LaneBacklog[],
  chain: ReadonlyMap<Bytes32, ChainLane>,
  limits: SettlementLimits = defaultSettlementLimits,
): SettlementPlan {
  const settled: Bytes32[] = []
  const broken: { laneId: Bytes32; reason: string }[] = []
  const batches: PlannedLane[][] = []
  let batch: PlannedLane[] = []
  let records = 0
  for (const lane of lanes) {
    const state = chain.get(lane.laneId)
    if (state === undefined) continue
    if (state.settledJobs === lane.jobs) {
      settled.push(lane.laneId)
      continue
    }
    const settlement = planLane(lane, state, limits)
    if (typeof settlement === 'string') {
      broken.push({ laneId: lane.laneId, reason: settlement })
      continue
    }
    const isFull = batch.length >= limits.maxLanes || records + settlement.records.length > limits.maxRecords
    if (isFull && batch.length > 0) {
      batches.push(batch)
      batch = []
      records = 0
    }
    batch.push({ laneId: lane.laneId, settlement })
    records += settlement.records.length
  }
  if (batch.length > 0) batches.push(batch)
  return { batches, settled, broken }
}

function planLane(lane: LaneBacklog, chain: ChainLane, limits: SettlementLimits): LaneSettlement | string {
  if (chain.settledJobs > lane.jobs)
    return `the chain has settled ${chain.settledJobs} jobs, the journal knows ${lane.jobs}`
  const start = lane.entries.findIndex(({ index }) => index === chain.settledJobs + 1)
  if (start < 0) return `the journal has no record of job ${chain.settledJobs + 1}`
  const previous = lane.entries[start - 1]
  const versions = new Set<Bytes32>()
  const taken: LaneEntry[] = []
  for (const entry of lane.entries.slice(start)) {
    versions.add(entry.record.moduleVersion)
    if (taken.length >= limits.maxRecords || versions.size > maxModuleVersions) break
    taken.push(entry)
  }
  const [first] = taken
  const last = taken.at(-1)
  if (first === undefined || last === undefined) return 'the lane has no voucher to send'
  const before = first.acknowledgement.voucher.cumulativeAmount - first.record.price
  if (before !== chain.settledAmount)
    return `the chain has settled ${chain.settledAmount}, the journal says ${before} for the same jobs`
  return {
    acknowledgement: last.acknowledgement,
    previousRecordsHash: previous?.recordsHash ?? lane.previousRecordsHash,
    records: taken.map(({ record }) => record),
    nextNonce: chain.nextNonce,
  }
}
