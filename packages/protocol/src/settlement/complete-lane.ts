import { appendRecord, type JobRecord } from '../voucher/job-record.ts'
import type { Voucher } from '../voucher/voucher.ts'
import type { PackedLane, SettlementLanes } from './settlement-lanes.ts'

/** How far the chain is in a lane. */
export type LaneProgress = {
  readonly settledAmount: bigint
  readonly settledJobs: number
  readonly nextNonce: number
}

/**
 * The voucher and records that the vault makes of a packed lane, given how far the lane is. The lane can be settled only while the key's
 * signature is over this voucher: every settlement of the lane moves the progress on, so no packed lane is ever paid twice.
 */
export function completeLane(
  terms: Pick<SettlementLanes, 'provider' | 'solver' | 'token'>,
  packed: PackedLane,
  progress: LaneProgress,
): { readonly voucher: Voucher; readonly records: readonly JobRecord[] } {
  const { provider, solver, token } = terms
  const { payer, key, lane, previousRecordsHash } = packed
  const records = packed.records.map((record, index) => ({
    ...record,
    nonce: record.nonce ?? progress.nextNonce + index,
  }))
  const voucher = {
    payer,
    key,
    provider,
    solver,
    token,
    lane,
    cumulativeAmount: records.reduce((sum, { price }) => sum + price, progress.settledAmount),
    jobs: progress.settledJobs + records.length,
    recordsHash: records.reduce(appendRecord, previousRecordsHash),
  }
  return { voucher, records }
}
