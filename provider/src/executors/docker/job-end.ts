import type { OutputFile } from '@lilypad-agents/protocol'
import { gpuFacts } from '../../gpu/gpu.ts'
import { collectOutputs, maxOutputFolders } from '../../outputs/collect-outputs.ts'
import type { ExecutorTask, Isolation, Outcome } from '../executor.ts'
import type { RunControl } from '../run-control.ts'
import { pidsWithin } from './container-runtime.ts'
import type { Engine } from './engine.ts'
import { jobUser, type OutputVolume } from './output-volume.ts'

const watchMilliseconds = 250

/** How a job came to its end: in a slot or from cold. */
export type Ended = {
  readonly outcome: Outcome
  readonly outputs: readonly OutputFile[]
  readonly start: 'slot' | 'cold'
  readonly runtime: string
  readonly volume: OutputVolume
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
    ...engine.facts,
    ...gpuFacts(task.gpus ?? []),
    runtime: ended.runtime,
    start: ended.start,
    user: jobUser().uid,
    network: 'none',
    rootFileSystem: 'read-only',
    capabilities: 'none',
    noNewPrivileges: true,
    seccomp: 'lilypad allowlist 1',
    ipc: 'none',
    memoryBytes: limits.memoryBytes,
    cpuMillis: limits.cpuMillis,
    pids: pidsWithin(ended.runtime, limits.pids),
    scratchBytes: limits.scratchBytes,
    outputBytes: limits.outputBytes,
    outputs: ended.volume.bound,
    timeoutSeconds: limits.timeoutSeconds,
    logBytes: limits.logBytes,
  }
}
