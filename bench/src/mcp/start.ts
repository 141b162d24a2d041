import { defineBench } from '../bench/define-bench.ts'
import { measureStarts } from './measure-mcp.ts'

export const mcpStart = defineBench({
  name: 'mcp.start',
  unit: 'ms',
  summary: 'CPU time of the MCP server over stdio until it has answered `initialize`, against the best of three others',
  goal: { of: 'ratio', atMost: 0.8 },
  run: (context) => measureStarts(context, async (server) => server.cpuMilliseconds()),
})
