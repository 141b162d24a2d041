import type { Server } from '@modelcontextprotocol/server'
import { failureFacts, type Logger } from '../log/logger.ts'

const maxSubscriptions = 1000

/**
 * Tells changes of resources over a connection. Old clients subscribe to each address; of newer ones the entry that serves the
 * connection knows what they listen to, and lets only that through.
 */
export function serveSubscriptions(
  server: Server,
  options: {
    readonly era: 'legacy' | 'modern'
    readonly listen: (listener: (uri: string) => void) => () => void
    readonly logger: Logger
  },
): void {
  const { era, listen, logger } = options
  const subscribed = new Set<string>()
  let stop: (() => void) | undefined

  const start = () => {
    stop ??= listen((uri) => {
      if (era === 'legacy' && !subscribed.has(uri)) return
      server.sendResourceUpdated({ uri }).catch((error: unknown) => {
        logger.debug(failureFacts(error), 'a change was not told')
        stop?.()
        stop = undefined
      })
    })
  }

  if (era === 'modern') {
    start()
    return
  }
  server.setRequestHandler('resources/subscribe', ({ params }) => {
    if (subscribed.size < maxSubscriptions) subscribed.add(params.uri)
    start()
    return {}
  })
  server.setRequestHandler('resources/unsubscribe', ({ params }) => {
    subscribed.delete(params.uri)
    return {}
  })
}
