import { LilypadError } from '@lilypad-agents/protocol'
import { cleanLine } from '../text/clean-text.ts'
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

const firstLine = (text: string) => cleanLine(text.split('\n', 1)[0] ?? '', 300)

/** The part of a failure that a log may show. */
export function failureFacts(error: unknown): { readonly code: string; readonly failure: string } {
  if (LilypadError.is(error)) {
    const { cause } = error
    const reason = cause instanceof Error ? ` (${cause.name}: ${firstLine(cause.message)})` : ''
    return { code: error.code, failure: `${cleanLine(error.shortMessage, 300)}${reason}` }
  }
  if (error instanceof Error) return { code: 'INTERNAL', failure: `${error.name}: ${firstLine(error.message)}` }
  return { code: 'INTERNAL', failure: 'an unknown value was thrown' }
}
