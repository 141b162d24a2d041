import { createServer } from 'node:http'
import {
  localhostHostValidation,
  localhostOriginValidation,
  type NodeIncomingMessageLike,
  toNodeHandler,
} from '@modelcontextprotocol/node'
import { createMcpHandler } from '@modelcontextprotocol/server'
import { createMcpApp } from '../app.ts'
import type { McpConfig } from '../config/config.ts'
import { createLogger, failureFacts, type Logger } from '../log/logger.ts'
import { version } from '../version.ts'

/** A server that listens. */
export type McpHttp = { readonly url: string; close(): Promise<void> }

const defaultPort = 8601
const maxBodyBytes = 1024 * 1024
const closeMilliseconds = 2000

/**
 * Serves `POST /mcp` and `GET /health` on 127.0.0.1, in both protocol eras. Requests that name another host or come
 * from a page of another origin are refused, so that web sites cannot reach it through the browser.
 */
export async function startMcpHttp(
  config: McpConfig,
  logger: Logger = createLogger(config.logLevel),
): Promise<McpHttp> {
  const app = createMcpApp(config, logger)
  const report = (error: Error) => logger.warn(failureFacts(error), 'request refused')
  const handler = createMcpHandler(() => app.createServer(), { onerror: report, maxRequestBodySize: maxBodyBytes })
  const serve = toNodeHandler(handler, { onerror: report, maxRequestBodySize: maxBodyBytes })
  const isLocalHost = localhostHostValidation()
  const isLocalOrigin = localhostOriginValidation()
  const server = createServer((request, response) => {
    if (!isLocalHost(request, response) || !isLocalOrigin(request, response)) return
    const path = request.url?.split('?', 1)[0]
    if (path === '/mcp') {
      // Node's type says that method and url may be undefined; on a request that a server received they are not.
      serve(request as NodeIncomingMessageLike, response).catch((error: unknown) => {
        logger.error(failureFacts(error), 'request failed')
        response.destroy()
      })
      return
    }
    const isHealth = path === '/health' && request.method === 'GET'
    response.writeHead(isHealth ? 200 : 404, { 'content-type': 'application/json' })
    response.end(
      JSON.stringify(
        isHealth
          ? { status: 'ok', name: 'lilypad-mcp', version, mode: config.signer ? 'spending' : 'read-only' }
          : { error: 'not found' },
      ),
    )
  })
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(config.port ?? defaultPort, '127.0.0.1', resolve)
    })
  } catch (error) {
    await app.close()
    throw error
  }
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : config.port
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeIdleConnections()
      const timer = setTimeout(() => server.closeAllConnections(), closeMilliseconds)
      await handler.close()
      await closed
      clearTimeout(timer)
      await app.close()
    },
  }
}
