import { Tiktoken } from 'js-tiktoken/lite'
import cl100k from 'js-tiktoken/ranks/cl100k_base'
import { defineBench } from '../bench/define-bench.ts'
import { againstBest } from './measure-mcp.ts'
import { type McpProgram, onMcpPrograms } from './mcp-program.ts'
import { startMcpProcess } from './mcp-process.ts'

type Listed = { readonly name: string; readonly outputSchema?: unknown }

async function listTools(program: McpProgram): Promise<readonly Listed[]> {
  const server = await startMcpProcess(program)
  try {
    const { tools } = await server.request('tools/list')
    return tools as readonly Listed[]
  } finally {
    await server.close()
  }
}

export const mcpTokens = defineBench({
  name: 'mcp.tokens',
  unit: 'tokens',
  summary:
    'tokens (cl100k) of the list of tools, which most clients put into every context, against the best of three others',
  goal: { of: 'ours', atMost: 4500 },
  run: () =>
    onMcpPrograms(async ({ ours, anchors }) => {
      const encoder = new Tiktoken(cl100k)
      const count = (tools: readonly Listed[]) =>
        tools.reduce((sum, tool) => sum + encoder.encode(JSON.stringify(tool), [], []).length, 0)
      const bare = (tools: readonly Listed[]) => tools.map(({ outputSchema: _schema, ...tool }) => tool)
      const tools = await listTools(ours)
      const lean = await listTools({ ...ours, args: [...ours.args, '--toolsets', 'lean'] })
      const lists = new Map<string, readonly Listed[]>()
      for (const anchor of anchors) lists.set(anchor.name, await listTools(anchor))
      const described = [['ours', tools] as const, ...lists].map(
        ([name, list]) =>
          `${name} ${list.length} tools, ${list.filter((tool) => tool.outputSchema).length} with output schema, ${count(bare(list))} tokens without`,
      )
      return againstBest({
        ours: [count(tools)],
        anchors: new Map([...lists].map(([name, list]) => [name, [count(list)]])),
        notes: [`with --toolsets lean ${count(lean)}`, ...described],
      })
    }),
})
