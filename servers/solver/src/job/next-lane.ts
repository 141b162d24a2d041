import {
  appendRecord,
  type Bytes32,
  type JobOrder,
  LilypadError,
  type Voucher,
  zeroBytes32,
} from '@lilypad-agents/protocol'

/** Where a lane stands after its newest acknowledgement. */
export type LaneHead = { readonly jobs: number; readonly cumulativeAmount: bigint; readonly recordsHash: Bytes32 }

export const emptyLane: LaneHead = { jobs: 0, cumulativeAmount: 0n, recordsHash: zeroBytes32 }

/**
 * The lane after one more job, if the voucher says exactly that.
 * @throws LilypadError `ACKNOWLEDGEMENT_OUT_OF_ORDER` when another job of the lane comes first, `VERIFICATION_FAILED` when the sums or the records differ
 */
export function nextLane(
  lane: LaneHead,
  voucher: Voucher,
  job: { readonly orderHash: Bytes32; readonly order: JobOrder; readonly receiptHash: Bytes32; readonly price: bigint },
): LaneHead {
  const { order, orderHash, receiptHash, price } = job
  for (const member of ['payer', 'key', 'provider', 'solver', 'token', 'lane'] as const) {
    if (voucher[member] !== order[member]) throw mismatch(`${member}`, order[member], voucher[member])
  }
  const expectedJobs = lane.jobs + 1
  if (voucher.jobs !== expectedJobs) {
    throw new LilypadError('ACKNOWLEDGEMENT_OUT_OF_ORDER', 'Acknowledgements of a lane come one after the other.', {
      details: [`Expected: jobs ${expectedJobs}   Actual: jobs ${voucher.jobs}`],
      hint: 'send the acknowledgements of this lane that come first, then this one again',
    })
  }
  const next = {
    jobs: expectedJobs,
    cumulativeAmount: lane.cumulativeAmount + price,
    recordsHash: appendRecord(lane.recordsHash, {
      orderHash,
      receiptHash,
      moduleVersion: order.moduleVersion,
      price,
      nonce: order.nonce,
    }),
  }
  if (voucher.cumulativeAmount !== next.cumulativeAmount)
    throw mismatch('cumulativeAmount', next.cumulativeAmount, voucher.cumulativeAmount)
  if (voucher.recordsHash !== next.recordsHash) throw mismatch('recordsHash', next.recordsHash, voucher.recordsHash)
  return next
}

function mismatch(member: string, expected: unknown, actual: unknown) {
  return new LilypadError('VERIFICATION_FAILED', 'The acknowledgement does not fit the job and its lane.', {
    details: [`${member}: Expected: ${expected}   Actual: ${actual}`],
    hint: 'sign the voucher over the receipt that this solver shows',
  })
}
