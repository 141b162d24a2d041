import type { Address } from '@lilypad-agents/protocol'

/** How strangers pay by x402. */
export type X402Config = {
  /** Tokens beside LILY, each worth one dollar. */
  readonly dollarTokens: readonly Address[]
  /** Whether payments to others are settled too. */
  readonly isFacilitator: boolean
  /** Comes to the price of a request, in base units of LILY: what settling it costs. */
  readonly fee: bigint
  /** Least a transfer is worth that gas is paid for, in base units of LILY: smaller change is signed and left to its payer to send. */
  readonly minTransfer: bigint
  /** Wei per unit of gas above which nothing is sent. */
  readonly maxGasPrice: bigint
  /** Wei that all transactions of 24 hours may cost. */
  readonly gasPerDay: bigint
}
