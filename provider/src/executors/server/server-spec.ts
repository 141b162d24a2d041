import type { Bytes32, ModuleLimits, ModuleRuntime, ModuleServer } from '@lilypad-agents/protocol'
import { ExecutorUnavailableError } from '../errors.ts'

type ContainerRuntime = Extract<ModuleRuntime, { readonly kind: 'container' }>

/** Which server a job needs. Two jobs share one only when all of it is alike. */
export type ServerSpec = {
  readonly key: string
  readonly moduleVersion: Bytes32
  readonly runtime: ContainerRuntime
  readonly server: ModuleServer
  readonly limits: ModuleLimits
}

/**
 * The server of a module version. Its id stands for everything in the manifest: image, arguments, environment, limits.
 * @throws ExecutorUnavailableError when the module is none
 */
export function serverSpec(runtime: ModuleRuntime, limits: ModuleLimits, moduleVersion: Bytes32): ServerSpec {
  const server = runtime.kind === 'container' ? runtime.server : undefined
  if (runtime.kind !== 'container' || server === undefined)
    throw new ExecutorUnavailableError('server', 'the module is not a model server')
  return { key: moduleVersion, moduleVersion, runtime, server, limits }
}
