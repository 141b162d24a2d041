import type { IncomingMessage, ServerResponse } from 'node:http'
import { type NodeIncomingMessageLike, toNodeHandler } from '@modelcontextprotocol/node'
import {
  classifyInboundRequest,
  createMcpHandler,
  type EventStore,
  isInitializeRequest,
  type McpServer,
  type ServerNotifier,
} from '@modelcontextprotocol/server'
import { failureFacts, type Logger } from '../log/logger.ts'
import { refuse } from './refusal.ts'
import { createSessions } from './sessions.ts'

/** Levels of a message; nothing that is asked for here comes near it. */
const maxDepth = 100
/** Messages of one request: all of them are answered at once. */
const maxMessages = 50

export type McpEndpoint = {
  /** Serves one request to the endpoint. `isAllowed` may look at what was sent, and answers itself when it says no. */
  handle(request: IncomingMessage, response: ServerResponse, isAllowed?: (body: unknown) => boolean): Promise<void>
  /** Tells changes to clients that listen. */
  readonly notify: ServerNotifier
  close(): Promise<void>
}

export type McpEndpointOptions = {
  /** A server for one request, or, of the old era, for a session. */
  readonly createServer: (serving: {
    readonly era: 'legacy' | 'modern'
    readonly isLasting: boolean
  }) => Promise<McpServer>
  readonly logger: Logger
  readonly maxBodyBytes: number
  /** Sessions of clients that open with `initialize`; the longest unused gives way to the next. @default 100 */
  readonly maxSessions?: number
  /** Streams of changes that are open at once. @default 1024 */
  readonly maxSubscriptions?: number
  /** Keeps events of old sessions, so that a client can take up a broken stream. @default none are kept */
  readonly createEventStore?: () => EventStore
}

/**
 * One endpoint for both eras: requests of 2026-07-28 are served one by one; clients that open with `initialize` get a session, so that
 * they can be asked and told things. Who may ask at all is decided before (`guardRequests`).
 */
export function createMcpEndpoint(options: McpEndpointOptions): McpEndpoint {
  const { createServer, logger, maxBodyBytes, maxSessions, maxSubscriptions, createEventStore } = options
  const report = (error: Error) => logger.warn(failureFacts(error), 'request refused')
  const handler = createMcpHandler(({ era }) => createServer({ era, isLasting: false }), {
    onerror: report,
    maxRequestBodySize: maxBodyBytes,
    ...(maxSubscriptions === undefined ? {} : { maxSubscriptions }),
  })
  const serveRequest = toNodeHandler(handler, { onerror: report, maxRequestBodySize: maxBodyBytes })
  const sessions = createSessions({
    createServer: () => createServer({ era: 'legacy', isLasting: true }),
    ...(maxSessions === undefined ? {} : { maxSessions }),
    ...(createEventStore ? { createEventStore } : {}),
  })

  return {
    notify: handler.notify,
    async handle(request, response, isAllowed = () => true) {
      const session = header(request, 'mcp-session-id')
      if (request.method !== 'POST') {
        if (session === undefined)
          return refuse(response, {
            status: 405,
            code: -32_000,
            message: 'Method not allowed.',
            headers: { allow: 'POST' },
          })
        return sessions.handle(session, request, response)
      }
      if (!/^application\/json\b/i.test(header(request, 'content-type') ?? ''))
        return refuse(response, {
          status: 415,
          code: -32_000,
          message: 'Unsupported Media Type: Content-Type must be application/json',
        })
      const text = await readBody(request, maxBodyBytes)
      if (text === undefined)
        return refuse(response, {
          status: 413,
          code: -32_600,
          message: `Request body exceeds ${maxBodyBytes} bytes`,
          headers: { connection: 'close' },
        })
      let body: unknown
      try {
        body = JSON.parse(text)
      } catch {
        return refuse(response, { status: 400, code: -32_700, message: 'Parse error: Invalid JSON' })
      }
      if (isDeeperThan(body, maxDepth))
        return refuse(response, { status: 400, code: -32_600, message: 'Invalid Request: nested too deeply' })
      if (Array.isArray(body) && body.length > maxMessages)
        return refuse(response, {
          status: 400,
          code: -32_600,
          message: `Invalid Request: more than ${maxMessages} messages`,
        })
      if (!isAllowed(body)) return
      const protocolVersionHeader = header(request, 'mcp-protocol-version')
      const mcpMethodHeader = header(request, 'mcp-method')
      const { kind } = classifyInboundRequest({
        httpMethod: 'POST',
        ...(protocolVersionHeader === undefined ? {} : { protocolVersionHeader }),
        ...(mcpMethodHeader === undefined ? {} : { mcpMethodHeader }),
        body,
      })
      if (kind === 'legacy' && session !== undefined) return sessions.handle(session, request, response, body)
      if (kind === 'legacy' && isInitializeRequest(body)) return sessions.open(request, response, body)
      // Node's type says that method and url may be undefined; on a request that a server received they are not.
      await serveRequest(request as NodeIncomingMessageLike, response, body)
    },
    async close() {
      await sessions.close()
      await handler.close()
    },
  }
}

/** Whether a value has more levels than allowed. What comes after a message was read goes down its levels by recursion. */
function isDeeperThan(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return depth === 0 || Object.values(value).some((item) => isDeeperThan(item, depth - 1))
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name]
  return Array.isArray(value) ? value[0] : value
}

/** The body as text; undefined when it is larger than allowed. The rest is let through unread: only then does the client hear the answer. */
async function readBody(request: IncomingMessage, maxBytes: number): Promise<string | undefined> {
  if (Number(header(request, 'content-length') ?? 0) > maxBytes) {
    request.resume()
    return undefined
  }
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    // Without an encoding set, a request gives buffers.
    const buffer = chunk as Buffer
    bytes += buffer.length
    if (bytes > maxBytes) {
      request.resume()
      return undefined
    }
    chunks.push(buffer)
  }
  return Buffer.concat(chunks).toString('utf8')
}
