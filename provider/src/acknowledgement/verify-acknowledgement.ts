import {
  appendRecord,
  type Bytes32,
  type ErrorCode,
  type JobOrder,
  type JobRecord,
  laneId,
  type SignedVoucher,
  type SigningDomain,
  voucherType,
} from '@lilypad-agents/protocol'

/** What a lane has come to before the voucher. */
export type LaneTip = { readonly jobs: number; readonly cumulativeAmount: bigint; readonly recordsHash: Bytes32 }

export type Acknowledged =
  | { readonly kind: 'valid' }
  /** Jobs acknowledged before it have not arrived yet: try again when they have. */
  | { readonly kind: 'early' }
  | { readonly kind: 'invalid'; readonly code: ErrorCode; readonly reason: string }

/** Judges a voucher as payment of one job: the vault would accept it, and it adds this job at its price and nothing else. */
export function verifyAcknowledgement(options: {
  readonly domain: SigningDomain
  readonly order: JobOrder
  readonly record: JobRecord
  readonly tip: LaneTip
  readonly acknowledgement: SignedVoucher
}): Acknowledged {
  const { domain, order, record, tip } = options
  const { voucher, signature } = options.acknowledgement
  const invalid = (code: ErrorCode, reason: string) => ({ kind: 'invalid', code, reason }) as const
  if (laneId(voucher) !== laneId(order)) return invalid('INVALID_REQUEST', 'the voucher is for another lane')
  if (voucherType.findSigner(domain, voucher, signature) !== order.key)
    return invalid('SIGNATURE_INVALID', 'the voucher is not signed by the key of the order')
  if (voucher.jobs > tip.jobs + 1) return { kind: 'early' }
  if (voucher.jobs !== tip.jobs + 1)
    return invalid('ACKNOWLEDGEMENT_OUT_OF_ORDER', `expected job ${tip.jobs + 1} of the lane, got ${voucher.jobs}`)
  const expected = tip.cumulativeAmount + record.price
  if (voucher.cumulativeAmount !== expected)
    return invalid('VERIFICATION_FAILED', `expected a sum of ${expected}, got ${voucher.cumulativeAmount}`)
  if (voucher.recordsHash !== appendRecord(tip.recordsHash, record))
    return invalid('VERIFICATION_FAILED', 'the voucher commits to other jobs')
  return { kind: 'valid' }
}
