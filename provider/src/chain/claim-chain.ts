import type { Address, Bytes32, Hex, JobOrder, Receipt, SignedReservation } from '@lilypad-agents/protocol'

/** Where a job stands in the contract of claims, by the index of its status there. */
export const claimStatuses = [
  'none',
  'locked',
  'claimed',
  'disputed',
  'upheld',
  'denied',
  'paid',
  'refunded',
  'withdrawn',
] as const
export type ClaimStatus = (typeof claimStatuses)[number]

/** Everything that asks for the price of a job nobody acknowledged. */
export type ClaimItem = {
  readonly order: JobOrder
  readonly orderSignature: Hex
  readonly receipt: Receipt
  /** The solver's; a guarded payer cannot be claimed from without it. */
  readonly reservation: SignedReservation | undefined
}

/** A job as the contract of claims has it. */
export type ChainClaim = {
  readonly status: ClaimStatus
  /** First second, in Unix seconds, at which it can be finalized without a dispute. */
  readonly finalizableAt: number
}

/** Numbers that claims depend on. */
export type ClaimTerms = {
  /** Time after `deliverBy` in which a job can be claimed. */
  readonly claimGraceSeconds: number
  readonly challengeWindowSeconds: number
  readonly collateralRatioBips: number
  /** Most that is asked for on top of it from a provider without a reputation. */
  readonly newcomerCollateralBips: number
}

/** Collateral of this provider in one token, in base units. */
export type ProviderStake = { readonly active: bigint; readonly exposure: bigint; readonly free: bigint }

/**
 * The contract of claims and the collateral behind it. How many transactions a call takes is the implementation's affair: what matters is
 * what {@link ClaimChain.getClaim} says afterwards. Throws like `Chain`.
 */
export interface ClaimChain {
  getTerms(): Promise<ClaimTerms>
  getClaim(orderHash: Bytes32): Promise<ChainClaim>
  getStake(of: { readonly account: Address; readonly token: Address }): Promise<ProviderStake>
  /** Name of the error for which this claim would be refused now; undefined when it would not. */
  findClaimProblem(item: ClaimItem): Promise<string | undefined>
  /** Sends claims; gives the transactions, of whose fate nothing is known yet. A bad item does not keep the others from being claimed. */
  claim(items: readonly ClaimItem[]): Promise<readonly Bytes32[]>
  /** Sends the end of claims whose window is over or whose dispute is resolved. */
  finalize(orders: readonly JobOrder[]): Promise<readonly Bytes32[]>
  /**
   * Adds to the provider's stake out of its own tokens and its credit, as far as they go. Gives what was added, once it is on chain; a
   * crash in between leaves tokens in the provider's account, from which the next call takes them.
   */
  addStake(of: { readonly account: Address; readonly token: Address; readonly amount: bigint }): Promise<bigint>
  /** Takes a claim back, so that a voucher can pay the job. */
  withdraw(order: JobOrder): Promise<Bytes32>
}
