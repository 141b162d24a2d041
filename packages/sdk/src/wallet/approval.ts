import { Bytes32, LilypadError, TokenAmount, UnixSeconds } from '@lilypad-agents/protocol'
import { z } from 'zod'
import { formatTokenAmount } from '../money/token-amount-text.ts'
import { approvalWays, type SpendingPolicy } from './spending-policy.ts'

/**
 * A person's word on one quote or payment, good for one signature. `wanted` was asked for and not answered; `used` was
 * signed with.
 */
export const StoredApproval = z.strictObject({
  /** The quote, or the id of the payment. */
  id: Bytes32,
  /** The most it may cost, in base units: the word is about no other amount. */
  maxPrice: TokenAmount,
  state: z.enum(['wanted', 'approved', 'declined', 'used']),
  way: z.enum(approvalWays).nullable(),
  wantedAt: UnixSeconds,
  /** What could still be spent when it was asked for, in base units, for whoever decides. */
  left: TokenAmount,
  decidedAt: UnixSeconds.nullable(),
  /** After this second it counts for nothing. */
  validUntil: UnixSeconds,
})
export type StoredApproval = z.output<typeof StoredApproval>

/** A person has to approve this, and has not. Nothing was signed. */
export class ApprovalRequiredError extends LilypadError {
  override readonly name = 'ApprovalRequiredError'
  constructor(options: { readonly id: string; readonly maxPrice: bigint; readonly how?: string }) {
    super('APPROVAL_REQUIRED', 'The owner of this wallet wants to approve this order.', {
      details: [
        `Quote: ${options.id}   Maximum: ${formatTokenAmount(options.maxPrice)} LILY   Setting: auto-approve-under`,
      ],
      hint: options.how ?? 'have the owner approve it, then order again',
    })
  }
}

/** A person said no. Nothing was signed. */
export class ApprovalDeclinedError extends LilypadError {
  override readonly name = 'ApprovalDeclinedError'
  constructor(id: string, hint = 'do not order it again unless the owner asks for it, and then with a new quote') {
    super('APPROVAL_DECLINED', 'The owner of this wallet declined this order.', { details: [`Quote: ${id}`], hint })
  }
}

/** The word came too late. Nothing was signed. */
export class ApprovalExpiredError extends LilypadError {
  override readonly name = 'ApprovalExpiredError'
  constructor(id: string) {
    super('APPROVAL_EXPIRED', 'The approval of this order has expired.', {
      details: [`Quote: ${id}`],
      hint: 'ask for a new quote and have the owner approve that',
    })
  }
}

/** The word is not about this order, was given before, or is not ours. Nothing was signed. */
export class ApprovalInvalidError extends LilypadError {
  override readonly name = 'ApprovalInvalidError'
  constructor(reason: string) {
    super('APPROVAL_INVALID', 'The approval does not fit this order.', {
      details: [`Reason: ${reason}`],
      hint: 'order again, so that the owner is asked anew',
    })
  }
}

/** Whether a person has to approve what can cost so much. */
export function needsApproval({ approveFrom }: SpendingPolicy, maxPrice: bigint): boolean {
  return approveFrom !== undefined && maxPrice > 0n && maxPrice >= approveFrom
}

/**
 * Checks that a person approved this very amount, lately and for the first time.
 * @throws {@link ApprovalRequiredError} {@link ApprovalDeclinedError} {@link ApprovalExpiredError} {@link ApprovalInvalidError}
 */
export function assertApproved(options: {
  readonly policy: SpendingPolicy
  readonly id: string
  readonly maxPrice: bigint
  readonly approval: StoredApproval | undefined
  readonly nowSeconds: number
}): void {
  const { policy, id, maxPrice, approval, nowSeconds } = options
  if (!needsApproval(policy, maxPrice)) return
  const { ways = approvalWays } = policy
  if (ways.length === 0) throw new ApprovalDeclinedError(id, 'the owner has set that nothing of this price is approved')
  if (!approval || approval.state === 'wanted') throw new ApprovalRequiredError({ id, maxPrice })
  if (approval.state === 'declined') throw new ApprovalDeclinedError(id)
  if (approval.state === 'used') throw new ApprovalInvalidError('it was used before')
  if (approval.id !== id || approval.maxPrice !== maxPrice)
    throw new ApprovalInvalidError(
      `approved ${formatTokenAmount(approval.maxPrice)} LILY, asked for ${formatTokenAmount(maxPrice)} LILY`,
    )
  if (approval.validUntil <= nowSeconds) throw new ApprovalExpiredError(id)
  // A word given in a way that this client does not take, by another one on the same store.
  if (approval.way === null || !ways.includes(approval.way)) throw new ApprovalRequiredError({ id, maxPrice })
}
