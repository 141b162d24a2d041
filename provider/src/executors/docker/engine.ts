import type Docker from 'dockerode'
import type { CdiInfo } from '../../gpu/gpu-request.ts'
import { ExecutorUnavailableError } from '../errors.ts'
import { canMount } from './output-volume.ts'
import { type SeccompProfile, seccompProfile } from './seccomp-profile.ts'

/** What the engine is and can, read once. */
export type Engine = {
  readonly facts: Readonly<Record<string, string>>
  readonly seccomp: SeccompProfile
  readonly cpus: number
  readonly memoryBytes: number
  readonly architecture: string
  readonly runtimes: readonly string[]
  readonly defaultRuntime: string
  /** How it starts containers on this machine. */
  readonly host: EngineHost
  /** How it can be asked for GPUs. */
  readonly cdi: CdiInfo
}

/** What one has to know to start containers as an engine does. */
export type EngineHost = {
  readonly runtimes: Readonly<
    Record<string, { readonly path?: string; readonly runtimeArgs?: readonly string[] | null }>
  >
  readonly securityOptions: readonly string[]
  readonly cgroupDriver: string
}

/** The part of the engine's `info` that decides whether it is fit. */
type EngineInfo = {
  readonly OSType: string
  readonly Architecture: string
  readonly KernelVersion: string
  readonly DefaultRuntime: string
  readonly Runtimes?: EngineHost['runtimes']
  readonly Driver: string
  readonly NCPU: number
  readonly MemTotal: number
  readonly MemoryLimit: boolean
  readonly CpuCfsQuota: boolean
  readonly PidsLimit: boolean
  readonly CgroupVersion?: string
  readonly CgroupDriver?: string
  readonly SecurityOptions?: readonly string[]
}

/**
 * Looks at the engine.
 * @throws ExecutorUnavailableError when it cannot keep strangers in
 */
export async function inspectEngine(docker: Docker): Promise<Engine> {
  const [info, version] = await Promise.all([docker.info() as Promise<EngineInfo & CdiInfo>, docker.version()])
  const refuse = (reason: string) => new ExecutorUnavailableError('docker', reason)
  const options = info.SecurityOptions ?? []
  if (info.OSType !== 'linux') throw refuse('the engine does not run Linux containers')
  if (!(info.MemoryLimit && info.CpuCfsQuota && info.PidsLimit))
    throw refuse('the engine cannot limit memory, CPU or processes')
  if (!options.some((option) => option.startsWith('name=seccomp'))) throw refuse('the engine has no seccomp')
  // Rootless engines ignore every limit on version 1 of control groups.
  if (options.includes('name=rootless') && info.CgroupVersion === '1')
    throw refuse('a rootless engine needs version 2 of control groups')
  const seccomp = seccompProfile(info.Architecture)
  if (seccomp === undefined) throw refuse(`there is no system call profile for ${info.Architecture}`)
  const facts = {
    engine: `docker ${version.Version}`,
    api: version.ApiVersion,
    storage: info.Driver,
    architecture: info.Architecture,
    kernel: info.KernelVersion,
    cgroup: info.CgroupVersion ?? '1',
    outputs: canMount() ? 'own file system' : 'watched',
  }
  return {
    facts,
    seccomp,
    cpus: info.NCPU,
    memoryBytes: info.MemTotal,
    architecture: info.Architecture,
    runtimes: Object.keys(info.Runtimes ?? {}),
    defaultRuntime: info.DefaultRuntime,
    host: { runtimes: info.Runtimes ?? {}, securityOptions: options, cgroupDriver: info.CgroupDriver ?? '' },
    cdi: info,
  }
}

/** HTTP status of an answer of the engine, or undefined for any other failure. */
export function statusOf(error: unknown): number | undefined {
  const status = typeof error === 'object' && error !== null && 'statusCode' in error ? error.statusCode : undefined
  return typeof status === 'number' ? status : undefined
}

/** The engine said no or nothing. */
export function engineFailure(cause: unknown): ExecutorUnavailableError {
  return new ExecutorUnavailableError('docker', 'the engine refused or does not answer', cause)
}

/** Creates a container. The client would put all options into the address as well, which the engine takes to some length only. */
export function createContainer(
  docker: Docker,
  { name, ...body }: Docker.ContainerCreateOptions,
): Promise<Docker.Container> {
  // Its types do not know how to keep the two apart; its code does.
  return docker.createContainer({ _query: { name }, _body: body } as Docker.ContainerCreateOptions)
}

/** Removes a container; that it is gone already is fine. */
export async function removeContainer(container: Docker.Container): Promise<void> {
  await container.remove({ force: true, v: true }).catch((error: unknown) => {
    // 409: the engine is removing it at this moment.
    if (statusOf(error) !== 404 && statusOf(error) !== 409) throw error
  })
}
