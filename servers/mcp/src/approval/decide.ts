import type { Bytes32 } from '@lilypad-agents/protocol'
import type { ApprovalWay, ClientStore, StoredApproval } from '@lilypad-agents/sdk'

/**
 * Keeps a person's word on an order, where every process on the folder sees it. A word that was used stays so.
 * @returns what is kept now
 */
export function decide(
  store: ClientStore,
  word: {
    readonly id: Bytes32
    readonly maxPrice: bigint
    readonly isApproved: boolean
    readonly way: ApprovalWay
    /** Unix seconds. */
    readonly validUntil: number
  },
): Promise<StoredApproval> {
  const { id, maxPrice, isApproved, way, validUntil } = word
  return store.transaction((transaction) => {
    const known = transaction.findApproval(id)
    if (known?.state === 'used') return known
    const decidedAt = Math.floor(Date.now() / 1000)
    const kept: StoredApproval = {
      id,
      maxPrice,
      state: isApproved ? 'approved' : 'declined',
      way,
      wantedAt: known?.wantedAt ?? decidedAt,
      left: known?.left ?? 0n,
      decidedAt,
      validUntil,
    }
    transaction.putApproval(kept)
    return kept
  })
}
