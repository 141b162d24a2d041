import type { Gpu } from './gpu.ts'
import {
  type GpuProcess,
  nvidiaFields,
  nvidiaProcessQuery,
  nvidiaQuery,
  parseGpuProcesses,
  parseMigInstances,
  parseMigMemory,
  parseNvidiaCards,
  splitMigCards,
} from './nvidia-smi.ts'
import { parseRocmCards, rocmQuery } from './rocm-smi.ts'
import { createToolRunner, type RunTool, type ToolResult } from './run-tool.ts'
import type { ToolReading } from './tool-reading.ts'
import { parseXpuCard, parseXpuIds, xpuDetails, xpuList } from './xpu-smi.ts'

export type DiscoveredGpus = {
  readonly gpus: readonly Gpu[]
  /** Why a card that is there is not offered, each in a sentence of ours. */
  readonly problems: readonly string[]
}

const nothing: ToolReading<Gpu> = { found: [], problems: [] }

/** Asks the tools of the vendors' drivers for this machine's GPUs. A machine without any is not a problem. Never throws. */
export async function discoverGpus({
  run = createToolRunner(),
}: {
  readonly run?: RunTool
} = {}): Promise<DiscoveredGpus> {
  const readings = await Promise.all([readNvidia(run), readRocm(run), readXpu(run)])
  const seen = new Set<string>()
  const gpus = readings
    .flatMap(({ found }) => found)
    // Two entries for one card would be two accounts of the same memory.
    .filter(({ uuid }) => !seen.has(uuid) && seen.add(uuid))
  return { gpus, problems: readings.flatMap(({ problems }) => problems) }
}

/** Memory that each process of this machine has on NVIDIA cards; nothing where there are none. */
export async function listGpuProcesses({
  run = createToolRunner(),
}: {
  readonly run?: RunTool
} = {}): Promise<readonly GpuProcess[]> {
  const answer = await run('nvidia-smi', nvidiaProcessQuery)
  return answer.kind === 'answered' ? parseGpuProcesses(answer.stdout) : []
}

async function readNvidia(run: RunTool): Promise<ToolReading<Gpu>> {
  let fields: readonly string[] = nvidiaFields.current
  let answer = await run('nvidia-smi', nvidiaQuery(fields))
  if (answer.kind === 'failed' && answer.output.includes('is not a valid field to query')) {
    fields = nvidiaFields.older
    answer = await run('nvidia-smi', nvidiaQuery(fields))
  }
  if (answer.kind !== 'answered') return unanswered('nvidia-smi', answer)
  const cards = parseNvidiaCards(answer.stdout, fields)
  if (!cards.found.some(({ isMigOn }) => isMigOn)) {
    return { found: splitMigCards(cards.found, [], new Map()).found, problems: cards.problems }
  }
  const [list, details] = [await run('nvidia-smi', ['-L']), await run('nvidia-smi', ['-q', '-x'])]
  const split = splitMigCards(
    cards.found,
    list.kind === 'answered' ? parseMigInstances(list.stdout) : [],
    details.kind === 'answered' ? parseMigMemory(details.stdout) : new Map(),
  )
  return { found: split.found, problems: [...cards.problems, ...split.problems] }
}

async function readRocm(run: RunTool): Promise<ToolReading<Gpu>> {
  const answer = await run('rocm-smi', rocmQuery)
  return answer.kind === 'answered' ? parseRocmCards(answer.stdout) : unanswered('rocm-smi', answer)
}

async function readXpu(run: RunTool): Promise<ToolReading<Gpu>> {
  const answer = await run('xpu-smi', xpuList)
  if (answer.kind !== 'answered') return unanswered('xpu-smi', answer)
  const ids = parseXpuIds(answer.stdout)
  const cards: ToolReading<Gpu>[] = []
  for (const id of ids.found) {
    const details = await run('xpu-smi', xpuDetails(id))
    cards.push(details.kind === 'answered' ? parseXpuCard(details.stdout) : unanswered('xpu-smi', details))
  }
  return {
    found: cards.flatMap(({ found }) => found),
    problems: [...ids.problems, ...cards.flatMap(({ problems }) => problems)],
  }
}

function unanswered(tool: string, answer: Exclude<ToolResult, { kind: 'answered' }>): ToolReading<Gpu> {
  if (answer.kind === 'absent') return nothing
  return { found: [], problems: [`${tool} is here and does not work: ${answer.reason}`] }
}
