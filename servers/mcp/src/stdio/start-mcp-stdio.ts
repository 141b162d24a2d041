import { serveStdio } from '@modelcontextprotocol/server/stdio'
import { createMcpApp } from '../app.ts'
import type { McpConfig } from '../config/config.ts'
import { createLogger, failureFacts, type Logger } from '../log/logger.ts'

/** Speaks MCP on this process's stdin and stdout, in the era in which the client opens. */
export function startMcpStdio(
  config: McpConfig,
  logger: Logger = createLogger(config.logLevel),
): { close(): Promise<void> } {
  const app = createMcpApp(config, logger)
  const connection = serveStdio(({ era }) => app.createServer({ era, isLasting: true }), {
    onerror: (error) => logger.warn(failureFacts(error), 'message refused'),
  })
  return {
    async close() {
      await connection.close()
      await app.close()
    },
  }
}
