import { LilypadError } from '../error/lilypad-error.ts'
import { Bytes32 } from '../primitives/hex.ts'

/** A lane that a solver does not answer for. */
export type RefusedLane = { readonly laneId: Bytes32; readonly reason: string }

/** The solver does not answer for every lane of a settlement. Each detail is the id of a lane, a colon and the reason. */
export class SettlementRefusedError extends LilypadError {
  override readonly name = 'SettlementRefusedError'
  constructor(refused: readonly RefusedLane[]) {
    super('SETTLEMENT_REFUSED', 'The solver does not answer for every lane of this settlement.', {
      details: refused.map(({ laneId, reason }) => `${laneId}: ${reason}`),
      hint: 'ask again without the lanes named',
    })
  }
}

/** Lanes that a refusal names, also one that came over the wire; undefined when the error is no refusal. */
export function findRefusedLanes(error: unknown): readonly RefusedLane[] | undefined {
  if (!LilypadError.is(error) || error.code !== 'SETTLEMENT_REFUSED') return undefined
  return error.details.flatMap((detail) => {
    const id = Bytes32.safeParse(detail.slice(0, 66))
    return id.success && detail.startsWith(': ', 66) ? [{ laneId: id.data, reason: detail.slice(68) }] : []
  })
}
