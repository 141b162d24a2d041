/** What is wrong with a stream of events: it is no UTF-8, or an event of it is too long. */
export type EventStreamFault = 'bytes' | 'too-long'

/**
 * Reads the data of server-sent events out of a byte stream, piece by piece. Comments and fields of other names are passed over.
 * @throws what `toError` makes of a fault
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 */
export function eventReader(options: {
  /** Longest event that is not over yet, in UTF-16 units. @default 1048576 */
  readonly maxLength?: number
  readonly toError: (fault: EventStreamFault, cause?: unknown) => Error
}): (bytes: Uint8Array) => readonly string[] {
  const { maxLength = 1024 ** 2, toError } = options
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let rest = ''
  let data: string[] = []
  let length = 0

  function decode(bytes: Uint8Array): string {
    try {
      return decoder.decode(bytes, { stream: true })
    } catch (cause) {
      throw toError('bytes', cause)
    }
  }

  return (bytes) => {
    const events: string[] = []
    // Only what is new is searched: a long line may come in pieces of one byte.
    const [first = '', ...others] = decode(bytes).split('\n')
    const lines = [rest + first, ...others]
    rest = lines.pop() ?? ''
    for (const ended of lines) {
      const line = ended.endsWith('\r') ? ended.slice(0, -1) : ended
      if (line === '') {
        if (data.length > 0) events.push(data.join('\n'))
        data = []
        length = 0
      } else if (line.startsWith('data:')) {
        const value = line.slice(line.startsWith('data: ') ? 6 : 5)
        data.push(value)
        length += value.length + 1
      }
    }
    if (length + rest.length > maxLength) throw toError('too-long')
    return events
  }
}
