import type { ContainerCreateOptions, DeviceRequest } from 'dockerode'
import { listCdiDevices } from './cdi-spec.ts'
import type { Gpu, GpuVendor } from './gpu.ts'
import { gpuEnvironmentLines } from './gpu-environment.ts'
import { GpuUnavailableError } from './gpu-unavailable-error.ts'

/** The part of the engine's `info` that says how it can be asked for GPUs. */
export type CdiInfo = {
  /** Folders it reads CDI files from; without any it knows no CDI. */
  readonly CDISpecDirs?: readonly string[] | null
  /** Devices it has found itself, since version 28.2. */
  readonly DiscoveredDevices?: readonly { readonly Source?: string; readonly ID?: string }[] | null
}

/** How GPUs are asked for, and what is said in the environment about it. */
export type GpuRequest = {
  readonly way: 'cdi' | 'driver'
  readonly deviceRequests: readonly DeviceRequest[]
  readonly environment: readonly string[]
}

const cdiKinds = { nvidia: 'nvidia.com/gpu', amd: 'amd.com/gpu', intel: 'intel.com/gpu' } as const satisfies {
  readonly [vendor in GpuVendor]: string
}

/** CDI devices that this engine can hand out, by qualified name: the engine's own list, or what lies in the folders it reads. */
export async function listEngineDevices(info: CdiInfo): Promise<ReadonlySet<string>> {
  const folders = info.CDISpecDirs ?? []
  if (folders.length === 0) return new Set()
  const discovered = (info.DiscoveredDevices ?? []).flatMap(({ Source, ID }) => (Source === 'cdi' && ID ? [ID] : []))
  return discovered.length > 0 ? new Set(discovered) : listCdiDevices(folders)
}

/**
 * Asks for exactly these GPUs, by UUID. CDI comes first: what it hands out stands in a file of the machine's owner, and
 * nothing in a container's environment can change it. Otherwise NVIDIA's own driver of the engine is asked.
 * @throws {@link GpuUnavailableError} when the engine has no way to hand them out
 */
export function gpuRequest(gpus: readonly Gpu[], cdiDevices: ReadonlySet<string>): GpuRequest {
  const names = gpus.map(({ vendor, uuid }) => `${cdiKinds[vendor]}=${uuid}`)
  if (gpus.length === 0) throw new RangeError('a request for no GPU')
  if (names.every((name) => cdiDevices.has(name))) {
    return {
      way: 'cdi',
      deviceRequests: [{ Driver: 'cdi', DeviceIDs: names }],
      // An engine that also has the other way installed is told to leave this container alone.
      environment: ['NVIDIA_VISIBLE_DEVICES=void'],
    }
  }
  const stranger = gpus.find(({ vendor }) => vendor !== 'nvidia')
  if (stranger !== undefined) {
    throw new GpuUnavailableError(`the engine has no CDI device ${cdiKinds[stranger.vendor]}=${stranger.uuid}`, {
      hint: 'write a CDI file for it; docs/gpu.md says how',
    })
  }
  return {
    way: 'driver',
    deviceRequests: [
      {
        Driver: 'nvidia',
        DeviceIDs: gpus.map(({ uuid }) => uuid),
        Capabilities: [['gpu', 'compute', 'utility']],
      },
    ],
    environment: [],
  }
}

/** A container's options with GPUs, and without anything by which its image or job could choose others. */
export function withGpus(
  options: ContainerCreateOptions,
  request: GpuRequest,
  imageEnvironment: readonly string[],
): ContainerCreateOptions {
  return {
    ...options,
    Env: [...gpuEnvironmentLines({ own: options.Env ?? [], image: imageEnvironment, request: request.environment })],
    HostConfig: { ...options.HostConfig, DeviceRequests: [...request.deviceRequests] },
  }
}

/** What an engine's refusal to start a container with GPUs means, or undefined when it was refused for another reason. */
export function findGpuRefusal(error: unknown): GpuUnavailableError | undefined {
  const message = error instanceof Error ? error.message : ''
  if (/could not select device driver/i.test(message)) {
    return new GpuUnavailableError('the engine has no driver for GPUs', {
      hint: 'install the NVIDIA Container Toolkit, or a CDI file and Docker 25 or later, then restart the engine; docs/gpu.md says how',
      cause: error,
    })
  }
  if (/CDI device injection failed|unresolvable CDI device/i.test(message)) {
    return new GpuUnavailableError('the engine does not find the GPU in its CDI files', {
      hint: 'write them again after a change of driver or cards: `nvidia-ctk cdi generate`',
      cause: error,
    })
  }
  if (/nvidia-container-(cli|runtime)/i.test(message)) {
    return new GpuUnavailableError("NVIDIA's part of the engine refused the GPU", {
      hint: 'check `nvidia-smi` on this machine; after an update of the driver it has to be restarted',
      cause: error,
    })
  }
  return undefined
}
