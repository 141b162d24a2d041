import { LilypadError } from '@lilypad-agents/protocol'

/** The cursor was not given out by this tool. */
export class CursorError extends LilypadError {
  override readonly name = 'CursorError'
  constructor() {
    super('INVALID_REQUEST', 'The cursor is not one that this tool gave out.', {
      details: ['cursor: expected the next_cursor of the last answer'],
      hint: 'call again without cursor to begin at the first page',
    })
  }
}

/** A place in a list as an opaque text: the key of the last thing that was shown. */
export const toCursor = (key: readonly (string | number)[]): string =>
  Buffer.from(JSON.stringify(key)).toString('base64url')

/** @throws {@link CursorError} */
export function readCursor(cursor: string): readonly unknown[] {
  try {
    const key: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    if (Array.isArray(key)) return key
  } catch {
    // Said below: it is not one of ours.
  }
  throw new CursorError()
}
