import type { JournalLane } from '../journal/journal.ts'
import { gasValueRoundedUp } from './gas-value.ts'

/** Gas of a settlement, a little above what the contract tests measure. */
export const settlementGas = { transaction: 25_000n, lane: 33_000n, job: 4500n } as const

export type SettlementWorth = {
  /** In wei. */
  readonly gasPrice: bigint
  /** Base units of the token for one ether. */
  readonly tokenPerEther: bigint
  /** A batch waits until its value is this many times its gas: the part of the value that is at risk while it waits, upside down. */
  readonly worthGasTimes: number
  readonly maxWaitSeconds: number
}

type OpenLane = Pick<JournalLane, 'jobs' | 'settledJobs' | 'cumulativeAmount' | 'settledAmount' | 'oldestUnsettledAt'>

/** Gas of one settlement of these lanes. */
export function settlementGasOf(lanes: readonly OpenLane[]): bigint {
  return lanes.reduce((sum, lane) => sum + laneGas(lane), lanes.length > 0 ? settlementGas.transaction : 0n)
}

/**
 * Chooses the open lanes that are worth their gas together. A lane that brings less than it adds to the gas stays out, and nothing is chosen
 * as long as the rest is not worth a transaction; a lane that has waited for `maxWaitSeconds` is chosen at any price, and takes along
 * whatever is worth its own gas then.
 */
export function chooseLanes<T extends OpenLane>(
  lanes: readonly T[],
  worth: SettlementWorth,
  now: number,
): readonly T[] {
  const { gasPrice, tokenPerEther, worthGasTimes, maxWaitSeconds } = worth
  const gasValue = (gas: bigint) => gasValueRoundedUp({ gas, gasPrice, tokenPerEther })
  const isOverdue = ({ oldestUnsettledAt }: T) =>
    oldestUnsettledAt !== undefined && oldestUnsettledAt + maxWaitSeconds <= now
  const chosen = lanes.filter((lane) => isOverdue(lane) || pendingOf(lane) >= gasValue(laneGas(lane)))
  const value = chosen.reduce((sum, lane) => sum + pendingOf(lane), 0n)
  // Thousandths, because a factor may have decimals.
  const isWorth = value * 1000n >= gasValue(settlementGasOf(chosen)) * BigInt(Math.round(worthGasTimes * 1000))
  return isWorth || chosen.some(isOverdue) ? chosen : []
}

const pendingOf = (lane: OpenLane) => lane.cumulativeAmount - lane.settledAmount
const laneGas = (lane: OpenLane) => settlementGas.lane + settlementGas.job * BigInt(lane.jobs - lane.settledJobs)
