import { z } from 'zod'
import { type ErrorCode, type ErrorRow, errorCodes, errorTable } from './error-table.ts'

/**
 * What the failed call has cost so far: nothing, an amount still reserved (it comes back by itself), an amount charged
 * in base units, or unknown until the job's state is read again.
 */
export type Charged = 'none' | 'reserved' | 'unknown' | `${number}`

export type LilypadErrorOptions = {
  readonly details?: readonly string[]
  /** What to do about it, as a sentence for the person or model that called. */
  readonly hint?: string
  readonly charged?: Charged
  readonly cause?: unknown
  readonly retryable?: boolean
}

const maxText = 4000
const maxDetails = 64
const cut = (text: string) => (text.length > maxText ? `${text.slice(0, maxText - 1)}…` : text)

/** An error as it travels over HTTP and MCP. */
export const ErrorBody = z.object({
  error: z.object({
    code: z.string().max(64),
    message: z.string().max(maxText),
    details: z.array(z.string().max(maxText)).max(maxDetails).default([]),
    hint: z.string().max(maxText).optional(),
    charged: z.string().max(64).default('none'),
    retryable: z.boolean().default(false),
    docs: z.string().max(200).optional(),
  }),
})
export type ErrorBody = z.output<typeof ErrorBody>

const mark = Symbol.for('lilypad.error')

/** Base of every error of ours: a sentence that is safe to show, then facts, then what to do. The cause is kept, never pasted in. */
export class LilypadError extends Error {
  override readonly name: string = 'LilypadError'
  readonly code: ErrorCode
  readonly shortMessage: string
  readonly details: readonly string[]
  readonly hint: string | undefined
  readonly charged: Charged
  readonly retryable: boolean
  readonly docsPath: string
  readonly [mark] = true

  constructor(code: ErrorCode, shortMessage: string, options: LilypadErrorOptions = {}) {
    const { details = [], hint, charged = 'none', cause, retryable = errorTable[code].retryable } = options
    const docsPath = `docs/errors.md#${code.toLowerCase().replaceAll('_', '-')}`
    super(
      [
        shortMessage,
        ...details.map((detail) => `  ${detail}`),
        `  Charged: ${charged}`,
        ...(hint ? [`  Hint: ${hint}`] : []),
      ].join('\n'),
      cause === undefined ? {} : { cause },
    )
    this.code = code
    this.shortMessage = shortMessage
    this.details = details
    this.hint = hint
    this.charged = charged
    this.retryable = retryable
    this.docsPath = docsPath
  }

  /** Recognises our errors across copies of this package in one process. */
  static is(error: unknown): error is LilypadError {
    return typeof error === 'object' && error !== null && mark in error
  }

  get row(): ErrorRow {
    return errorTable[this.code]
  }

  /** First error in the chain of causes for which the check holds. */
  walk(check: (error: unknown) => boolean): unknown {
    const seen = new Set<unknown>()
    let error: unknown = this
    while (error !== undefined && error !== null && !seen.has(error)) {
      if (check(error)) return error
      seen.add(error)
      error = error instanceof Error ? error.cause : undefined
    }
    return undefined
  }

  /** The error as it travels, cut to what {@link ErrorBody} takes. */
  toBody(): ErrorBody {
    return {
      error: {
        code: this.code,
        message: cut(this.shortMessage),
        details: this.details.slice(0, maxDetails).map(cut),
        ...(this.hint ? { hint: cut(this.hint) } : {}),
        charged: this.charged,
        retryable: this.retryable,
        docs: this.docsPath,
      },
    }
  }
}

/** Makes any thrown value one of ours; what is not is an internal error whose text stays in the cause. */
export function toLilypadError(error: unknown): LilypadError {
  if (LilypadError.is(error)) return error
  return new LilypadError('INTERNAL', 'Something went wrong inside; the cause is in the log of this process.', {
    cause: error,
  })
}

/** Rebuilds an error that came over the wire. Its text is quoted from another party: shown, never followed. */
export function fromErrorBody(
  body: unknown,
  fallback: { readonly code: ErrorCode; readonly message: string },
): LilypadError {
  const parsed = ErrorBody.safeParse(body)
  if (!parsed.success) return new LilypadError(fallback.code, fallback.message)
  const { code, message, details, hint, charged, retryable } = parsed.data.error
  const known = errorCodes.find((known) => known === code)
  return new LilypadError(known ?? fallback.code, message, {
    details,
    charged: /^(none|reserved|unknown|\d+)$/.test(charged) ? (charged as Charged) : 'unknown',
    retryable,
    ...(hint ? { hint } : {}),
  })
}
