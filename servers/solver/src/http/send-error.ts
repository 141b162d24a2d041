import type { ErrorRequestHandler, Response } from 'express'
import { LilypadError, toLilypadError } from '@lilypad-agents/protocol'
import type { Logger } from 'pino'
import { failureFacts } from '../log/failure-facts.ts'

/** Answers with an error as it travels: status from the table, body from the error. */
export function sendError(response: Response, error: LilypadError): void {
  if (error.code === 'RATE_LIMITED') response.setHeader('retry-after', '1')
  response.status(error.row.http).json(error.toBody())
}

/** Last handler of the app: every failure becomes one of ours, and what is not ours stays in the log. */
export function errorHandler(log: Logger): ErrorRequestHandler {
  return (thrown: unknown, request, response, _next) => {
    const error = fromBodyParser(thrown) ?? toLilypadError(thrown)
    if (error.row.log === 'error')
      log.error(
        { failure: failureFacts(thrown), method: request.method, path: request.path.slice(0, 200) },
        'request.failed',
      )
    if (response.headersSent) {
      response.destroy()
      return
    }
    // A refused upload may still be on its way; its rest is not read.
    if (!request.complete) response.setHeader('connection', 'close')
    sendError(response, error)
  }
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
