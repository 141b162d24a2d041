import { expect, test } from 'vitest'
import { etherToKeep, findWarnings, stakeForClaims } from './find-warnings.ts'
import type { NodeMoney } from './node-money.ts'

const terms = {
  claimGraceSeconds: 21_600,
  challengeWindowSeconds: 1800,
  collateralRatioBips: 25_000,
  newcomerCollateralBips: 10_000,
}
const money: NodeMoney = {
  credit: 0n,
  stake: { active: 1000n, exposure: 0n, free: 1000n },
  ether: 10n ** 18n,
  gasPrice: 10n ** 9n,
  terms,
}
const facts = { isConnected: true, money, unpaid: [100n, 200n], executors: 1, modules: 1 }
const codes = (change: Partial<Parameters<typeof findWarnings>[0]>) =>
  findWarnings({ ...facts, ...change }).map(({ code }) => code)

test.each<[string, readonly string[], readonly string[]]>([
  ['nothing is wrong', codes({}), []],
  ['no solver', codes({ isConnected: false, modules: 0 }), ['SOLVER_LOST']],
  ['no module', codes({ modules: 0 }), ['NO_MODULE']],
  ['nothing to run on', codes({ executors: 0, modules: 0 }), ['NO_EXECUTOR', 'NO_MODULE']],
  ['no chain', codes({ money: undefined }), ['CHAIN_UNREACHABLE']],
  ['no ether', codes({ money: { ...money, ether: 0n } }), ['NO_ETHER']],
  ['little ether', codes({ money: { ...money, ether: etherToKeep(money.gasPrice) - 1n } }), ['ETHER_LOW']],
  // 2.5 times 300, and once the largest for a newcomer.
  ['just enough stake', codes({ money: { ...money, stake: { ...money.stake, free: 950n } } }), []],
  ['too little stake', codes({ money: { ...money, stake: { ...money.stake, free: 949n } } }), ['STAKE_LOW']],
])('%s', (_name, found, expected) => expect(found).toEqual(expected))

test('stake for claims is rounded up, as the contracts do', () => {
  expect(stakeForClaims({ sum: 1n, largest: 1n }, { ...terms, newcomerCollateralBips: 1 })).toBe(4n)
})
