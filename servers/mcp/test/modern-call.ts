import { z } from 'zod'

const Answer = z.object({
  result: z.record(z.string(), z.unknown()).optional(),
  error: z.looseObject({ code: z.number() }).optional(),
})
export type ModernAnswer = z.output<typeof Answer>

/** Sends a request over HTTP in the era of 2026-07-28, with exactly these parameters: for what no well-behaved client sends. */
export function postModern(
  url: string,
  request: {
    readonly method: string
    readonly params: Readonly<Record<string, unknown>>
    readonly capabilities?: Readonly<Record<string, unknown>>
    readonly meta?: Readonly<Record<string, unknown>>
    readonly headers?: Readonly<Record<string, string>>
    readonly signal?: AbortSignal
  },
): Promise<Response> {
  const { method, params, capabilities = {}, meta = {}, headers = {}, signal } = request
  const name = params.name ?? params.taskId
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': capabilities,
    ...meta,
  }
  return fetch(url, {
    method: 'POST',
    ...(signal ? { signal } : {}),
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(typeof name === 'string' ? { 'mcp-name': name } : {}),
      ...headers,
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { ...params, _meta } }),
  })
}

/** The answer to such a request, as JSON or as the event of a stream. */
export async function askModern(...request: Parameters<typeof postModern>): Promise<ModernAnswer> {
  const text = await (await postModern(...request)).text()
  const json = /^(event|data):/.test(text) ? (/^data: (.*)$/m.exec(text)?.[1] ?? '') : text
  return Answer.parse(JSON.parse(json))
}

/** Calls a tool in this way. */
export const callModern = (
  url: string,
  {
    name,
    args,
    params = {},
    ...how
  }: Omit<Parameters<typeof postModern>[1], 'method' | 'params'> & {
    readonly name: string
    readonly args: Readonly<Record<string, unknown>>
    readonly params?: Readonly<Record<string, unknown>>
  },
): Promise<ModernAnswer> =>
  askModern(url, { method: 'tools/call', params: { name, arguments: args, ...params }, ...how })

const Question = z.looseObject({
  resultType: z.literal('input_required'),
  requestState: z.string(),
  inputRequests: z.object({
    approval: z.looseObject({
      method: z.literal('elicitation/create'),
      params: z.looseObject({ message: z.string() }),
    }),
  }),
})

/** The question that a call answered with. */
export const questionOf = ({ result }: ModernAnswer) => Question.parse(result)

const Refusal = z.looseObject({
  isError: z.literal(true),
  structuredContent: z.object({
    error: z.looseObject({ code: z.string(), message: z.string(), charged: z.string(), fix: z.string() }),
  }),
})

/** The error that a call answered with. */
export const refusalOf = ({ result }: ModernAnswer) => Refusal.parse(result).structuredContent.error
