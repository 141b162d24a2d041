import { LilypadError } from '@lilypad-agents/protocol'

/** What of a failure may stand in a log. */
export type FailureFacts = {
  readonly name: string
  readonly code?: string
  readonly reason: string
  readonly at?: string
  readonly cause?: FailureFacts
}

/**
 * Facts of a failure without what others wrote. Messages of the chain client hold the address of the RPC, which may
 * carry a key, and messages of the database hold the values of a query, so only their short forms are kept.
 */
export function failureFacts(error: unknown, depth = 0): FailureFacts {
  if (!(error instanceof Error)) return { name: typeof error, reason: 'a value that is no error was thrown' }
  const { name } = error
  const { code } = error as { code?: unknown }
  const known = LilypadError.is(error)
  const short = known
    ? error.shortMessage
    : 'shortMessage' in error
      ? String(error.shortMessage)
      : withoutValues(error.message)
  const at = known ? undefined : placeOf(error)
  return {
    name,
    ...(typeof code === 'string' ? { code } : {}),
    reason: short.replaceAll(/https?:\/\/\S+/g, '(address)').slice(0, 300),
    ...(at === undefined ? {} : { at }),
    ...(error.cause === undefined || depth >= 3 ? {} : { cause: failureFacts(error.cause, depth + 1) }),
  }
}

/** Drizzle appends the values of a failed query after `params:`. */
function withoutValues(message: string): string {
  return message.split('\nparams:')[0] ?? ''
}

function placeOf(error: Error): string | undefined {
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line))
  return frames.length === 0
    ? undefined
    : frames
        .slice(0, 4)
        .map((line) => line.trim())
        .join(' < ')
        .slice(0, 600)
}
