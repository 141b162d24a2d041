import { defineBench } from '../bench/define-bench.ts'
import { measureStarts } from './measure-mcp.ts'
import { onMcpPrograms } from './mcp-program.ts'
import { startMcpProcess } from './mcp-process.ts'

const calls = 10_000

/** What ours takes after many calls: after half of them, and after all. */
async function measureUse(signal: AbortSignal): Promise<readonly string[]> {
  const figures = await onMcpPrograms(async ({ ours }) => {
    const server = await startMcpProcess(ours)
    try {
      const megabytes: string[] = []
      for (let call = 1; call <= calls; call++) {
        signal.throwIfAborted()
        if (ours.readCall) await server.request('tools/call', ours.readCall)
        if (call % (calls / 2) === 0) megabytes.push(server.residentMegabytes().toFixed(0))
      }
      return megabytes
    } finally {
      await server.close()
    }
  })
  return 'skipped' in figures
    ? []
    : [`ours after ${calls / 2} and ${calls} calls of a tool: ${figures.join(' and ')} MB`]
}

/** V3 of the server's checklist: 75 MB when it is ready, and no growth with the number of calls. */
export const mcpMemory = defineBench({
  name: 'mcp.memory',
  unit: 'MB',
  summary:
    'resident memory of the MCP server over stdio after its first `tools/list`, against the best of three others',
  goal: { of: 'ours', atMost: 75 },
  async run(context) {
    const measured = await measureStarts(context, async (server) => {
      await server.request('tools/list')
      return server.residentMegabytes()
    })
    if ('skipped' in measured) return measured
    return { ...measured, notes: [...measured.notes, ...(await measureUse(context.signal))] }
  },
})
