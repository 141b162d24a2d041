import { z } from 'zod'

const ErrorBody = z.object({
  error: z.object({
    message: z.string(),
    metadata: z.object({ code: z.string().nullish(), hint: z.string().nullish() }).nullish(),
  }),
})

/** What the gateway, or the way to it, has refused. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError'
  /** HTTP status; 0 when there was no answer, 200 when a reply had begun. */
  readonly status: number
  /** Name of the error at the gateway, such as `INSUFFICIENT_BALANCE`. */
  readonly code: string | undefined
  /** Seconds after which to ask again. */
  readonly retryAfterSeconds: number | undefined

  constructor(
    message: string,
    facts: {
      readonly status: number
      readonly code?: string | undefined
      readonly retryAfterSeconds?: number | undefined
    },
  ) {
    super(message)
    this.status = facts.status
    this.code = facts.code
    this.retryAfterSeconds = facts.retryAfterSeconds
  }
}

/** Reads the body of a refusal; a body that is none of ours is told by its status alone. */
export function toGatewayError(body: unknown, status: number, retryAfter: string | null = null): GatewayError {
  const parsed = ErrorBody.safeParse(body)
  const seconds = retryAfter !== null && /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) : undefined
  if (!parsed.success)
    return new GatewayError(`The gateway answered with status ${status}.`, { status, retryAfterSeconds: seconds })
  const { message, metadata } = parsed.data.error
  return new GatewayError(message, { status, code: metadata?.code ?? undefined, retryAfterSeconds: seconds })
}

/** What to show of a failure: a title, and what can be done. */
export function explain(error: unknown): { readonly title: string; readonly text: string } {
  if (!(error instanceof GatewayError)) return { title: 'Something went wrong in this page', text: String(error) }
  const { status, message, retryAfterSeconds } = error
  switch (status) {
    case 0:
      return { title: 'The gateway cannot be reached', text: 'Is it running? The page tries again when you do.' }
    case 401:
      return {
        title: 'This key is not accepted',
        text: 'Enter a key of this gateway. On a local network it is in .lilypad/gateway/first.key.',
      }
    case 402:
      return { title: 'There is not enough credit', text: message }
    case 409:
      return { title: 'This costs more than you allow', text: message }
    case 429:
      return {
        title: 'Too many requests',
        text: retryAfterSeconds === undefined ? message : `Wait ${retryAfterSeconds} s, then send again.`,
      }
    case 503:
      return { title: 'No provider can take this now', text: message }
    default:
      return { title: status === 200 ? 'The reply broke off' : 'The request was refused', text: message }
  }
}
