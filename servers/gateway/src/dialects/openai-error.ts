import type { LilypadError } from '@lilypad-agents/protocol'
import type { JsonObject } from '../conversation/conversation.ts'

/**
 * An error as OpenAI's and OpenRouter's clients read it: `code` is the HTTP status as a number, which both take; our code
 * and what to do stand in `metadata`.
 */
export function openAiErrorBody(error: LilypadError): JsonObject {
  const { row, code, details, hint, retryable, charged, docsPath } = error
  return {
    error: {
      message: errorText(error),
      type: row.openai,
      param: null,
      code: row.http,
      metadata: { code, details, ...(hint === undefined ? {} : { hint }), retryable, charged, docs: docsPath },
    },
  }
}

/** The sentence of an error with its facts and what to do, in one line. */
export function errorText({ shortMessage, details, hint }: LilypadError): string {
  const facts = details.length === 0 ? '' : ` (${details.join('; ')})`
  return `${shortMessage}${facts}${hint === undefined ? '' : ` ${hint[0]?.toUpperCase()}${hint.slice(1)}.`}`
}
