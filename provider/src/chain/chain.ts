import type { Address, Bytes32, Hex, SettlementLanes, SignedGrant } from '@lilypad-agents/protocol'
import type { LaneSettlement } from '@lilypad-agents/sdk'
import type { ChainGrant, PayerAccount } from '../order/check-order.ts'
import type { ClaimChain } from './claim-chain.ts'

/** What the chain has settled of a lane. Nonces below `nextNonce` are used. */
export type ChainLane = { readonly settledJobs: number; readonly settledAmount: bigint; readonly nextNonce: number }

/** A version as the registry has it. */
export type ChainVersion = { readonly manifestDigest: Bytes32; readonly isDeprecated: boolean }

/** A solver's consent to a settlement of the payers it guards. */
export type Approval = { readonly approvedUntil: number; readonly approval: Hex }

/** When an announced settlement can be paid without the guardian; `now` is the chain's time. All in Unix seconds. */
export type ChainAnnouncement = { readonly executableAt: number; readonly expiresAt: number; readonly now: number }

/** A transaction in a block. `skipped` lanes were not settled by it; `reason` is the name of the vault's error. */
export type IncludedTransaction = {
  readonly hasSucceeded: boolean
  readonly blockNumber: number
  readonly skipped: readonly { readonly laneId: Bytes32; readonly reason: string }[]
}

/**
 * The contracts as the provider needs them. Every call throws RPC_UNREACHABLE when the chain does not answer, and
 * CONTRACT_REVERTED when a contract refuses.
 */
export interface Chain {
  readonly claims: ClaimChain
  /** Time of the newest block, in Unix seconds. */
  getTime(): Promise<number>
  /** Price of a unit of gas now, in wei. */
  getGasPrice(): Promise<bigint>
  /** Ether that an account has for gas, in wei. */
  getEther(account: Address): Promise<bigint>
  /** Undefined when the registry does not know the version. */
  findVersion(moduleVersion: Bytes32): Promise<ChainVersion | undefined>
  getAccount(of: { readonly payer: Address; readonly token: Address }): Promise<PayerAccount>
  getGrant(of: { readonly payer: Address; readonly key: Address; readonly token: Address }): Promise<ChainGrant>
  getLane(laneId: Bytes32): Promise<ChainLane>
  getCredit(of: { readonly account: Address; readonly token: Address }): Promise<bigint>
  /** Whether a payer that may be a contract stands behind a signature (ERC-1271, ERC-6492). */
  isSignedByPayer(payer: Address, digest: Bytes32, signature: Hex): Promise<boolean>
  /** Name of the error for which the vault would not settle this lane now; undefined when it would. */
  findLaneProblem(lane: LaneSettlement): Promise<string | undefined>
  /**
   * Sends one transaction and returns its hash; nothing is known of its fate yet. `approvals` are the consents of guardians, by the
   * hash of the settlement they cover.
   */
  settle(lanes: readonly LaneSettlement[], approvals?: ReadonlyMap<Bytes32, Approval>): Promise<Bytes32>
  /** Announces the only lane of a settlement, which can be paid without its guardian after a delay. */
  announce(settlement: SettlementLanes): Promise<Bytes32>
  findAnnouncement(settlementHash: Bytes32): Promise<ChainAnnouncement | undefined>
  settleAnnounced(settlement: SettlementLanes): Promise<Bytes32>
  registerGrant(grant: SignedGrant): Promise<Bytes32>
  waitForTransaction(transaction: Bytes32, signal?: AbortSignal): Promise<IncludedTransaction>
}
