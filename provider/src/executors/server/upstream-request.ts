import { maxCompletionTokens, type ModuleServer, type ServerUsage } from '@lilypad-agents/protocol'

/** A request as it is sent to the server. */
export type UpstreamRequest = {
  readonly body: string
  readonly isStreamed: boolean
  /** Choices of a chat reply. */
  readonly choices: number
}

/** A request that no server is asked. `message` is safe to show. */
export class RequestRefusal extends Error {
  override readonly name = 'RequestRefusal'
}

const maxChoices = 128

/**
 * Makes the requester's body fit what the order pays for. A chat request is told how many tokens it may make, since a
 * server knows no prices; a streamed one has to end with its use.
 * @throws RequestRefusal
 */
export function upstreamRequest(
  server: Pick<ModuleServer, 'protocol'>,
  text: string,
  caps: ServerUsage,
): UpstreamRequest {
  const request = parseObject(text)
  if (server.protocol !== 'openai-chat') {
    if (request.stream === true) throw new RequestRefusal('this module does not stream')
    return { body: JSON.stringify(request), isStreamed: false, choices: 1 }
  }
  const { n: asked, stream: isAsked, max_completion_tokens: _, ...rest } = request
  const n = asked ?? 1
  const stream = isAsked ?? false
  if (typeof n !== 'number' || !Number.isInteger(n) || n < 1 || n > maxChoices)
    throw new RequestRefusal(`n is a whole number from 1 to ${maxChoices}`)
  if (typeof stream !== 'boolean') throw new RequestRefusal('stream is true or false')
  if ('best_of' in request) throw new RequestRefusal('best_of is not supported: what it makes is not in the reply')
  const affordable = Math.floor(caps.outputUnits / n)
  if (affordable < 1) throw new RequestRefusal('the order does not pay for a single token of each choice')
  const wanted = (maxCompletionTokens(request) ?? Number.POSITIVE_INFINITY) / n
  const body = {
    ...rest,
    n,
    stream,
    max_tokens: Math.min(wanted, affordable),
    ...(stream ? { stream_options: { ...asObject(request.stream_options), include_usage: true } } : {}),
  }
  return { body: JSON.stringify(body), isStreamed: stream, choices: n }
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new RequestRefusal('the request is not JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new RequestRefusal('the request is not a JSON object')
  return value as Readonly<Record<string, unknown>>
}

const asObject = (value: unknown) => (typeof value === 'object' && value !== null ? value : {})
