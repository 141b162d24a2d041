import { formatTokenAmount } from '@lilypad-agents/sdk'
import { settlementGasOf } from '../settlement/choose-lanes.ts'
import type { NodeMoney } from './node-money.ts'

/** Something the operator should do, and what. */
export type Warning = { readonly code: string; readonly text: string; readonly hint: string }

/** Ether for fewer lone settlements than this is little. */
const fewSettlements = 20n
const gasOfOne = settlementGasOf([
  { jobs: 1, settledJobs: 0, cumulativeAmount: 0n, settledAmount: 0n, oldestUnsettledAt: undefined },
])

/** Ether below which a provider should be given more, in wei. */
export const etherToKeep = (gasPrice: bigint) => gasPrice * gasOfOne * fewSettlements

/** Stake that must be free to claim jobs of this sum, the largest of which costs `largest`; rounded up. */
export function stakeForClaims(
  unpaid: { readonly sum: bigint; readonly largest: bigint },
  terms: NodeMoney['terms'],
): bigint {
  const share = (amount: bigint, bips: number) => (amount * BigInt(bips) + 9999n) / 10_000n
  return share(unpaid.sum, terms.collateralRatioBips) + share(unpaid.largest, terms.newcomerCollateralBips)
}

/** What keeps a provider from earning, or from being paid for what it has done. */
export function findWarnings(facts: {
  readonly isConnected: boolean
  readonly money: NodeMoney | undefined
  /** Prices of delivered jobs that nobody has acknowledged. */
  readonly unpaid: readonly bigint[]
  readonly executors: number
  readonly modules: number
}): readonly Warning[] {
  const { isConnected, money, unpaid, executors, modules } = facts
  const warnings: Warning[] = []
  const warn = (code: string, text: string, hint: string) => warnings.push({ code, text, hint })
  if (executors === 0)
    warn('NO_EXECUTOR', 'No executor is available, so nothing can run.', 'run `lilypad provider doctor`')
  if (!isConnected)
    warn('SOLVER_LOST', 'There is no connection to the solver.', 'it is tried again; check the network if it lasts')
  else if (modules === 0)
    warn(
      'NO_MODULE',
      'No module is offered, so no order comes.',
      'check `modules` and `executors` in the configuration',
    )
  if (money === undefined) {
    warn('CHAIN_UNREACHABLE', 'The chain does not answer.', 'check the RPC endpoint; jobs run on, pay waits')
    return warnings
  }
  if (money.ether === 0n)
    warn(
      'NO_ETHER',
      'The provider has no ether for gas: nothing can be settled or claimed.',
      'send ether to its address',
    )
  else if (money.ether < etherToKeep(money.gasPrice))
    warn('ETHER_LOW', `The provider has ${formatTokenAmount(money.ether)} ether for gas.`, 'send ether to its address')
  const required = stakeForClaims(
    {
      sum: unpaid.reduce((sum, price) => sum + price, 0n),
      largest: unpaid.toSorted((one, other) => (one < other ? 1 : -1))[0] ?? 0n,
    },
    money.terms,
  )
  if (required > money.stake.free)
    warn(
      'STAKE_LOW',
      `${unpaid.length} delivered jobs are not acknowledged; to claim them all ${formatTokenAmount(required)} LILY of stake must be free, ${formatTokenAmount(money.stake.free)} are.`,
      'deposit stake, or the dearest are claimed first and the others may be lost',
    )
  return warnings
}
