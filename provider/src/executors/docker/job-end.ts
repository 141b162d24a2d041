import type { OutputFile } from '@lilypad-agents/protocol'
import { collectOutputs, maxOutputFolders } from '../../outputs/collect-outputs.ts'
import type { ExecutorTask, Isolation, Outcome } from '../executor.ts'
import type { RunControl } from '../run-control.ts'
import { describeWalls } from './describe-walls.ts'
import type { Engine } from './engine.ts'
import type { OutputVolume } from './output-volume.ts'

const watchMilliseconds = 250

/** How a job came to its end: in a slot or from cold. */
export type Ended = {
  readonly outcome: Outcome
  readonly outputs: readonly OutputFile[]
  readonly start: 'slot' | 'cold'
  readonly runtime: string
  readonly volume: OutputVolume
  /** What its way out let through, if it had one. */
  readonly egressFacts?: Isolation | undefined
}

/** Takes the outputs of a job that ended by itself. */
export async function conclude(
  task: ExecutorTask,
  outcome: Outcome,
  volume: OutputVolume,
): Promise<{ readonly outcome: Outcome; readonly outputs: readonly OutputFile[] }> {
  if (outcome.kind !== 'exited') return { outcome, outputs: [] }
  const collected = await collectOutputs({
    source: volume.directory,
    destination: task.outputDirectory,
    limits: task.limits,
  })
  return collected.kind === 'collected' ? { outcome, outputs: collected.outputs } : { outcome: collected, outputs: [] }
}

/** Stops a job soon after it wrote more than it may, where no file system does. */
export function watchUsage(volume: OutputVolume, task: ExecutorTask, control: RunControl): NodeJS.Timeout {
  const { limits } = task
  const look = async () => {
    const { bytes, entries } = await volume.usage()
    if (bytes > limits.outputBytes || entries > limits.outputFiles + maxOutputFolders(limits))
      control.stop({ kind: 'output-limit' })
  }
  return setInterval(() => void look(), watchMilliseconds)
}

/** What kept the job in. */
export function describeIsolation(task: ExecutorTask, engine: Engine, ended: Ended): Isolation {
  const { limits } = task
  return {
    ...describeWalls({ engine, runtime: ended.runtime, limits, gpus: task.gpus ?? [] }),
    start: ended.start,
    outputBytes: limits.outputBytes,
    outputs: ended.volume.bound,
    timeoutSeconds: limits.timeoutSeconds,
    logBytes: limits.logBytes,
    ...ended.egressFacts,
  }
}
