import { createMcpApp } from '../app.ts'
import type { McpConfig } from '../config/config.ts'
import type { Logger } from '../log/logger.ts'
import { createMcpEndpoint } from './serve-mcp.ts'
import type { McpService } from './start-mcp-http.ts'

export const maxBodyBytes = 1024 * 1024

/** Serves one set of jobs and limits to everybody who can reach the port, which has to be on loopback. */
export function serveAnyone(config: McpConfig, logger: Logger): McpService {
  const app = createMcpApp(config, logger)
  const endpoint = createMcpEndpoint({ createServer: app.createServer, logger, maxBodyBytes })
  app.onResourceChange((uri) => endpoint.notify.resourceUpdated(uri))
  return {
    handle: (request, response) => endpoint.handle(request, response),
    handleOther: () => false,
    async close() {
      await endpoint.close()
      await app.close()
    },
  }
}
