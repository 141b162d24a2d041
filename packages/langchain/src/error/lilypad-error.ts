import { LangChainError, ns, stampRetryable } from '@langchain/core/errors'
import type { AIMessageChunk } from '@langchain/core/messages'

/**
 * What the failed call has cost so far: nothing, an amount still set aside, or unknown until it is asked again with the
 * same idempotency key.
 */
export type Charged = 'none' | 'reserved' | 'unknown'

export type LilypadErrorOptions = {
  readonly details?: readonly string[] | undefined
  /** What to do about it, as a sentence for the person or model that called. */
  readonly hint?: string | undefined
  readonly charged?: Charged | undefined
  /** Whether the same call may succeed later without a change. @default false */
  readonly retryable?: boolean | undefined
  /** HTTP status of the gateway's answer. */
  readonly status?: number | undefined
  /** The same call with this key is the same purchase. */
  readonly idempotencyKey?: string | undefined
  readonly jobId?: string | undefined
  readonly cause?: unknown
}

const namespace = ns.sub('lilypad')
const maxText = 2000
const cut = (text: string) => (text.length > maxText ? `${text.slice(0, maxText - 1)}…` : text)

/**
 * Base of every error of this package. The message is safe to show to a person or a model: what happened, facts, what it
 * has cost and what to do. The cause is kept, never pasted in.
 */
export class LilypadError extends namespace.brand(LangChainError) {
  override readonly name: string = 'LilypadError'
  /** Stable name, in upper snake case. @see docs/errors.md */
  readonly code: string
  readonly shortMessage: string
  readonly details: readonly string[]
  readonly hint: string | undefined
  readonly charged: Charged
  readonly retryable: boolean
  readonly status: number | undefined
  readonly idempotencyKey: string | undefined
  readonly jobId: string | undefined

  constructor(code: string, shortMessage: string, options: LilypadErrorOptions = {}) {
    const { details = [], hint, charged = 'none', retryable = false, status, idempotencyKey, jobId, cause } = options
    super(
      [
        cut(shortMessage),
        ...details.map((detail) => `  ${cut(detail)}`),
        `  Charged: ${charged}`,
        ...(hint === undefined ? [] : [`  Hint: ${cut(hint)}`]),
      ].join('\n'),
    )
    if (cause !== undefined) Object.defineProperty(this, 'cause', { value: cause, configurable: true, writable: true })
    this.code = code
    this.shortMessage = shortMessage
    this.details = details
    this.hint = hint
    this.charged = charged
    this.retryable = retryable
    this.status = status
    this.idempotencyKey = idempotencyKey
    this.jobId = jobId
    stampRetryable(this, retryable)
  }
}

/** The account or the budget of the key does not cover what the call may cost. Nothing was ordered. */
export class PaymentRequiredError extends namespace.brand(LilypadError, 'payment-required') {
  override readonly name = 'PaymentRequiredError'
}

/** The call may cost more than its maximum price. Nothing was ordered. */
export class PriceOverCapError extends namespace.brand(LilypadError, 'price-over-cap') {
  override readonly name = 'PriceOverCapError'
}

/** The budget of the run or thread does not cover the call. Nothing was ordered. */
export class BudgetExceededError extends namespace.brand(LilypadError, 'budget-exceeded') {
  override readonly name = 'BudgetExceededError'
}

/** Signature, digest, price or settlement does not hold. What was delivered is not shown. */
export class VerificationFailedError extends namespace.brand(LilypadError, 'verification-failed') {
  override readonly name = 'VerificationFailedError'
}

/** The job ran and failed, or did not run. Nothing was paid. */
export class JobFailedError extends namespace.brand(LilypadError, 'job-failed') {
  override readonly name = 'JobFailedError'
}

/** The job or reply did not come in time. It may still come: the same idempotency key finds it. */
export class JobTimeoutError extends namespace.brand(LilypadError, 'job-timeout') {
  override readonly name = 'JobTimeoutError'
}

/** A reply broke off before its end. `partial` is what had come. */
export class StreamTruncatedError extends namespace.brand(LilypadError, 'stream-truncated') {
  override readonly name = 'StreamTruncatedError'
  /** The message as far as it came. */
  partial: AIMessageChunk | undefined
}

/** The gateway was not reached, or was lost before its answer. */
export class ConnectionLostError extends namespace.brand(LilypadError, 'connection-lost') {
  override readonly name = 'ConnectionLostError'
}
