/**
 * Splits a pool by values exactly as `Rewards` does when they are claimed in this order: each share is rounded down on what is left, so
 * that the shares sum to the pool.
 *
 * @param values In any one unit, such as those of `Rewards.getValue`; a value of zero has no share.
 * @returns One share for each value; nothing is shared when there is no value.
 */
export function rewardShares(pool: bigint, values: readonly bigint[]): bigint[] {
  let remaining = pool
  let sumOfValues = values.reduce((sum, value) => sum + value, 0n)
  return values.map((value) => {
    if (value === 0n) return 0n
    const share = (remaining * value) / sumOfValues
    remaining -= share
    sumOfValues -= value
    return share
  })
}
