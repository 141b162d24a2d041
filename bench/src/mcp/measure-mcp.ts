import type { BenchContext, Measurement } from '../bench/define-bench.ts'
import { median, quantile } from '../bench/rounds.ts'
import { type McpProgram, onMcpPrograms } from './mcp-program.ts'
import { type McpProcess, startMcpProcess } from './mcp-process.ts'

type Skipped = { readonly skipped: string }

/** Best of the anchors by the median, with all of them in the notes. Lower is better. */
export function againstBest(options: {
  readonly ours: readonly number[]
  readonly anchors: ReadonlyMap<string, readonly number[]>
  readonly notes?: readonly string[]
}): Measurement {
  const { ours, anchors, notes = [] } = options
  const ranked = [...anchors].map(([name, figures]) => ({ name, figure: median(figures) }))
  ranked.sort((one, other) => one.figure - other.figure)
  const [best] = ranked
  if (!best) throw new RangeError('no anchor')
  const others = ranked.slice(1).map(({ name, figure }) => `${name} ${figure.toPrecision(3)}`)
  const spread = [0.25, 0.75].map((share) => quantile(ours, share).toPrecision(3)).join(' to ')
  return {
    ours: median(ours),
    reference: best.figure,
    referenceName: `the best of ${ranked.length}, ${best.name}`,
    runs: ours.length,
    notes: [
      ...(ours.length > 1 ? [`middle half of ours ${spread}`] : []),
      ...(others.length > 0 ? [`others: ${others.join(', ')}`] : []),
      ...notes,
    ],
  }
}

/** One figure of each server in turn, a new process for each, round by round. */
export function measureStarts(
  { runs = 15, signal }: BenchContext,
  figure: (server: McpProcess) => Promise<number>,
): Promise<Measurement | Skipped> {
  return onMcpPrograms(async ({ ours, anchors }) => {
    const figures = new Map([ours, ...anchors].map((program): [McpProgram, number[]] => [program, []]))
    // The first round fills the caches of files and of compiled code, as the first start after an install does.
    for (let round = -1; round < runs; round++)
      for (const [program, list] of rotate([...figures], round + 1)) {
        signal.throwIfAborted()
        const server = await startMcpProcess(program)
        try {
          const value = await figure(server)
          if (round >= 0) list.push(value)
        } finally {
          await server.close()
        }
      }
    return againstBest({ ours: figures.get(ours) ?? [], anchors: byName(figures, anchors) })
  })
}

/** The time of a call of each server in turn, in one process each, after as many calls as warm up. */
export function measureCalls(
  { runs = 300, signal }: BenchContext,
  call: (server: McpProcess, program: McpProgram) => Promise<unknown> | undefined,
): Promise<Measurement | Skipped> {
  return onMcpPrograms(async ({ ours, anchors }) => {
    const servers: { readonly program: McpProgram; readonly server: McpProcess; readonly figures: number[] }[] = []
    try {
      for (const program of [ours, ...anchors]) {
        const server = await startMcpProcess(program)
        const first = call(server, program)
        await first
        if (first) servers.push({ program, server, figures: [] })
        else await server.close()
      }
      const cpuBefore = servers.map(({ server }) => server.cpuMilliseconds())
      for (let round = -runs; round < runs; round++)
        for (const { program, server, figures } of rotate(servers, round + runs)) {
          signal.throwIfAborted()
          const startedAt = performance.now()
          await call(server, program)
          if (round >= 0) figures.push(performance.now() - startedAt)
        }
      const cpu = servers.map(
        ({ program, server }, index) =>
          `${program.name} ${((server.cpuMilliseconds() - (cpuBefore[index] ?? 0)) / (2 * runs)).toPrecision(2)}`,
      )
      const figures = new Map(servers.map(({ program, figures }): [McpProgram, number[]] => [program, figures]))
      const left = anchors.filter((program) => !figures.has(program)).map(({ name }) => name)
      return againstBest({
        ours: figures.get(ours) ?? [],
        anchors: byName(figures, anchors),
        notes: [
          `CPU ms per call: ${cpu.join(', ')}`,
          ...(left.length > 0 ? [`without a network or a browser, nothing can be read at ${left.join(' and ')}`] : []),
        ],
      })
    } finally {
      for (const { server } of servers) await server.close()
    }
  })
}

const rotate = <T>(list: readonly T[], by: number): readonly T[] => [
  ...list.slice(by % list.length),
  ...list.slice(0, by % list.length),
]
const byName = (figures: ReadonlyMap<McpProgram, readonly number[]>, anchors: readonly McpProgram[]) =>
  new Map(
    anchors.flatMap((program): [string, readonly number[]][] => {
      const list = figures.get(program)
      return list ? [[program.name, list]] : []
    }),
  )
