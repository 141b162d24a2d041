import { defineBench } from '../bench/define-bench.ts'
import { againstBest } from './measure-mcp.ts'
import { measureInstall, onMcpPrograms } from './mcp-program.ts'

const bytesPerMegabyte = 1_000_000

export const mcpInstall = defineBench({
  name: 'mcp.install',
  unit: 'MB',
  summary: 'what npm installs for the MCP server, against the best of three others',
  goal: { of: 'ours', atMost: 15 },
  run: () =>
    onMcpPrograms(async ({ ours, anchors }) => {
      const sizes = new Map<string, { readonly packages: number; readonly bytes: number }>()
      for (const { name, folder } of [ours, ...anchors]) sizes.set(name, await measureInstall(folder))
      const megabytes = (name: string) => [(sizes.get(name)?.bytes ?? 0) / bytesPerMegabyte]
      return againstBest({
        ours: megabytes(ours.name),
        anchors: new Map(anchors.map(({ name }) => [name, megabytes(name)])),
        notes: [`packages: ${[...sizes].map(([name, { packages }]) => `${name} ${packages}`).join(', ')}`],
      })
    }),
})
