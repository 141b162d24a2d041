import { createHash } from 'node:crypto'
import { join, resolve } from 'node:path'
import type { EgressSettings } from '../egress/egress-policy.ts'
import { DockerExecutor } from '../executors/docker/docker-executor.ts'
import type { Executor } from '../executors/executor.ts'
import type { TrustedModules } from '../executors/server/process-backend.ts'
import { ServerExecutor, type ServerExecutorOptions } from '../executors/server/server-executor.ts'
import { NoopExecutor } from '../executors/noop/noop-executor.ts'
import { WasmExecutor } from '../executors/wasm/wasm-executor.ts'

export type ExecutorName = Executor['name']

/** What an operator sets for model servers. */
export type ServerSettings = Pick<ServerExecutorOptions, 'isResident' | 'maxMemoryBytes' | 'maxReplicas'> & {
  readonly trusted?: TrustedModules
}

/** The executors of a node, by name, with their state below `<stateDir>/provider`. */
export function createExecutors(
  names: readonly ExecutorName[],
  options: {
    readonly stateDir: string
    readonly containerRuntime?: string | undefined
    /** Socket of the engine. @default '/var/run/docker.sock' */
    readonly dockerSocket?: string | undefined
    readonly servers?: ServerSettings
    /** What container jobs may talk to. @default nothing */
    readonly egress?: EgressSettings
    /** Hears why slots of container jobs are opened by the engine where they were to be copied. */
    readonly onUncopied?: (reason: string) => void
  },
): readonly Executor[] {
  const stateDirectory = join(options.stateDir, 'provider', 'executors')
  // Two nodes of one machine share the engine; each may only sweep what it started itself.
  const nodeId = createHash('sha256').update(resolve(options.stateDir)).digest('hex').slice(0, 16)
  const engine = {
    ...(options.containerRuntime === undefined ? {} : { runtime: options.containerRuntime }),
    ...(options.dockerSocket === undefined ? {} : { socketPath: options.dockerSocket }),
  }
  return [...new Set(names)].map((name) => {
    switch (name) {
      case 'wasm':
        return new WasmExecutor({ stateDirectory })
      case 'docker':
        return new DockerExecutor({
          stateDirectory,
          nodeId,
          ...engine,
          ...(options.egress === undefined ? {} : { egress: options.egress }),
          ...(options.onUncopied === undefined ? {} : { onUncopied: options.onUncopied }),
        })
      case 'server':
        return new ServerExecutor({
          stateDirectory,
          nodeId,
          // Containers are trusted by what the preflight of the other executor has shown.
          hasContainers: names.includes('docker'),
          ...engine,
          ...options.servers,
        })
      case 'noop':
        return new NoopExecutor()
      default:
        return assertNever(name)
    }
  })
}

function assertNever(name: never): never {
  throw new TypeError(`unknown executor ${String(name)}`)
}
