import {
  type Address,
  appendRecord,
  type Bytes32,
  type JobRecord,
  keccak256,
  type Lane,
  type Signer,
  type SigningDomain,
  voucherType,
  zeroBytes32,
} from '@lilypad-agents/protocol'
import type { LaneSettlement } from '@lilypad-agents/sdk'

/** Price of every job here, in base units of LILY. */
export const jobPrice = 1_000_000_000_000_000n

export type LaneWriter = {
  readonly lane: Lane
  /** Acknowledges so many more jobs and gives what settles them. */
  acknowledge(jobs: number): LaneSettlement
}

/**
 * A lane whose jobs nobody ran: the vault sees vouchers and records only. Hashes are derived from the lane, so that every
 * run sends the same bytes.
 */
export function createLaneWriter(options: {
  readonly domain: SigningDomain
  readonly payer: Address
  readonly signer: Signer
  readonly provider: Address
  readonly solver: Address
  readonly token: Address
  readonly moduleVersion: Bytes32
}): LaneWriter {
  const { domain, payer, signer, provider, solver, token, moduleVersion } = options
  const lane: Lane = { payer, key: signer.address, provider, solver, token, lane: 0 }
  let jobs = 0
  let recordsHash = zeroBytes32
  return {
    lane,
    acknowledge(count) {
      const previousRecordsHash = recordsHash
      const records = Array.from({ length: count }, (_, index): JobRecord => {
        const nonce = jobs + index
        const name = `${payer} ${signer.address} ${nonce}`
        return {
          orderHash: keccak256(`order ${name}`),
          receiptHash: keccak256(`receipt ${name}`),
          moduleVersion,
          price: jobPrice,
          nonce,
        }
      })
      jobs += count
      recordsHash = records.reduce(appendRecord, recordsHash)
      const voucher = { ...lane, cumulativeAmount: BigInt(jobs) * jobPrice, jobs, recordsHash }
      return {
        acknowledgement: { voucher, signature: voucherType.sign(domain, voucher, signer) },
        previousRecordsHash,
        records,
        nextNonce: jobs - count,
      }
    },
  }
}
