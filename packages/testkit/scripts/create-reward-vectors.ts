// Vectors of the reward formula, computed with 80 decimal digits by integers alone, so that doubles in TypeScript and fixed point in
// Solidity are both compared with a value that is neither.

/** Digits after the point of every number in here. */
const one = 10n ** 80n
const wad = 10n ** 18n
const supply = 1_000_000_000n * wad
const randomCases = 1200
const poolCases = 60

const multiply = (a: bigint, b: bigint): bigint => (a * b) / one

/** Natural logarithm of `numerator / denominator`, above zero: halved into [1, 2), then 2 artanh((m - 1) / (m + 1)). */
function logarithm(numerator: bigint, denominator: bigint): bigint {
  let mantissa = (numerator * one) / denominator
  let halvings = 0n
  for (; mantissa >= 2n * one; halvings++) mantissa /= 2n
  for (; mantissa < one; halvings--) mantissa *= 2n
  return halvings * ln2 + lnOfMantissa(mantissa)
}

function lnOfMantissa(mantissa: bigint): bigint {
  const ratio = ((mantissa - one) * one) / (mantissa + one)
  const square = multiply(ratio, ratio)
  let sum = 0n
  let term = ratio
  for (let n = 1n; term !== 0n; n += 2n) {
    sum += term / n
    term = multiply(term, square)
  }
  return 2n * sum
}

const ln2 = lnOfMantissa(2n * one)

/** e to the `x`: without its multiples of ln 2, then the series. */
function exponential(x: bigint): bigint {
  const doublings = x / ln2 - (x < 0n ? 1n : 0n)
  const rest = x - doublings * ln2
  let sum = 0n
  let term = one
  for (let n = 1n; term !== 0n; n++) {
    sum += term
    term = multiply(term, rest) / n
  }
  return doublings < 0n ? sum >> -doublings : sum << doublings
}

type Exponents = readonly [reputation: bigint, fee: bigint, collateral: bigint]
type Case = { readonly reputation: bigint; readonly fees: bigint; readonly collateral: bigint; readonly by: Exponents }

const min = (a: bigint, b: bigint): bigint => (a < b ? a : b)

/** The value in WAD, rounded down. */
function referenceValue({ reputation, fees, collateral, by }: Case): bigint {
  const factors = [
    [reputation, wad, by[0]],
    [min(fees, supply), 1n, by[1]],
    [min(collateral, supply), 1n, by[2]],
  ] as const
  if (fees === 0n || factors.some(([base, , exponent]) => base === 0n && exponent !== 0n)) return 0n
  const exponent = factors
    .filter(([, , power]) => power !== 0n)
    .reduce((sum, [base, unit, power]) => sum + (logarithm(base, unit) * power) / wad, 0n)
  return (exponential(exponent) * wad) / one
}

/** Numbers that are the same on every machine (SplitMix64). */
function createRandom(seed: bigint): (below: bigint) => bigint {
  const mask = (1n << 64n) - 1n
  let state = seed
  const next = (): bigint => {
    state = (state + 0x9e3779b97f4a7c15n) & mask
    let z = state
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & mask
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & mask
    return z ^ (z >> 31n)
  }
  return (below) => ((next() << 64n) | next()) % below
}

/** Exponents of provider, author, solver and mediator at deployment, in hundredths. */
const classes: readonly Exponents[] = [
  [50n, 60n, 40n],
  [0n, 100n, 0n],
  [25n, 75n, 25n],
  [50n, 50n, 50n],
].map(([a = 0n, b = 0n, c = 0n]) => [(a * wad) / 100n, (b * wad) / 100n, (c * wad) / 100n])

function createCases(): Case[] {
  const random = createRandom(2026n)
  const extremes = [0n, 1n, wad, supply, supply + 1n, (1n << 112n) - 1n]
  const reputations = [wad / 1_000_000n, wad / 20n, wad]
  const bounds: readonly Exponents[] = [...classes, [wad, wad, wad], [1n, 1n, 1n], [0n, 0n, 0n]]
  const cases: Case[] = []
  for (const by of bounds)
    for (const reputation of reputations)
      for (const fees of extremes) for (const collateral of extremes) cases.push({ reputation, fees, collateral, by })
  // Amounts of every magnitude: the number of bits is drawn first.
  const amount = (): bigint => random(1n << (1n + random(90n)))
  for (let index = 0; index < randomCases; index++) {
    const own: Exponents = [random(wad + 1n), random(wad + 1n), random(wad + 1n)]
    cases.push({
      reputation: wad / 1_000_000n + random(wad - wad / 1_000_000n + 1n),
      fees: amount(),
      collateral: amount(),
      by: classes[index % 8] ?? own,
    })
  }
  return cases
}

function createPools() {
  const random = createRandom(7n)
  return Array.from({ length: poolCases }, (_, index) => {
    const pool = index === 0 ? 0n : index === 1 ? 1n : random(supply + 1n)
    const count = 1 + Number(random(8n))
    const values = Array.from({ length: count }, () => 1n + random(1n << (1n + random(120n))))
    let remaining = pool
    const shares = values.map((value, at) => {
      const left = values.slice(at).reduce((sum, other) => sum + other, 0n)
      const share = (remaining * value) / left
      remaining -= share
      return share
    })
    return { pool: String(pool), values: values.map(String), shares: shares.map(String) }
  })
}

/** Columns rather than rows, because forge reads an array of numbers at once. */
export function createRewardVectors() {
  const cases = createCases()
  const column = (read: (item: Case) => bigint): string[] => cases.map((item) => String(read(item)))
  return {
    randomCases,
    values: {
      reputation: column((item) => item.reputation),
      fees: column((item) => item.fees),
      collateral: column((item) => item.collateral),
      reputationExponent: column((item) => item.by[0]),
      feeExponent: column((item) => item.by[1]),
      collateralExponent: column((item) => item.by[2]),
      value: column(referenceValue),
    },
    pools: createPools(),
  }
}
