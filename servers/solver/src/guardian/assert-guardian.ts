import { type Address, type JobOrder, LilypadError, zeroAddress } from '@lilypad-agents/protocol'
import type { ChainAccount } from '../chain/chain.ts'

/** Time after `deliverBy` in which a job still has to be paid by the guardian that reserved it. */
export const settleGraceSeconds = 3600

/** Money of the payer leaves with the consent of another solver, now or before the job is paid. */
export class GuardianMismatchError extends LilypadError {
  override readonly name = 'GuardianMismatchError'
  constructor(facts: { message: string; payer: Address; expected: Address; actual: Address; hint: string }) {
    super('GUARDIAN_MISMATCH', facts.message, {
      details: [`Expected: ${facts.expected}   Actual: ${facts.actual}`, `Payer: ${facts.payer}`],
      hint: facts.hint,
    })
  }
}

/**
 * Checks that no other solver can let the payer's money leave while the job of an order is still to be paid. A payer without a guardian
 * is taken as it is: its provider knows.
 * @throws {@link GuardianMismatchError}
 */
export function assertGuardian(
  order: Pick<JobOrder, 'payer' | 'deliverBy'>,
  facts: { readonly account: ChainAccount; readonly solver: Address },
): void {
  const { account, solver } = facts
  const { guardian, nextGuardian, guardianChangesAt } = account
  const mismatch = { payer: order.payer, expected: solver }
  if (guardian === zeroAddress) return
  if (guardian !== solver) {
    throw new GuardianMismatchError({
      ...mismatch,
      message: 'Another solver is the guardian of this payer, so this one cannot promise its money.',
      actual: guardian,
      hint:
        nextGuardian === solver && guardianChangesAt !== 0
          ? `the change to this solver can be put into force from ${guardianChangesAt} on (\`lilypad wallet guardian --finalize\`)`
          : 'order through the guardian, or name this solver with `lilypad wallet guardian --set` and wait for the delay',
    })
  }
  if (guardianChangesAt !== 0 && order.deliverBy + settleGraceSeconds >= guardianChangesAt) {
    throw new GuardianMismatchError({
      ...mismatch,
      message: 'The payer leaves this solver before the job would be paid.',
      actual: nextGuardian,
      hint: 'order what is delivered earlier, or take the change back by naming this solver again (`lilypad wallet guardian --set`)',
    })
  }
}
