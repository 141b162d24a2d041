import { availableParallelism, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { runBench } from './bench/run-bench.ts'
import { benches } from './benches.ts'
import { listBenches, tableHead, tableRow } from './report/table.ts'

const usage = `npm run bench [-- options]
  --only <prefix>  run the benchmarks whose name starts so; may be repeated
  --runs <n>       rounds of each, instead of its own number
  --json           one object per line on stdout
  --list           print what there is and stop`

export type CliStreams = { readonly stdout: (line: string) => void; readonly stderr: (line: string) => void }

function parseFlags(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string', multiple: true },
      runs: { type: 'string' },
      json: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const { only = [''], json, list, help } = values
  const runs = values.runs === undefined ? undefined : Number(values.runs)
  if (runs !== undefined && !(Number.isInteger(runs) && runs >= 1 && runs <= 10_000)) {
    throw new RangeError('--runs takes a whole number from 1 to 10000')
  }
  const chosen = benches.filter(({ name }) => only.some((prefix) => name.startsWith(prefix)))
  if (chosen.length === 0)
    throw new RangeError(`--only ${only.join(', ')} names none of: ${benches.map(({ name }) => name).join(' ')}`)
  return { chosen, runs, json, list, help }
}

/**
 * Runs the benchmarks that the arguments name. Results go to stdout, progress to stderr.
 * @returns the exit code: 0 unless one broke; a missed goal or one that cannot run here is a result like any other
 */
export async function runCli(args: readonly string[], streams: CliStreams, signal: AbortSignal): Promise<number> {
  const { stdout, stderr } = streams
  let flags: ReturnType<typeof parseFlags>
  try {
    flags = parseFlags(args)
  } catch (error) {
    stderr(`${error instanceof Error ? error.message : String(error)}\n${usage}`)
    return 2
  }
  const { chosen, runs, json, list, help } = flags
  if (help) stdout(usage)
  if (list) stdout(listBenches(chosen))
  if (help || list) return 0
  stderr(
    `node ${process.versions.node}, ${availableParallelism()} cores, load ${loadavg()[0]?.toFixed(2)} before the start`,
  )
  if (!json) stdout(tableHead)
  let hasFailed = false
  for (const bench of chosen) {
    if (signal.aborted) break
    const result = await runBench(bench, { runs, signal, onStep: (step) => stderr(`${bench.name}: ${step}`) })
    hasFailed ||= 'error' in result
    stdout(json ? JSON.stringify(result) : tableRow(result))
  }
  return hasFailed || signal.aborted ? 1 : 0
}
