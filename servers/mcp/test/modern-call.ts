import { z } from 'zod'

const Answer = z.object({
  result: z.record(z.string(), z.unknown()).optional(),
  error: z.looseObject({ code: z.number() }).optional(),
})
export type ModernAnswer = z.output<typeof Answer>

/** Calls a tool over HTTP in the era of 2026-07-28, with exactly these parameters: for what no well-behaved client sends. */
export async function callModern(
  url: string,
  call: {
    readonly name: string
    readonly args: Readonly<Record<string, unknown>>
    readonly capabilities?: Readonly<Record<string, unknown>>
    readonly params?: Readonly<Record<string, unknown>>
    readonly meta?: Readonly<Record<string, unknown>>
    readonly headers?: Readonly<Record<string, string>>
  },
): Promise<ModernAnswer> {
  const { name, args, capabilities = {}, params = {}, meta = {}, headers = {} } = call
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': name,
      ...headers,
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: {
        name,
        arguments: args,
        ...params,
        _meta: {
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientCapabilities': capabilities,
          ...meta,
        },
      },
    }),
  })
  const text = await response.text()
  const json = /^(event|data):/.test(text) ? (/^data: (.*)$/m.exec(text)?.[1] ?? '') : text
  return Answer.parse(JSON.parse(json))
}

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
