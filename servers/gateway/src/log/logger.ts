import { LilypadError } from '@lilypad-agents/protocol'
import { destination, type Logger, pino } from 'pino'

export type { Logger }

/** JSON lines on stderr. */
export function createLogger(level = 'info'): Logger {
  return pino(
    {
      base: { service: 'gateway' },
      level,
      redact: { paths: ['key', '*.key', 'headers', '*.headers'], censor: '[secret]' },
    },
    destination({ fd: 2, sync: true }),
  )
}

/** The part of a failure that a log may show: our own words, and of what is not ours its name and place. */
export function failureFacts(error: unknown): {
  readonly code: string
  readonly failure: string
  readonly at?: string
} {
  if (LilypadError.is(error)) {
    const { cause } = error
    const name = cause instanceof Error ? ` (${cause.name})` : ''
    return { code: error.code, failure: `${[error.shortMessage, ...error.details].join(' ').slice(0, 500)}${name}` }
  }
  if (!(error instanceof Error)) return { code: 'INTERNAL', failure: 'a value that is no error was thrown' }
  // Drizzle appends the values of a failed query after `params:`.
  const text = (error.message.split('\nparams:')[0] ?? '').replaceAll(/https?:\/\/\S+/g, '(address)').slice(0, 300)
  const at = error.stack?.split('\n').find((line) => /^\s+at /.test(line))
  return { code: 'INTERNAL', failure: `${error.name}: ${text}`, ...(at ? { at: at.trim().slice(0, 200) } : {}) }
}
