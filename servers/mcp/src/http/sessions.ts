import type { IncomingMessage, ServerResponse } from 'node:http'
import { NodeStreamableHTTPServerTransport } from '@modelcontextprotocol/node'
import type { EventStore, McpServer } from '@modelcontextprotocol/server'

const idleMilliseconds = 60 * 60 * 1000
const retryMilliseconds = 2000

type Session = { readonly transport: NodeStreamableHTTPServerTransport; readonly server: McpServer; usedAt: number }

/** Sessions of clients that open with `initialize`. The longest unused one gives way when there are too many. */
export type Sessions = {
  open(request: IncomingMessage, response: ServerResponse, body: unknown): Promise<void>
  handle(id: string, request: IncomingMessage, response: ServerResponse, body?: unknown): Promise<void>
  close(): Promise<void>
}

export function createSessions(options: {
  readonly createServer: () => Promise<McpServer>
  readonly createEventStore?: () => EventStore
  readonly maxSessions?: number
}): Sessions {
  const { createServer, createEventStore, maxSessions = 100 } = options
  const sessions = new Map<string, Session>()

  async function end(id: string): Promise<void> {
    const session = sessions.get(id)
    sessions.delete(id)
    await session?.server.close()
  }

  async function endOld(): Promise<void> {
    const before = Date.now() - idleMilliseconds
    const byAge = [...sessions].sort(([, a], [, b]) => a.usedAt - b.usedAt)
    const tooMany = Math.max(0, sessions.size - maxSessions + 1)
    const old = byAge.filter(([, { usedAt }], index) => index < tooMany || usedAt < before)
    await Promise.all(old.map(([id]) => end(id)))
  }

  return {
    async open(request, response, body) {
      await endOld()
      const server = await createServer()
      const transport = new NodeStreamableHTTPServerTransport({
        sessionIdGenerator: () => crypto.randomUUID(),
        onsessioninitialized: (id) => void sessions.set(id, { transport, server, usedAt: Date.now() }),
        onsessionclosed: (id) => void sessions.delete(id),
        ...(createEventStore ? { eventStore: createEventStore(), retryInterval: retryMilliseconds } : {}),
      })
      await server.connect(transport)
      await transport.handleRequest(request, response, body)
      // A handshake that was refused leaves no session behind.
      if (transport.sessionId === undefined) await server.close()
    },
    async handle(id, request, response, body) {
      const session = sessions.get(id)
      if (!session) {
        response.writeHead(404, { 'content-type': 'application/json' })
        response.end(
          JSON.stringify({ jsonrpc: '2.0', error: { code: -32_001, message: 'Session not found' }, id: null }),
        )
        return
      }
      session.usedAt = Date.now()
      await session.transport.handleRequest(request, response, body)
    },
    async close() {
      await Promise.all([...sessions.keys()].map(end))
    },
  }
}
