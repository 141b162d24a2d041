import type { z } from 'zod'
import { LilypadError } from './lilypad-error.ts'

/** A request that does not fit its schema. */
export class InvalidRequestError extends LilypadError {
  override readonly name = 'InvalidRequestError'
  constructor(what: string, error: z.ZodError) {
    super('INVALID_REQUEST', `The ${what} is not valid.`, {
      details: error.issues
        .slice(0, 10)
        .map((issue) => `${issue.path.map(String).join('.').slice(0, 200) || what}: ${issue.message.slice(0, 400)}`),
      hint: 'correct the fields named above',
    })
  }
}

/**
 * Parses foreign data at the door.
 * @throws {@link InvalidRequestError} naming each field that does not fit
 */
export function parseWire<S extends z.ZodType>(schema: S, value: unknown, what: string): z.output<S> {
  const parsed = schema.safeParse(value)
  if (!parsed.success) throw new InvalidRequestError(what, parsed.error)
  return parsed.data
}
