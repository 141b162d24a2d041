import type { Client } from '@modelcontextprotocol/client'
import { LilypadError } from '@lilypad-agents/protocol'
import { z } from 'zod'
import { version } from '../../version.ts'
import type { PaidServerConfig } from '../x402-settings.ts'

const maxAnswerBytes = 4 * 1024 * 1024
const maxTools = 1000
const listMilliseconds = 20_000

/** A paid server does not answer, or not in MCP. */
export class PaidServerUnreachableError extends LilypadError {
  override readonly name = 'PaidServerUnreachableError'
  constructor(server: string, cause: unknown) {
    super('PAID_SERVER_UNREACHABLE', 'The paid server does not answer.', {
      details: [`Server: ${server}`],
      hint: 'try again; the same call never pays twice',
      cause,
    })
  }
}

/** A tool as its server describes it: the words of a stranger. */
export const PaidTool = z.object({
  name: z.string().regex(/^[A-Za-z0-9_.\-/]{1,128}$/),
  title: z.string().nullish(),
  description: z.string().nullish(),
  inputSchema: z.record(z.string(), z.unknown()),
})
export type PaidTool = z.output<typeof PaidTool>

/** An answer of a tool, as far as it is used. */
export const PaidAnswer = z.object({
  isError: z.boolean().optional(),
  structuredContent: z.record(z.string(), z.unknown()).optional(),
  content: z
    .array(
      z.looseObject({
        type: z.string(),
        text: z.string().optional(),
        data: z.string().optional(),
        mimeType: z.string().optional(),
      }),
    )
    .default([]),
  _meta: z.record(z.string(), z.unknown()).optional(),
})
export type PaidAnswer = z.output<typeof PaidAnswer>

/** A connection to a paid server, made when it is first used and again after it broke. */
export type PaidServer = {
  readonly name: string
  readonly url: string
  /** @throws {@link PaidServerUnreachableError} */
  listTools(signal: AbortSignal): Promise<readonly PaidTool[]>
  /**
   * Calls a tool, once: what was sent is never sent again by itself.
   * @throws {@link PaidServerUnreachableError}
   */
  callTool(
    call: {
      readonly name: string
      readonly args: Readonly<Record<string, unknown>>
      readonly meta?: Record<string, unknown>
    },
    options: { readonly signal: AbortSignal; readonly timeoutMilliseconds: number },
  ): Promise<PaidAnswer>
  close(): Promise<void>
}

export function createPaidServer({ name, url }: PaidServerConfig): PaidServer {
  let connecting: Promise<Client> | undefined

  async function open(): Promise<Client> {
    const { Client, StreamableHTTPClientTransport } = await import('./mcp-client.ts')
    const client = new Client({ name: 'lilypad-buyer', version }, { versionNegotiation: { mode: 'auto' } })
    client.onclose = () => {
      connecting = undefined
    }
    await client.connect(new StreamableHTTPClientTransport(new URL(url), { fetch: boundedFetch }), {
      timeout: listMilliseconds,
    })
    return client
  }

  async function use<T>(work: (client: Client) => Promise<T>): Promise<T> {
    connecting ??= open()
    const opened = connecting
    try {
      return await work(await opened)
    } catch (error) {
      // Whatever broke, the next call begins anew.
      if (connecting === opened) connecting = undefined
      void opened.then((client) => client.close()).catch(() => undefined)
      throw new PaidServerUnreachableError(name, error)
    }
  }

  return {
    name,
    url,
    listTools: (signal) =>
      use(async (client) => {
        const { tools } = await client.listTools({}, { signal, timeout: listMilliseconds })
        // A tool with a name that could be words is left out.
        return tools.slice(0, maxTools).flatMap((tool) => {
          const parsed = PaidTool.safeParse(tool)
          return parsed.success ? [parsed.data] : []
        })
      }),
    callTool: ({ name: tool, args, meta }, { signal, timeoutMilliseconds }) =>
      use(async (client) => {
        const params = { name: tool, arguments: { ...args }, ...(meta ? { _meta: meta } : {}) }
        // Asked for as it is: a client that checks answers by the tool's own schema throws away what asks for a payment.
        const answer = await client.request({ method: 'tools/call', params }, PaidAnswer, {
          signal,
          timeout: timeoutMilliseconds,
        })
        return answer
      }),
    async close() {
      const client = await connecting?.catch(() => undefined)
      connecting = undefined
      await client?.close().catch(() => undefined)
    },
  }
}

/** Follows no redirects, and reads no more of an answer than anybody needs. */
const boundedFetch = async (url: string | URL, init?: RequestInit): Promise<Response> => {
  const response = await fetch(url, { ...init, redirect: 'error' })
  const { body } = response
  if (!body) return response
  let bytes = 0
  const counted = body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        bytes += chunk.length
        if (bytes > maxAnswerBytes) controller.error(new RangeError('the answer is too long'))
        else controller.enqueue(chunk)
      },
    }),
  )
  return new Response(counted, { status: response.status, statusText: response.statusText, headers: response.headers })
}
