/** Ten to the power of ether's decimals. */
const weiPerEther = 10n ** 18n

/**
 * What gas costs in base units of the token jobs are paid in, rounded up. Nobody on chain says what ether is worth in LILY, so the operator
 * does; without a rate gas counts as free.
 */
export function gasValueRoundedUp(options: {
  readonly gas: bigint
  /** In wei. */
  readonly gasPrice: bigint
  /** Base units of the token for one ether. */
  readonly tokenPerEther: bigint | undefined
}): bigint {
  const { gas, gasPrice, tokenPerEther = 0n } = options
  return (gas * gasPrice * tokenPerEther + weiPerEther - 1n) / weiPerEther
}
