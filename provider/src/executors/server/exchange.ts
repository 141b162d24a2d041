import type { ModuleServer } from '@lilypad-agents/protocol'
import { eventReader } from '@lilypad-agents/sdk'
import { type Dispatcher, errors } from 'undici'
import { ChatAssembler } from './chat-assembler.ts'
import { ServerFaultError } from './server-fault.ts'
import type { UpstreamRequest } from './upstream-request.ts'

/** What a server answered: a reply, or that it does not want to. */
export type Exchange =
  | { readonly kind: 'replied'; readonly bytes: Uint8Array; readonly reply: unknown; readonly isCut?: boolean }
  | { readonly kind: 'refused'; readonly status: number; readonly text: string }
  | { readonly kind: 'too-long' }

type ExchangeOptions = {
  readonly server: ModuleServer
  readonly request: UpstreamRequest
  /** Longest reply in bytes, as it comes over the wire. */
  readonly maxBytes: number
  readonly signal: AbortSignal
  /** Ends a streamed reply where it stands, once the server has told what it has used so far; else it goes on to its end. */
  readonly cut?: AbortSignal | undefined
  readonly onBytes: (bytes: Uint8Array) => void | Promise<void>
}

const jsonType = 'application/json'
const eventType = 'text/event-stream'
const maxRefusalBytes = 4096

/**
 * Sends one request and reads the reply, passing its bytes on as they come. Nothing that the server sends is believed
 * before it was looked at: type, length, JSON, the end of a stream.
 * @throws ServerFaultError for what the server does wrong, and whatever the signal aborts with
 */
export async function exchange(client: Dispatcher, options: ExchangeOptions): Promise<Exchange> {
  const { server, request, signal } = options
  const reading = new AbortController()
  try {
    const { statusCode, headers, body } = await client.request({
      method: 'POST',
      path: server.path,
      headers: {
        'content-type': jsonType,
        accept: request.isStreamed ? eventType : jsonType,
        'accept-encoding': 'identity',
      },
      body: request.body,
      signal: AbortSignal.any([signal, reading.signal]),
    })
    try {
      if (statusCode !== 200) return { kind: 'refused', status: statusCode, text: await readRefusal(body) }
      const expected = request.isStreamed ? eventType : jsonType
      const actual = String(headers['content-type'] ?? '').split(';', 1)[0]
      const encoding = headers['content-encoding'] ?? 'identity'
      if (actual?.trim().toLowerCase() !== expected || encoding !== 'identity')
        throw new ServerFaultError('content-type')
      return await (request.isStreamed ? readEvents(body, options, reading) : readJson(body, options))
    } finally {
      // What is left unread must not keep the connection. A body that was read to its end does not mind.
      body.on('error', () => {}).destroy()
    }
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw toFault(error)
  }
}

type Body = Dispatcher.ResponseData['body']

async function readJson(body: Body, { maxBytes, onBytes }: ExchangeOptions): Promise<Exchange> {
  const pieces: Uint8Array[] = []
  let length = 0
  for await (const piece of body as AsyncIterable<Uint8Array>) {
    length += piece.length
    if (length > maxBytes) return { kind: 'too-long' }
    pieces.push(piece)
    await onBytes(piece)
  }
  const bytes = Buffer.concat(pieces)
  const reply = parseJson(bytes)
  if (typeof reply !== 'object' || reply === null || Array.isArray(reply)) throw new ServerFaultError('json')
  return { kind: 'replied', bytes, reply }
}

async function readEvents(
  body: Body,
  { request, maxBytes, onBytes, cut }: ExchangeOptions,
  reading: AbortController,
): Promise<Exchange> {
  const assembler = new ChatAssembler({ choices: request.choices })
  const read = eventReader({ toError: (_fault, cause) => new ServerFaultError('event', cause) })
  let length = 0
  const stop = () => {
    if (cut?.aborted && assembler.canBeCut) reading.abort()
  }
  cut?.addEventListener('abort', stop)
  try {
    for await (const piece of body as AsyncIterable<Uint8Array>) {
      length += piece.length
      if (length > maxBytes) return { kind: 'too-long' }
      let isDone = false
      for (const event of read(piece)) {
        isDone ||= event === '[DONE]'
        if (!isDone) assembler.add(parseJson(Buffer.from(event)))
      }
      await onBytes(piece)
      if (isDone) return replied(assembler.finish())
      stop()
    }
  } catch (error) {
    // All that the assembler has was sent on before.
    if (reading.signal.aborted) return { ...replied(assembler.cut()), isCut: true }
    throw error
  } finally {
    cut?.removeEventListener('abort', stop)
  }
  throw new ServerFaultError('unfinished')
}

function replied(reply: unknown): Exchange & { readonly kind: 'replied' } {
  return { kind: 'replied', bytes: Buffer.from(stringify(reply)), reply }
}

/** Why the server refuses: for the requester, whose request it was. */
async function readRefusal(body: Body): Promise<string> {
  const pieces: Uint8Array[] = []
  let length = 0
  for await (const piece of body as AsyncIterable<Uint8Array>) {
    pieces.push(piece)
    length += piece.length
    if (length >= maxRefusalBytes) break
  }
  return Buffer.concat(pieces).subarray(0, maxRefusalBytes).toString()
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(bytes))
  } catch (cause) {
    throw new ServerFaultError('json', cause)
  }
}

/** What nests too deep to be written was never a reply. */
function stringify(value: unknown): string {
  try {
    return JSON.stringify(value)
  } catch (cause) {
    throw new ServerFaultError('json', cause)
  }
}

function toFault(error: unknown): unknown {
  if (error instanceof ServerFaultError) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const isLost =
    error instanceof errors.SocketError || /^(ECONN|EPIPE|ENOENT|ENOTCONN|UND_ERR_(SOCKET|CLOSED|DESTROYED))/.test(code)
  if (isLost) return new ServerFaultError('died', error)
  const isBad = error instanceof errors.UndiciError || error instanceof errors.HTTPParserError
  return isBad ? new ServerFaultError('http', error) : error
}
