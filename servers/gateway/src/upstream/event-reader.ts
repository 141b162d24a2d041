import { UpstreamFaultError } from './upstream-fault.ts'

const maxEventLength = 1024 ** 2

/**
 * Reads the data of server-sent events out of a byte stream. Comments and fields of other names are passed over.
 * @throws UpstreamFaultError when it is no UTF-8, or an event is longer than 1 MiB
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 */
export function eventReader(): (bytes: Uint8Array) => readonly string[] {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let rest = ''
  let data: string[] = []
  let length = 0
  return (bytes) => {
    let text: string
    try {
      text = decoder.decode(bytes, { stream: true })
    } catch (cause) {
      throw new UpstreamFaultError('bytes', cause)
    }
    const events: string[] = []
    const lines = (rest + text).split('\n')
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
    if (length + rest.length > maxEventLength) throw new UpstreamFaultError('too-long')
    return events
  }
}
