// A server with the fixtures of the conformance suite, made of the pieces of ours: its endpoint, its tasks, its subscriptions.
// Prints its address as one JSON line; ends with the process's stdin.
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import {
  type EventStore,
  fromJsonSchema,
  McpServer,
  ProtocolError,
  ProtocolErrorCode,
} from '@modelcontextprotocol/server'
import { loadSkills } from '@modelcontextprotocol/server/ext/skills/node'
import { guardRequests } from '../../src/http/guard-requests.ts'
import { createMcpEndpoint } from '../../src/http/serve-mcp.ts'
import { createLogger } from '../../src/log/logger.ts'
import { serveSubscriptions } from '../../src/resources/serve-subscriptions.ts'
import { serveTasks } from '../../src/tasks/serve-tasks.ts'
import { createMemoryTasks, createTaskTools } from './fixture-tasks.ts'
import { createFixtureTools, registerFixtures, stateCodec } from './fixture-tools.ts'

const logger = createLogger('silent')
const skills = await loadSkills(fileURLToPath(new URL('./skills', import.meta.url)), { strict: true })
const tasks = createMemoryTasks()
const tools = [...createFixtureTools(() => endpoint.notify), ...createTaskTools(tasks)]

/** Events of one session, for clients that take up a broken stream. */
function createEventStore(): EventStore {
  const events: { readonly id: string; readonly streamId: string; readonly message: unknown }[] = []
  return {
    async storeEvent(streamId, message) {
      const id = `${streamId}_${events.length}`
      events.push({ id, streamId, message })
      return id
    },
    async replayEventsAfter(lastEventId, { send }) {
      const index = events.findIndex(({ id }) => id === lastEventId)
      const streamId = events[index]?.streamId ?? ''
      for (const event of events.slice(index + 1))
        if (event.streamId === streamId && Object.keys(event.message ?? {}).length > 0)
          await send(event.id, event.message as never)
      return streamId
    },
  }
}

const endpoint = createMcpEndpoint({
  logger,
  maxBodyBytes: 1024 * 1024,
  createEventStore,
  async createServer({ era }) {
    const mcp = new McpServer(
      { name: 'lilypad-conformance', version: '1.0.0' },
      {
        capabilities: {
          tools: { listChanged: true },
          resources: { subscribe: true, listChanged: true },
          prompts: { listChanged: true },
          completions: {},
          ...(era === 'legacy' ? { logging: {} } : {}),
        },
        requestState: { verify: stateCodec.verify },
      },
    )
    const { server } = mcp
    registerFixtures(mcp)
    // The SDK compares mirrored headers for tools that it knows, and for no others.
    for (const { name, inputSchema, handle } of tools.filter((tool) => tool.name === 'test_x_mcp_header'))
      mcp.registerTool(name, { inputSchema: fromJsonSchema(inputSchema) }, handle as never)
    skills.attach(mcp)
    server.setRequestHandler('tools/list', () => ({
      tools: tools.map(({ name, inputSchema }) => ({ name, description: `Fixture ${name}`, inputSchema })),
    }))
    server.setRequestHandler('tools/call', ({ params }, context) => {
      const tool = tools.find(({ name }) => name === params.name)
      if (!tool) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Tool ${params.name} not found`)
      return tool.handle(params.arguments ?? {}, context)
    })
    server.setRequestHandler('completion/complete', () => ({ completion: { values: [], total: 0, hasMore: false } }))
    if (era === 'modern') serveTasks(server, tasks.source)
    else serveSubscriptions(server, { era, listen: () => () => undefined, logger })
    return mcp
  },
})

const isLetThrough = guardRequests({ host: '127.0.0.1', allowedHosts: [], allowedOrigins: [] })
const http = createServer((request, response) => {
  if (!isLetThrough(request, response)) return
  endpoint.handle(request, response).catch(() => response.destroy())
})
http.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  const address = http.address()
  if (typeof address === 'object' && address)
    process.stdout.write(`${JSON.stringify({ url: `http://localhost:${address.port}/mcp` })}\n`)
})
process.stdin.resume().once('end', () => process.exit(0))
