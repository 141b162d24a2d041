import { expect, test } from 'vitest'
import { chooseLanes, settlementGasOf } from './choose-lanes.ts'
import { gasValueRoundedUp } from './gas-value.ts'

const now = 10_000
const lane = (name: string, pending: bigint, change: { jobs?: number; oldestUnsettledAt?: number } = {}) => ({
  name,
  jobs: 1,
  settledJobs: 0,
  cumulativeAmount: pending,
  settledAmount: 0n,
  oldestUnsettledAt: now - 10,
  ...change,
})
/** A unit of gas costs one base unit, so that values and gas compare at sight. */
const worth = { gasPrice: 1n, tokenPerEther: 10n ** 18n, worthGasTimes: 10, maxWaitSeconds: 3600 }
const choose = (...lanes: ReturnType<typeof lane>[]) => chooseLanes(lanes, worth, now).map(({ name }) => name)

test.each<[string, readonly string[], readonly string[]]>([
  ['nothing of nothing', choose(), []],
  ['waits while the value is below ten times the gas', choose(lane('a', 624_999n)), []],
  ['settles when it is', choose(lane('a', 625_000n)), ['a']],
  ['more lanes share the transaction', choose(lane('a', 500_000n), lane('b', 500_000n)), ['a', 'b']],
  ['many jobs of a lane are cheap', choose(lane('a', 5_080_000n, { jobs: 100 })), ['a']],
  ['a lane below its own gas stays out', choose(lane('a', 625_000n), lane('b', 37_499n)), ['a']],
  ['an old lane goes at any price', choose(lane('a', 1n, { oldestUnsettledAt: now - 3600 })), ['a']],
  [
    'and takes along what is worth its own gas',
    choose(lane('a', 1n, { oldestUnsettledAt: 0 }), lane('b', 37_500n), lane('c', 9n)),
    ['a', 'b'],
  ],
])('%s', (_name, chosen, expected) => expect(chosen).toEqual(expected))

test('gas of a lone job and of a lane of a hundred is what the contracts need', () => {
  expect(settlementGasOf([lane('a', 1n)])).toBe(62_500n)
  expect(settlementGasOf([lane('a', 1n, { jobs: 100 })])).toBe(508_000n)
})

test('gas is free without a rate, and rounded up with one', () => {
  const gas = { gas: 1n, gasPrice: 1n }
  expect(gasValueRoundedUp({ ...gas, tokenPerEther: undefined })).toBe(0n)
  expect(gasValueRoundedUp({ ...gas, tokenPerEther: 1n })).toBe(1n)
  expect(gasValueRoundedUp({ gas: 100_000n, gasPrice: 10n ** 9n, tokenPerEther: 20_000n * 10n ** 18n })).toBe(
    2n * 10n ** 18n,
  )
})
