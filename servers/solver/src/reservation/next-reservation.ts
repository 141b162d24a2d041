import {
  type Address,
  type Bytes32,
  type JobOrder,
  LilypadError,
  type Reservation,
  zeroBytes32,
} from '@lilypad-agents/protocol'

/** Where the chain of reservations of one payer and token stands. */
export type Ledger = {
  readonly sequence: number
  readonly head: Bytes32
  readonly outstanding: bigint
}

export const emptyLedger: Ledger = { sequence: 0, head: zeroBytes32, outstanding: 0n }

/** The payer's money that is not promised to other jobs does not cover the order. */
export class InsufficientBalanceError extends LilypadError {
  override readonly name = 'InsufficientBalanceError'
  constructor(facts: { payer: Address; token: Address; expected: bigint; actual: bigint; outstanding: bigint }) {
    super('INSUFFICIENT_BALANCE', 'The payer has too little free money in the vault for this order.', {
      details: [
        `Expected: ${facts.expected}   Actual: ${facts.actual}`,
        `Promised to other jobs: ${facts.outstanding}`,
        `Payer: ${facts.payer}   Token: ${facts.token}`,
      ],
      hint: 'deposit into the vault, or wait until running jobs are settled',
    })
  }
}

/**
 * The reservation that comes after the ledger's head.
 * @param options.spendable vault balance less what the payer asked to withdraw
 * @throws {@link InsufficientBalanceError} when spendable less outstanding is below the order's maximum
 */
export function nextReservation(
  ledger: Ledger,
  options: {
    readonly order: JobOrder
    readonly orderHash: Bytes32
    readonly solver: Address
    readonly spendable: bigint
    readonly now: number
  },
): Reservation {
  const { order, orderHash, solver, spendable, now } = options
  const free = spendable - ledger.outstanding
  if (free < order.maxPrice) {
    throw new InsufficientBalanceError({
      payer: order.payer,
      token: order.token,
      expected: order.maxPrice,
      actual: free > 0n ? free : 0n,
      outstanding: ledger.outstanding,
    })
  }
  return {
    orderHash,
    solver,
    payer: order.payer,
    token: order.token,
    sequence: ledger.sequence + 1,
    previous: ledger.head,
    amount: order.maxPrice,
    outstanding: ledger.outstanding + order.maxPrice,
    reservedAt: now,
  }
}
