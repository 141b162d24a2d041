import type { GpuOffer, ModuleLimits } from '@lilypad-agents/protocol'

export type GpuVendor = GpuOffer['vendor']

/** A GPU, or a part of one that hardware keeps apart, as jobs are given it. */
export type Gpu = {
  /** Name under which engine and driver know it; an index would move when a card is added or fails. */
  readonly uuid: string
  readonly vendor: GpuVendor
  readonly name: string
  readonly memoryBytes: number
  readonly driver: string
  /** What programs are compiled for: `9.0` of NVIDIA, `gfx942` of AMD. */
  readonly computeCapability?: string
  /** UUID of the card that this MIG instance is a part of. */
  readonly migOf?: string
}

/** GPUs that one run of a module needs. */
export type GpuNeed = NonNullable<ModuleLimits['gpu']>

/** Facts of the GPUs a job ran on, for the job manifest. Without UUIDs, which would tell one operator's cards from another's. */
export function gpuFacts(gpus: readonly Gpu[]): Readonly<Record<string, string | number>> {
  const [first] = gpus
  if (first === undefined) return {}
  return {
    gpu: first.name.slice(0, 256),
    gpus: gpus.length,
    gpuMemoryBytes: Math.min(...gpus.map(({ memoryBytes }) => memoryBytes)),
    gpuDriver: first.driver.slice(0, 256),
    ...(first.computeCapability === undefined ? {} : { gpuComputeCapability: first.computeCapability }),
  }
}
