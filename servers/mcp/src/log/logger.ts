import { writeSync } from 'node:fs'
import { LilypadError } from '@lilypad-agents/protocol'
import { cleanLine } from '../text/clean-text.ts'

const levels = { debug: 20, info: 30, warn: 40, error: 50, fatal: 60, silent: Number.POSITIVE_INFINITY } as const
type Level = keyof typeof levels
type Facts = Readonly<Record<string, unknown>>
type Log = (facts: Facts, message: string) => void

/** Writes what happens, with its facts, for the person who runs the server. */
export type Logger = { readonly [level in Exclude<Level, 'silent'>]: Log } & {
  /** The same, with these facts in every line. */
  child(facts: Facts): Logger
}

const stderr = 2
const secretNames: ReadonlySet<string> = new Set(['key', 'privateKey'])

/**
 * JSON lines on stderr in pino's form, since stdout carries protocol frames. pino itself would cost a stdio server 15 ms of each start,
 * and of what it can do nothing else is used here.
 */
export function createLogger(level: Level = 'info', always: Facts = {}, write = toStderr): Logger {
  const log =
    (name: Exclude<Level, 'silent'>): Log =>
    (facts, message) => {
      if (levels[name] < levels[level]) return
      const line = { level: levels[name], time: Date.now(), service: 'mcp', ...always, ...facts, msg: message }
      write(`${JSON.stringify(line, withoutSecrets)}\n`)
    }
  return {
    debug: log('debug'),
    info: log('info'),
    warn: log('warn'),
    error: log('error'),
    fatal: log('fatal'),
    child: (facts) => createLogger(level, { ...always, ...facts }, write),
  }
}

function withoutSecrets(name: string, value: unknown): unknown {
  if (secretNames.has(name)) return '[secret]'
  return typeof value === 'bigint' ? value.toString() : value
}

function toStderr(line: string): void {
  try {
    writeSync(stderr, line)
  } catch {
    // A reader that is slow or gone loses lines; the server does not stop for it.
  }
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
