import type { ServerContext } from '@modelcontextprotocol/server'
import { failureFacts, type Logger } from '../log/logger.ts'

/** Tells the client how a call goes, in numbers that only rise, if it gave a token for that. */
export function createReport({ mcpReq }: ServerContext, logger: Logger): (message: string) => void {
  // The token stands in the envelope of the request; without one nothing may be sent.
  const progressToken = mcpReq._meta?.progressToken
  if (progressToken === undefined) return () => undefined
  const startedAt = Date.now()
  let last = -1
  return (message) => {
    last = Math.max(last + 1, Math.round((Date.now() - startedAt) / 1000))
    const params = { progressToken, progress: last, message }
    mcpReq
      .notify({ method: 'notifications/progress', params })
      .catch((error: unknown) => logger.debug(failureFacts(error), 'progress not told'))
  }
}
