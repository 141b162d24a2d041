import { formatTokenAmount } from '../money/token-amount-text.ts'
import { type Charged, LilypadError } from '@lilypad-agents/protocol'
import type { Verification } from '../verify/check.ts'

/** The quote is too old to order from. */
export class QuoteExpiredError extends LilypadError {
  override readonly name = 'QuoteExpiredError'
  constructor(options: { readonly expiredAt: number; readonly now: number }) {
    super('QUOTE_EXPIRED', 'The quote has expired.', {
      details: [
        `Expired: ${new Date(options.expiredAt * 1000).toISOString()}   Now: ${new Date(options.now * 1000).toISOString()}`,
      ],
      hint: 'ask for a new quote; prices may have changed',
    })
  }
}

/** No quote of this id was made with this store. */
export class QuoteUnknownError extends LilypadError {
  override readonly name = 'QuoteUnknownError'
  constructor(quoteId: string) {
    super('QUOTE_UNKNOWN', 'There is no such quote here.', {
      details: [`Quote: ${JSON.stringify(quoteId.slice(0, 80))}`],
      hint: 'ask for a quote first',
    })
  }
}

/** The price of the quote is over what the caller allowed. */
export class PriceOverCapError extends LilypadError {
  override readonly name = 'PriceOverCapError'
  constructor(options: { readonly cap: bigint; readonly price: bigint }) {
    super('PRICE_OVER_CAP', 'The job can cost more than the given maximum.', {
      details: [`Maximum: ${formatTokenAmount(options.cap)} LILY   Price: ${formatTokenAmount(options.price)} LILY`],
      hint: 'raise the maximum, or choose another module',
    })
  }
}

/** No job of this hash was ordered with this store. */
export class JobUnknownError extends LilypadError {
  override readonly name = 'JobUnknownError'
  constructor(orderHash: string) {
    super('JOB_UNKNOWN', 'There is no such job here.', {
      details: [`Job: ${JSON.stringify(orderHash.slice(0, 80))}`],
      hint: 'list the jobs to see their ids',
    })
  }
}

/** The program failed, and the provider signed that it did. Nothing is charged. */
export class JobFailedError extends LilypadError {
  override readonly name = 'JobFailedError'
  constructor(options: {
    readonly orderHash: string
    readonly outcome: string
    /** What the provider's executor says about it. */
    readonly reason?: string | undefined
    readonly charged: Charged
  }) {
    const { reason } = options
    super('JOB_FAILED', 'The program did not finish successfully.', {
      details: [
        `Job: ${options.orderHash}   Outcome: ${options.outcome}`,
        ...(reason === undefined ? [] : [`Reason given: ${JSON.stringify(reason.slice(0, 300))}`]),
      ],
      charged: options.charged,
      hint:
        options.outcome === 'cancelled'
          ? 'it was cancelled; order again if it is still wanted'
          : 'read the logs of the job, correct the inputs, and order again',
    })
  }
}

/** The job did not run. The reservation lapses by itself. */
export class JobNotRunError extends LilypadError {
  override readonly name = 'JobNotRunError'
  constructor(options: {
    readonly code: 'JOB_DECLINED' | 'JOB_EXPIRED'
    readonly orderHash: string
    readonly reason: string
  }) {
    super(
      options.code,
      options.code === 'JOB_DECLINED' ? 'The provider declined the job.' : 'The job was not delivered in time.',
      {
        details: [`Job: ${options.orderHash}`, `Reason given: ${JSON.stringify(options.reason.slice(0, 300))}`],
        hint: 'nothing was paid; ask for a new quote',
      },
    )
  }
}

/** What came back does not hold. It was not acknowledged, so it is not paid. */
export class VerificationFailedError extends LilypadError {
  override readonly name = 'VerificationFailedError'
  readonly verification: Verification
  constructor(orderHash: string, verification: Verification) {
    super(
      'VERIFICATION_FAILED',
      'The delivery does not pass verification, so it was not acknowledged and is not paid.',
      {
        details: [
          `Job: ${orderHash}`,
          ...verification.checks
            .filter((check) => !check.ok)
            .slice(0, 10)
            .map((check) => `${check.name}: ${check.evidence.slice(0, 300)}`),
        ],
        hint: 'order again from another provider; the failed checks name what is wrong',
      },
    )
    this.verification = verification
  }
}

/** The job is still going on. Nothing is lost by waiting again. */
export class StillRunningError extends LilypadError {
  override readonly name = 'StillRunningError'
  constructor(orderHash: string, state: string) {
    super('TIMED_OUT', 'The job is not finished yet.', {
      details: [`Job: ${orderHash}   State: ${state}`],
      charged: 'reserved',
      hint: 'wait for the job again with its id',
    })
  }
}
