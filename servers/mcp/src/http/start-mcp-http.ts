import { createServer } from 'node:http'
import { localhostHostValidation, localhostOriginValidation } from '@modelcontextprotocol/node'
import { createMcpApp } from '../app.ts'
import type { McpConfig } from '../config/config.ts'
import { createLogger, failureFacts, type Logger } from '../log/logger.ts'
import { version } from '../version.ts'
import { createMcpEndpoint } from './serve-mcp.ts'

/** A server that listens. */
export type McpHttp = { readonly url: string; close(): Promise<void> }

const defaultPort = 8601
const maxBodyBytes = 1024 * 1024
const closeMilliseconds = 2000

/**
 * Serves `/mcp` and `GET /health` on 127.0.0.1, in both protocol eras. Requests that name another host or come
 * from a page of another origin are refused, so that web sites cannot reach it through the browser.
 */
export async function startMcpHttp(
  config: McpConfig,
  logger: Logger = createLogger(config.logLevel),
): Promise<McpHttp> {
  const app = createMcpApp(config, logger)
  const isLocalHost = localhostHostValidation()
  const isLocalOrigin = localhostOriginValidation()
  const endpoint = createMcpEndpoint({ createServer: app.createServer, logger, maxBodyBytes })
  app.onResourceChange((uri) => endpoint.notify.resourceUpdated(uri))
  const server = createServer((request, response) => {
    const path = request.url?.split('?', 1)[0]
    if (path === '/mcp') {
      endpoint.handle(request, response).catch((error: unknown) => {
        logger.error(failureFacts(error), 'request failed')
        response.destroy()
      })
      return
    }
    if (!isLocalHost(request, response) || !isLocalOrigin(request, response)) return
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
      await endpoint.close()
      await closed
      clearTimeout(timer)
      await app.close()
    },
  }
}
