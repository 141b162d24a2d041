import type { Address, Bytes32, Hex, LaneProgress, SettlementLanes } from '@lilypad-agents/protocol'

/** What a payer has in the vault, in base units of the token. */
export type ChainAccount = {
  readonly balance: bigint
  readonly pendingWithdrawal: bigint
  /** Solver without whose consent nothing leaves before the withdraw delay; zero when there is none. */
  readonly guardian: Address
  readonly nextGuardian: Address
  /** From when anyone can put the next guardian into force; zero when no change is pending. */
  readonly guardianChangesAt: number
}

/** A session grant as the vault knows it. */
export type ChainGrant = {
  readonly isKnown: boolean
  readonly nonce: bigint
  readonly perJob: bigint
  readonly perDay: bigint
  readonly remaining: bigint
  readonly spentToday: bigint
  /** UTC day of `spentToday`, counted from 1970-01-01. */
  readonly day: number
  /** Last second the key may order. */
  readonly validUntil: number
  /** Until then the vault refuses a grant that narrows this one. */
  readonly liveUntil: number
}

/** A module version in the registry. */
export type ChainVersion = {
  readonly author: Address
  readonly feeBips: number
  readonly manifestDigest: Bytes32
  readonly isDeprecated: boolean
  readonly publishedAtBlock: number
}

/** A `JobSettled` event. Its order hash is what the two signers of a voucher wrote, so it proves a payment of this payer to this provider only. */
export type ChainSettlement = {
  readonly orderHash: Bytes32
  readonly receiptHash: Bytes32
  readonly price: bigint
  readonly payer: Address
  readonly provider: Address
  readonly transaction: Bytes32
  readonly blockNumber: number
}

/** A `SettlementAnnounced` event: money that leaves without the guardian after a delay. */
export type ChainAnnouncement = {
  readonly settlementHash: Bytes32
  readonly payer: Address
  readonly token: Address
  readonly amount: bigint
  /** Last second in which it can be settled. */
  readonly expiresAt: number
  readonly blockNumber: number
  /** What was announced, when the transaction shows it: another contract may have called the vault. */
  readonly settlement: SettlementLanes | undefined
}

type Range = { readonly fromBlock: number; readonly toBlock: number }

/** What the solver reads from the chain. It writes nothing there. */
export type Chain = {
  getChainId(): Promise<number>
  getBlockNumber(): Promise<number>
  /** The smaller of what the newest and the confirmed block say. */
  getAccount(options: { readonly payer: Address; readonly token: Address }): Promise<ChainAccount>
  getGrant(options: { readonly payer: Address; readonly key: Address; readonly token: Address }): Promise<ChainGrant>
  getLane(laneId: Bytes32): Promise<LaneProgress>
  isNonceUsed(options: { readonly laneId: Bytes32; readonly nonce: number }): Promise<boolean>
  /** Whether the account, which may be a contract (ERC-1271, ERC-6492), signed the digest. */
  isSignedBy(options: {
    readonly address: Address
    readonly digest: Bytes32
    readonly signature: Hex
  }): Promise<boolean>
  findVersion(moduleVersion: Bytes32): Promise<ChainVersion | undefined>
  listSettlements(range: Range): Promise<readonly ChainSettlement[]>
  listAnnouncements(range: Range): Promise<readonly ChainAnnouncement[]>
  /** Module versions deprecated in these blocks. */
  listDeprecations(range: Range): Promise<readonly Bytes32[]>
}
