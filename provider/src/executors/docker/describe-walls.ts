import type { ModuleLimits } from '@lilypad-agents/protocol'
import { type Gpu, gpuFacts } from '../../gpu/gpu.ts'
import type { Isolation } from '../executor.ts'
import { pidsWithin } from './container-runtime.ts'
import type { Engine } from './engine.ts'
import { jobUser } from './output-volume.ts'

const systemCallList = 'lilypad allowlist 1'

/** Whether a run was kept in by the walls of a container: those that the preflight attacks. */
export const isWalledIn = (isolation: Isolation) => isolation.seccomp === systemCallList

/** What every container of a stranger's program is kept in by, whether it serves one job or many. */
export function describeWalls(options: {
  readonly engine: Engine
  readonly runtime: string
  readonly limits: ModuleLimits
  readonly gpus: readonly Gpu[]
}) {
  const { engine, runtime, limits, gpus } = options
  return {
    ...engine.facts,
    ...gpuFacts(gpus),
    runtime,
    user: jobUser().uid,
    network: 'none',
    rootFileSystem: 'read-only',
    capabilities: 'none',
    noNewPrivileges: true,
    seccomp: systemCallList,
    ipc: 'none',
    memoryBytes: limits.memoryBytes,
    cpuMillis: limits.cpuMillis,
    pids: pidsWithin(runtime, limits.pids),
    scratchBytes: limits.scratchBytes,
  }
}
