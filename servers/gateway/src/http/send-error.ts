import type { ErrorRequestHandler, Response } from 'express'
import { LilypadError, toLilypadError } from '@lilypad-agents/protocol'
import type { Dialect } from '../dialects/dialect.ts'
import { failureFacts, type Logger } from '../log/logger.ts'
import { paymentRequiredHeader, toHeader } from '../x402/payment-header.ts'
import { PaymentRequiredError } from '../x402/payment-required.ts'

/** Last handler of a router: every failure becomes one of ours in the shape of its dialect, and what is not ours stays in the log. */
export function sendErrors(log: Logger, encodeError: Dialect['encodeError']): ErrorRequestHandler {
  return (thrown: unknown, request, response, _next) => {
    // Who has left is told nothing, and what breaks because of it is no failure.
    if (response.destroyed) return
    const error = fromBodyParser(thrown) ?? toLilypadError(thrown)
    logFailure(log, response, thrown, error)
    if (response.headersSent) {
      response.destroy()
      return
    }
    // A refused upload may still be on its way; its rest is not read.
    if (!request.complete) response.setHeader('connection', 'close')
    sendError(response, error, encodeError)
  }
}

function sendError(response: Response, error: LilypadError, encodeError: Dialect['encodeError']): void {
  const { row, retryable } = error
  if (retryable && !response.hasHeader('retry-after')) response.setHeader('retry-after', '1')
  if (row.http === 401) response.setHeader('www-authenticate', 'Bearer')
  // Clients of OpenAI and Anthropic follow it: a conflict that will not go away is not tried again.
  response.setHeader('x-should-retry', String(retryable))
  if (error instanceof PaymentRequiredError) {
    response.setHeader(paymentRequiredHeader, toHeader(error.required))
    response.status(row.http).json({ ...error.body, ...encodeError(error) })
    return
  }
  response.status(row.http).json(encodeError(error))
}

/** Writes down what went wrong on our side. */
export function logFailure(log: Logger, response: Response, thrown: unknown, error: LilypadError): void {
  if (error.row.log === 'info') return
  const facts = { requestId: response.getHeader('x-request-id'), ...failureFacts(thrown) }
  log[error.row.log](
    { ...facts, cause: error.cause === undefined ? undefined : failureFacts(error.cause) },
    'request.failed',
  )
}

function fromBodyParser(thrown: unknown): LilypadError | undefined {
  if (!(thrown instanceof Error) || !('type' in thrown)) return undefined
  switch (thrown.type) {
    case 'entity.too.large':
      return new LilypadError('PAYLOAD_TOO_LARGE', 'The body of the request is larger than allowed here.')
    case 'entity.parse.failed':
    case 'encoding.unsupported':
    case 'charset.unsupported':
    case 'request.size.invalid':
    case 'request.aborted':
      return new LilypadError('INVALID_REQUEST', 'The body of the request is not JSON.', {
        hint: 'send JSON with `content-type: application/json`',
      })
    default:
      return undefined
  }
}
