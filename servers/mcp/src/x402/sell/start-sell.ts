import { createServer } from 'node:http'
import { localhostHostValidation, localhostOriginValidation } from '@modelcontextprotocol/node'
import type { McpConfig } from '../../config/config.ts'
import { createMcpEndpoint } from '../../http/serve-mcp.ts'
import type { McpHttp } from '../../http/start-mcp-http.ts'
import { createLogger, failureFacts, type Logger } from '../../log/logger.ts'
import { createSellApp } from './sell-app.ts'

const defaultPort = 8601
const maxBodyBytes = 1024 * 1024
const closeMilliseconds = 2000

/**
 * Serves the paid tools at `/mcp` on 127.0.0.1, and nothing else. Requests that name another host or come from a page of another origin are
 * refused: what stands before it for the internet speaks to it under its own name.
 */
export async function startSell(config: McpConfig, logger: Logger = createLogger(config.logLevel)): Promise<McpHttp> {
  const app = await createSellApp(config, logger)
  const endpoint = createMcpEndpoint({ createServer: app.createServer, logger, maxBodyBytes })
  const isLocalHost = localhostHostValidation()
  const isLocalOrigin = localhostOriginValidation()
  const server = createServer((request, response) => {
    if (!isLocalHost(request, response) || !isLocalOrigin(request, response)) return
    if (request.url?.split('?', 1)[0] !== '/mcp') {
      response.writeHead(404, { 'content-type': 'application/json' }).end(JSON.stringify({ error: 'not found' }))
      return
    }
    endpoint.handle(request, response).catch((error: unknown) => {
      logger.error(failureFacts(error), 'request failed')
      response.destroy()
    })
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
