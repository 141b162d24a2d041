import type { Address } from '@lilypad-agents/protocol'
import type { ClaimState, ClaimTotals } from '../journal/claim-ledger.ts'
import type { Journal, JournalTotals, RecentJob } from '../journal/journal.ts'
import type { AttestationSummary } from '../preflight/attestation-desk.ts'
import type { Warning } from '../status/find-warnings.ts'
import type { NodeMoney } from '../status/node-money.ts'

/** What a provider has earned, in base units of one token. */
export type Earnings = {
  /** Acknowledged and not on chain yet. */
  readonly unsettled: bigint
  /** On chain, before the shares of author, solver and protocol. */
  readonly settled: bigint
  /** Jobs on chain. */
  readonly settledJobs: number
  readonly unsettledJobs: number
}

/** Adds up the lanes of a journal. */
export function sumEarnings(journal: Pick<Journal, 'listLanes'>): Earnings {
  return journal.listLanes().reduce<Earnings>(
    (sum, lane) => ({
      unsettled: sum.unsettled + lane.cumulativeAmount - lane.settledAmount,
      settled: sum.settled + lane.settledAmount,
      settledJobs: sum.settledJobs + lane.settledJobs,
      unsettledJobs: sum.unsettledJobs + lane.jobs - lane.settledJobs,
    }),
    { unsettled: 0n, settled: 0n, settledJobs: 0, unsettledJobs: 0 },
  )
}

/** A provider at a glance. */
export type ProviderStatus = {
  readonly address: Address
  readonly isConnected: boolean
  readonly modules: readonly {
    readonly name: string
    readonly version: string
    readonly moduleVersion: Address
    readonly executor: string
  }[]
  readonly executors: readonly { readonly name: string; readonly available: boolean; readonly reason?: string }[]
  readonly slots: { readonly total: number; readonly taken: number; readonly waiting: number }
  /** What the node says of its own sandbox; undefined where it runs no containers. */
  readonly attestation: AttestationSummary | undefined
  /** Model servers, and jobs that wait for one. */
  readonly servers: {
    readonly running: readonly {
      readonly module: string
      readonly state: string
      readonly openRequests: number
      readonly memoryBytes: number
    }[]
    readonly waiting: number
  }
  readonly jobs: JournalTotals
  readonly earnings: Earnings
  /** Withdrawable now; undefined while the chain does not answer. */
  readonly credit: bigint | undefined
  readonly settlements: ReturnType<Journal['listSettlements']>
  readonly claims: { readonly [state in ClaimState]?: ClaimTotals }
  /** Delivered jobs that nobody has acknowledged or claimed. */
  readonly unpaid: ClaimTotals
  /** Newest first. */
  readonly recent: readonly RecentJob[]
  /** Stake, ether and the price of gas; undefined while the chain does not answer. */
  readonly money: NodeMoney | undefined
  readonly warnings: readonly Warning[]
  /** Unix seconds. */
  readonly startedAt: number
}
