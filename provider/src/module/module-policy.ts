import type { ModuleListing, ModuleManifest } from '@lilypad-agents/protocol'
import type { Executor } from '../executors/executor.ts'
import type { Gpu } from '../gpu/gpu.ts'
import { findGpuProblem } from '../gpu/gpu-memory.ts'

/** Which modules a provider offers: all it can run, or those named by module name or version id. */
export type ModulePolicy = 'all' | readonly string[]

/** Whether the operator wants to offer this version. A withdrawn version is not offered any more. */
export function isWanted(
  policy: ModulePolicy,
  listing: Pick<ModuleListing, 'name' | 'moduleVersion' | 'deprecated'>,
): boolean {
  if (listing.deprecated) return false
  return policy === 'all' || policy.includes(listing.name) || policy.includes(listing.moduleVersion)
}

/** Name of the executor for a kind of program. */
export function executorNameOf(runtime: ModuleManifest['runtime']): 'wasm' | 'docker' | 'server' {
  if (runtime.kind === 'wasm') return 'wasm'
  return runtime.server === undefined ? 'docker' : 'server'
}

/** First of the executors that can run a kind of program; `noop` pretends to run every kind. */
export function findExecutor(executors: readonly Executor[], runtime: ModuleManifest['runtime']): Executor | undefined {
  const name = executorNameOf(runtime)
  return executors.find((executor) => executor.name === name) ?? executors.find((executor) => executor.name === 'noop')
}

/** Why this machine cannot run a module within its limits, or undefined. */
export function findLimitProblem(
  limits: ModuleManifest['limits'],
  machine: { readonly memoryBytes: number; readonly cpus: number; readonly gpus?: readonly Gpu[] },
): string | undefined {
  if (limits.memoryBytes > machine.memoryBytes)
    return `the module may use ${limits.memoryBytes} bytes of memory, the machine has ${machine.memoryBytes}`
  if (limits.cpuMillis > machine.cpus * 1000)
    return `the module may use ${limits.cpuMillis} thousandths of a CPU, the machine has ${machine.cpus} CPUs`
  return findGpuProblem(limits.gpu, machine.gpus ?? [])
}
