import { createLilypad } from '@lilypad-agents/sdk'
import { sqliteStore } from '@lilypad-agents/sdk/node'
import { ProtocolError, ProtocolErrorCode, Server } from '@modelcontextprotocol/server'
import type { McpConfig } from './config/config.ts'
import { instructions } from './instructions.ts'
import { createJobKeeper } from './job/job-keeper.ts'
import { failureFacts, type Logger } from './log/logger.ts'
import { tools } from './tools/index.ts'
import { version } from './version.ts'

/** One process's client, jobs and tools, and what makes a protocol server over them for each connection or request. */
export type McpApp = {
  createServer(): Server
  close(): Promise<void>
}

const listTtlMilliseconds = 60 * 60 * 1000

/** Opens the state folder, takes up open jobs, and is ready to serve. Nothing goes over the network unless a job is open. */
export function createMcpApp(config: McpConfig, logger: Logger): McpApp {
  const { network, signer, grant, policy } = config
  const store = sqliteStore(config.stateDirectory)
  const lilypad = createLilypad({ network, store, ...(signer ? { signer, policy } : {}), ...(grant ? { grant } : {}) })
  const keeper = createJobKeeper({ lilypad, logger })
  const byName = new Map(tools.map((tool) => [tool.name, tool]))
  const listed = tools.filter((tool) => signer || !tool.needsKey)
  let list: ReturnType<(typeof tools)[number]['describe']>[] | undefined
  keeper.resume().catch((error: unknown) => logger.error(failureFacts(error), 'open jobs could not be taken up'))

  return {
    createServer() {
      const server = new Server(
        { name: 'lilypad', title: 'Lilypad', version },
        {
          capabilities: { tools: {} },
          instructions: instructions(config),
          cacheHints: {
            'tools/list': { ttlMs: listTtlMilliseconds, cacheScope: 'private' },
            'server/discover': { ttlMs: listTtlMilliseconds, cacheScope: 'private' },
          },
        },
      )
      server.setRequestHandler('tools/list', () => {
        list ??= listed.map((tool) => tool.describe(config))
        return { tools: list }
      })
      server.setRequestHandler('tools/call', async ({ params }, { mcpReq }) => {
        const tool = byName.get(params.name)
        if (!tool)
          throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Tool ${params.name.slice(0, 128)} not found`)
        const startedAt = performance.now()
        const result = await tool.call(params.arguments, { config, lilypad, keeper, logger, signal: mcpReq.signal })
        logger.debug(
          { tool: tool.name, isError: result.isError ?? false, ms: Math.round(performance.now() - startedAt) },
          'tool called',
        )
        return result
      })
      return server
    },
    async close() {
      keeper.close()
      await store.close()
    },
  }
}
