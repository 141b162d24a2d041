import { LilypadError } from '@lilypad-agents/protocol'
import { destination, type Logger, pino } from 'pino'

export type { Logger }

/** JSON lines on stderr, since stdout carries protocol frames. */
export function createLogger(level = 'info'): Logger {
  return pino(
    {
      base: { service: 'mcp' },
      level,
      redact: { paths: ['key', 'privateKey', '*.key', '*.privateKey'], censor: '[secret]' },
    },
    destination({ fd: 2, sync: true }),
  )
}

/** The part of a failure that a log may show. */
export function failureFacts(error: unknown): { readonly code: string; readonly failure: string } {
  if (LilypadError.is(error)) {
    const { cause } = error
    const reason = cause instanceof Error ? ` (${cause.name}: ${cause.message.split('\n', 1)[0]?.slice(0, 300)})` : ''
    return { code: error.code, failure: `${error.shortMessage.slice(0, 300)}${reason}` }
  }
  if (error instanceof Error)
    return { code: 'INTERNAL', failure: `${error.name}: ${error.message.split('\n', 1)[0]?.slice(0, 300)}` }
  return { code: 'INTERNAL', failure: 'an unknown value was thrown' }
}
