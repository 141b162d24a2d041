import { defineBench } from '../bench/define-bench.ts'
import { measureCalls } from './measure-mcp.ts'

/** V2 of the server's checklist: at most a millisecond over stdio. */
export const mcpToolsList = defineBench({
  name: 'mcp.toolsList',
  unit: 'ms',
  summary: '`tools/list` of a running MCP server over stdio, against the best of three others',
  goal: { of: 'ours', atMost: 1 },
  run: (context) => measureCalls(context, (server) => server.request('tools/list')),
})
