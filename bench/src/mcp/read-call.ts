import { defineBench } from '../bench/define-bench.ts'
import { measureCalls } from './measure-mcp.ts'

/** V2 of the server's checklist: at most half a millisecond over stdio. */
export const mcpReadCall = defineBench({
  name: 'mcp.readCall',
  unit: 'ms',
  summary:
    'a tool call that reads what is stored (`lilypad_list_jobs`) over stdio, against an echo of server-everything',
  goal: { of: 'ours', atMost: 0.5 },
  run: (context) =>
    measureCalls(context, (server, { readCall }) => (readCall ? server.request('tools/call', readCall) : undefined)),
})
