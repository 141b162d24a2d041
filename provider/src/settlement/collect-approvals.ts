import {
  type Bytes32,
  findRefusedLanes,
  LilypadError,
  settlementHash,
  type SettlementLanes,
} from '@lilypad-agents/protocol'
import { toSettlements } from '@lilypad-agents/sdk'
import type { Approval } from '../chain/chain.ts'
import type { PlannedLane } from './plan-settlement.ts'

/** Asks the solver of a settlement for its consent. Throws SETTLEMENT_REFUSED with the lanes, or whatever keeps the solver from answering. */
export type Approve = (settlement: SettlementLanes) => Promise<Approval>

/** A lane that the vault would pay now, but for the consent of the payer's guardian if it `isGuarded`. */
export type PayableLane = PlannedLane & { readonly isGuarded: boolean }

export type CollectedApprovals = {
  /** What to send, each in a transaction of its own. */
  readonly transactions: readonly (readonly PlannedLane[])[]
  /** By the hash of the settlement that they cover. */
  readonly approvals: ReadonlyMap<Bytes32, Approval>
  /** Lanes that cannot be paid now, because their guardian does not consent. */
  readonly unapproved: readonly { readonly lane: PlannedLane; readonly reason: string }[]
}

/** Each refusal makes the group smaller, so this only bounds a solver that names a few lanes at a time. */
const maxRounds = 20

/**
 * Gets the consent that guarded lanes need, once for all lanes of the same provider, solver and token. Lanes that the solver refuses are left
 * out and the rest is asked for again; those that need no consent are then sent without it.
 */
export async function collectApprovals(lanes: readonly PayableLane[], approve: Approve): Promise<CollectedApprovals> {
  const approvals = new Map<Bytes32, Approval>()
  const unapproved: { lane: PlannedLane; reason: string }[] = []
  const first: PlannedLane[] = []
  const second: PlannedLane[] = []
  for (const group of groupByTerms(lanes)) {
    const { approved, plain, refused } = await askFor(group, approve, approvals)
    unapproved.push(...refused)
    // Lanes of one transaction and the same terms are one settlement, so those without consent need another transaction.
    first.push(...approved)
    if (approved.length > 0) second.push(...plain)
    else first.push(...plain)
  }
  return { transactions: [first, second].filter(({ length }) => length > 0), approvals, unapproved }
}

function groupByTerms(lanes: readonly PayableLane[]): readonly (readonly PayableLane[])[] {
  const groups = new Map<string, PayableLane[]>()
  for (const lane of lanes) {
    const { provider, solver, token } = lane.settlement.acknowledgement.voucher
    const name = `${provider} ${solver} ${token}`
    groups.set(name, [...(groups.get(name) ?? []), lane])
  }
  return [...groups.values()]
}

async function askFor(
  group: readonly PayableLane[],
  approve: Approve,
  approvals: Map<Bytes32, Approval>,
): Promise<{
  readonly approved: readonly PayableLane[]
  readonly plain: readonly PayableLane[]
  readonly refused: readonly { readonly lane: PlannedLane; readonly reason: string }[]
}> {
  const plain: PayableLane[] = []
  const refused: { lane: PlannedLane; reason: string }[] = []
  const leaveOut = (lanes: readonly PayableLane[], reasonOf: (lane: PayableLane) => string) => {
    for (const lane of lanes) {
      if (lane.isGuarded) refused.push({ lane, reason: reasonOf(lane) })
      else plain.push(lane)
    }
  }
  let asked = group
  for (let round = 0; asked.some(({ isGuarded }) => isGuarded); round++) {
    const [settlement] = toSettlements(asked.map((lane) => lane.settlement))
    if (settlement === undefined) break
    try {
      const { approvedUntil, approval } = await approve(settlement)
      approvals.set(settlementHash(settlement), { approvedUntil, approval })
      return { approved: asked, plain, refused }
    } catch (error) {
      if (!LilypadError.is(error)) throw error
      const named = new Map((findRefusedLanes(error) ?? []).map(({ laneId, reason }) => [laneId, reason]))
      const out = asked.filter(({ laneId }) => named.has(laneId))
      if (out.length === 0 || round >= maxRounds) {
        leaveOut(asked, () => error.code)
        return { approved: [], plain, refused }
      }
      leaveOut(out, ({ laneId }) => `refused by the solver: ${JSON.stringify(named.get(laneId)?.slice(0, 200))}`)
      asked = asked.filter(({ laneId }) => !named.has(laneId))
    }
  }
  return { approved: [], plain: [...plain, ...asked], refused }
}
