import { LilypadError } from '@lilypad-agents/protocol'
import { destination, type Logger, pino } from 'pino'

export type { Logger }

/** JSON lines on stderr. Whatever carries a key is cut out, should it ever come near a log. */
export function createLogger(level = 'info'): Logger {
  return pino(
    {
      base: { service: 'provider' },
      level,
      redact: { paths: ['key', 'privateKey', '*.key', '*.privateKey'], censor: '[secret]' },
    },
    destination({ fd: 2, sync: true }),
  )
}

/** The part of a failure that a log may show: code and facts of our errors, else the name and the first line of the message. */
export function failureFacts(error: unknown): {
  readonly code: string
  readonly failure: string
  readonly details?: readonly string[]
} {
  if (LilypadError.is(error)) {
    const { cause } = error
    const because =
      cause instanceof Error ? [`Cause: ${cause.name}: ${cause.message.split('\n', 1)[0]?.slice(0, 200)}`] : []
    return { code: error.code, failure: error.shortMessage, details: [...error.details, ...because] }
  }
  if (error instanceof Error)
    return { code: 'INTERNAL', failure: `${error.name}: ${error.message.split('\n', 1)[0]?.slice(0, 300)}` }
  return { code: 'INTERNAL', failure: 'an unknown value was thrown' }
}
