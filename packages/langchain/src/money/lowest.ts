/** The lowest of amounts. */
export function lowest(first: bigint, ...others: readonly bigint[]): bigint {
  let least = first
  for (const amount of others) if (amount < least) least = amount
  return least
}
