import type { Address, Bytes32, Hex } from '@lilypad-agents/protocol'

/** What a payer has in the vault, in base units of the token. */
export type ChainAccount = { readonly balance: bigint; readonly pendingWithdrawal: bigint }

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

type Range = { readonly fromBlock: number; readonly toBlock: number }

/** What the solver reads from the chain. It writes nothing there. */
export type Chain = {
  getChainId(): Promise<number>
  getBlockNumber(): Promise<number>
  /** The smaller of what the newest and the confirmed block say. */
  getAccount(options: { readonly payer: Address; readonly token: Address }): Promise<ChainAccount>
  getGrant(options: { readonly payer: Address; readonly key: Address; readonly token: Address }): Promise<ChainGrant>
  isNonceUsed(options: { readonly laneId: Bytes32; readonly nonce: number }): Promise<boolean>
  /** Whether the account, which may be a contract (ERC-1271, ERC-6492), signed the digest. */
  isSignedBy(options: {
    readonly address: Address
    readonly digest: Bytes32
    readonly signature: Hex
  }): Promise<boolean>
  findVersion(moduleVersion: Bytes32): Promise<ChainVersion | undefined>
  listSettlements(range: Range): Promise<readonly ChainSettlement[]>
  /** Module versions deprecated in these blocks. */
  listDeprecations(range: Range): Promise<readonly Bytes32[]>
}
