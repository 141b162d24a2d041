import {
  type Address,
  type Bytes32,
  type Hex,
  type JobRecord,
  packSettlementLanes,
  type SettlementLanes,
  type SignedVoucher,
} from '@lilypad-agents/protocol'

/** Jobs of one lane to settle: the newest voucher and every record since the chain's count. */
export type LaneSettlement = {
  readonly acknowledgement: SignedVoucher
  /** Running hash of the lane before the first of `records`. */
  readonly previousRecordsHash: Bytes32
  readonly records: readonly JobRecord[]
  /** Where the vault's counter of the lane stands (`getLane`). */
  readonly nextNonce: number
}

/** A settlement as the vault takes it. `approval` is the solver's signature, empty when no payer in it has a guardian. */
export type Settlement = SettlementLanes & { readonly approvedUntil: number; readonly approval: Hex }

/** Packs lanes for `settle`, one settlement for each provider, solver and token among them, not approved yet. */
export function toSettlements(lanes: readonly LaneSettlement[]): readonly Settlement[] {
  const groups = new Map<string, { terms: Record<'provider' | 'solver' | 'token', Address>; lanes: LaneSettlement[] }>()
  for (const lane of lanes) {
    const { provider, solver, token } = lane.acknowledgement.voucher
    const name = `${provider} ${solver} ${token}`
    const group = groups.get(name) ?? { terms: { provider, solver, token }, lanes: [] }
    group.lanes.push(lane)
    groups.set(name, group)
  }
  return [...groups.values()].map(({ terms, lanes }) => ({
    ...packSettlementLanes(
      terms,
      lanes.map(({ acknowledgement: { voucher, signature }, previousRecordsHash, records, nextNonce }) => {
        const { payer, key, lane } = voucher
        return { payer, key, lane, previousRecordsHash, signature, records, nextNonce }
      }),
    ),
    approvedUntil: 0,
    approval: '0x',
  }))
}
