import { jobVaultAbi } from '@lilypad-agents/abi'
import {
  type Address,
  type Bytes32,
  concatBytes,
  encodeWord,
  type Hex,
  type JobRecord,
  type SignedGrant,
  type SignedVoucher,
  toHex,
} from '@lilypad-agents/protocol'
import type { LilypadChain } from '../chain/lilypad-chain.ts'
import type { ContractCall } from '../chain/send-call.ts'

const call = (chain: LilypadChain, functionName: string, args: readonly unknown[]): ContractCall => ({
  address: chain.contracts.jobVault.address,
  abi: jobVaultAbi,
  functionName,
  args,
})

/** Deposits tokens of the sender for a beneficiary; the vault must be allowed to take them. The amount received is credited. */
export function depositCall(
  chain: LilypadChain,
  options: { readonly token: Address; readonly amount: bigint; readonly beneficiary: Address },
): ContractCall {
  return call(chain, 'deposit', [options.token, options.amount, options.beneficiary])
}

/** An EIP-3009 authorisation signed by the owner of the tokens. */
export type DepositAuthorization = {
  readonly token: Address
  readonly from: Address
  readonly amount: bigint
  readonly validAfter: bigint
  readonly validBefore: bigint
  readonly nonce: Bytes32
  readonly signature: Hex
}

const splitSignature = (signature: Hex) =>
  [
    Number.parseInt(signature.slice(130, 132), 16),
    signature.slice(0, 66) as Hex,
    `0x${signature.slice(66, 130)}` as Hex,
  ] as const

/** Deposits with a signature of the owner; anyone may send it, so the owner needs no ether. */
export function depositWithAuthorizationCall(chain: LilypadChain, options: DepositAuthorization): ContractCall {
  const { token, from, amount, validAfter, validBefore, nonce, signature } = options
  return call(chain, 'depositWithAuthorization', [
    token,
    from,
    amount,
    validAfter,
    validBefore,
    nonce,
    ...splitSignature(signature),
  ])
}

/** Deposits the sender's tokens with an EIP-2612 permit instead of an approval. */
export function depositWithPermitCall(
  chain: LilypadChain,
  options: {
    readonly token: Address
    readonly amount: bigint
    readonly beneficiary: Address
    readonly deadline: bigint
    readonly signature: Hex
  },
): ContractCall {
  const { token, amount, beneficiary, deadline, signature } = options
  return call(chain, 'depositWithPermit', [token, amount, beneficiary, deadline, ...splitSignature(signature)])
}

/** Starts a withdrawal; the money leaves after the vault's delay and pays orders until then. */
export function requestWithdrawCall(
  chain: LilypadChain,
  options: { readonly token: Address; readonly amount: bigint },
): ContractCall {
  return call(chain, 'requestWithdraw', [options.token, options.amount])
}

/** Takes back a withdrawal that was requested. */
export function cancelWithdrawCall(chain: LilypadChain, options: { readonly token: Address }): ContractCall {
  return call(chain, 'cancelWithdraw', [options.token])
}

/** Pays out a withdrawal whose delay is over. */
export function finalizeWithdrawCall(
  chain: LilypadChain,
  options: { readonly token: Address; readonly receiver: Address },
): ContractCall {
  return call(chain, 'finalizeWithdraw', [options.token, options.receiver])
}

/** Puts a payer's grant on chain; anyone may send it. */
export function registerGrantCall(chain: LilypadChain, options: SignedGrant): ContractCall {
  const { grant } = options
  return call(chain, 'registerGrant', [{ ...grant, validUntil: BigInt(grant.validUntil) }, options.signature])
}

/** Ends a key's authority, and voids unregistered grants up to this nonce. */
export function revokeGrantCall(
  chain: LilypadChain,
  options: { readonly key: Address; readonly token: Address; readonly upToNonce: bigint },
): ContractCall {
  return call(chain, 'revokeGrant', [options.key, options.token, options.upToNonce])
}

/** Jobs of one lane to settle: the newest voucher and every record since the chain's count. */
export type LaneSettlement = {
  readonly acknowledgement: SignedVoucher
  /** Running hash of the lane before the first of `records`. */
  readonly previousRecordsHash: Bytes32
  readonly records: readonly JobRecord[]
}

function toLane({ acknowledgement, previousRecordsHash, records }: LaneSettlement) {
  const { voucher, signature } = acknowledgement
  const moduleVersions = [...new Set(records.map((record) => record.moduleVersion))]
  if (moduleVersions.length > 256) throw new RangeError('at most 256 module versions in one lane settlement')
  const packed = records.map((record) =>
    concatBytes(
      encodeWord('bytes32', record.orderHash),
      encodeWord('bytes32', record.receiptHash),
      encodeWord('uint128', record.price).slice(16),
      encodeWord('uint64', record.nonce).slice(24),
      new Uint8Array([moduleVersions.indexOf(record.moduleVersion)]),
    ),
  )
  return {
    voucher: { ...voucher, lane: BigInt(voucher.lane), jobs: BigInt(voucher.jobs) },
    signature,
    previousRecordsHash,
    moduleVersions,
    records: toHex(concatBytes(...packed)),
  }
}

/** Settles many lanes in one transaction. A bad lane is skipped and reported by an event, it never reverts the others. */
export function settleCall(chain: LilypadChain, options: { readonly lanes: readonly LaneSettlement[] }): ContractCall {
  return call(chain, 'settle', [options.lanes.map(toLane)])
}

/** Settles one lane, and reverts with the reason when it cannot. The cheapest form for a lone job. */
export function settleLaneCall(chain: LilypadChain, options: { readonly lane: LaneSettlement }): ContractCall {
  return call(chain, 'settleLane', [toLane(options.lane)])
}

/** Pays the sender's credit out to itself. */
export function withdrawCreditCall(chain: LilypadChain, options: { readonly token: Address }): ContractCall {
  return call(chain, 'withdrawCredit', [options.token])
}
