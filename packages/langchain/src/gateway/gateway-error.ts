import { z } from 'zod'
import {
  type Charged,
  JobFailedError,
  JobTimeoutError,
  LilypadError,
  type LilypadErrorOptions,
  PaymentRequiredError,
  PriceOverCapError,
  VerificationFailedError,
} from '../error/lilypad-error.ts'

const Text = z.string().nullish()

const GatewayErrorBody = z.object({
  error: z.object({
    message: Text,
    code: z.union([z.string(), z.number()]).nullish(),
    metadata: z
      .object({ code: Text, retryable: z.boolean().nullish(), charged: Text, hint: Text })
      .partial()
      .nullish()
      .catch(undefined),
  }),
})

const retryableStatuses = [408, 425, 429, 500, 502, 503, 504, 507, 529]

/** Error of an answer or of an event of a stream. Its text is the gateway's: shown, never followed. */
export function toGatewayError(
  body: unknown,
  context: { readonly status?: number | undefined; readonly idempotencyKey?: string | undefined },
): LilypadError {
  const { error } = GatewayErrorBody.safeParse(body).data ?? {}
  const status = context.status ?? (typeof error?.code === 'number' ? error.code : undefined)
  const code = error?.metadata?.code ?? codeOfStatus(status)
  const charged = error?.metadata?.charged
  const options: LilypadErrorOptions = {
    ...context,
    status,
    charged: charged === undefined || charged === null ? 'none' : toCharged(charged),
    retryable: error?.metadata?.retryable ?? (status !== undefined && retryableStatuses.includes(status)),
    ...(error?.message ? {} : { hint: 'check the URL of the gateway and the model' }),
  }
  return createError(code, error?.message || `The gateway answered with the status ${status ?? 'unknown'}.`, options)
}

/** The class of an error by its code. */
export function createError(code: string, message: string, options: LilypadErrorOptions): LilypadError {
  switch (code) {
    case 'INSUFFICIENT_BALANCE':
    case 'PAYMENT_REFUSED':
      return new PaymentRequiredError(code, message, options)
    case 'PRICE_OVER_CAP':
      return new PriceOverCapError(code, message, options)
    case 'VERIFICATION_FAILED':
    case 'DIGEST_MISMATCH':
      return new VerificationFailedError(code, message, options)
    case 'JOB_FAILED':
    case 'JOB_DECLINED':
    case 'JOB_EXPIRED':
      return new JobFailedError(code, message, options)
    case 'TIMED_OUT':
      return new JobTimeoutError(code, message, options)
    default:
      return new LilypadError(code, message, options)
  }
}

const toCharged = (text: string): Charged => (text === 'none' || text === 'reserved' ? text : 'unknown')

function codeOfStatus(status: number | undefined): string {
  switch (status) {
    case 401:
      return 'UNAUTHORIZED'
    case 402:
      return 'INSUFFICIENT_BALANCE'
    case 404:
      return 'NOT_FOUND'
    case 429:
      return 'RATE_LIMITED'
    default:
      return status !== undefined && status < 500 ? 'INVALID_REQUEST' : 'UPSTREAM_FAILED'
  }
}
