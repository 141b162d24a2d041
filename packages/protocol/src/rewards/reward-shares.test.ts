import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { rewardShares } from './reward-shares.ts'

const Numbers = z.array(z.string().transform((text) => BigInt(text)))
const Vectors = z.object({
  pools: z.array(z.object({ pool: z.string(), values: Numbers, shares: Numbers })).min(50),
})
const file = new URL('../../../../contracts/test/vectors/rewards.json', import.meta.url)

test('the shared vectors, exactly', () => {
  const { pools } = Vectors.parse(JSON.parse(readFileSync(file, 'utf8')))
  for (const { pool, values, shares } of pools) expect(rewardShares(BigInt(pool), values)).toEqual(shares)
})

test('shares sum to the pool, and are off their fraction by less than a unit for each claim before', () => {
  const amount = fc.bigInt({ min: 0n, max: 1n << 90n })
  fc.assert(
    fc.property(amount, fc.array(amount, { minLength: 1, maxLength: 12 }), (pool, values) => {
      const total = values.reduce((sum, value) => sum + value, 0n)
      const shares = rewardShares(pool, values)
      expect(shares.reduce((sum, share) => sum + share, 0n)).toBe(total === 0n ? 0n : pool)
      for (const [index, share] of shares.entries()) {
        const value = values[index] ?? 0n
        if (value === 0n) expect(share).toBe(0n)
        else if (index === 0) expect(share).toBe((pool * value) / total)
      }
    }),
  )
})
