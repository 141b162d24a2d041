import type { Gpu, GpuNeed } from './gpu.ts'

const minSafetyBytes = 512 * 1024 ** 2

/** Memory of a GPU that is never promised: the driver's contexts and what fragments, at least 512 MiB and 3 %. */
export function safetyBytes(memoryBytes: number): number {
  return Math.max(minSafetyBytes, Math.ceil((memoryBytes * 3) / 100))
}

/** Memory of a GPU that jobs can be promised when nothing else is on it. */
export function usableBytes({ memoryBytes }: Pick<Gpu, 'memoryBytes'>): number {
  return Math.max(0, memoryBytes - safetyBytes(memoryBytes))
}

/** GPUs that one job may be given together: of one vendor and name. A program sees only one MIG instance, so those are never joined. */
export function groupGpus(gpus: readonly Gpu[], need: GpuNeed): readonly (readonly Gpu[])[] {
  const groups = new Map<string, Gpu[]>()
  for (const gpu of gpus) {
    if (need.vendor !== undefined && need.vendor !== gpu.vendor) continue
    if (need.count > 1 && gpu.migOf !== undefined) continue
    const kind = `${gpu.vendor} ${gpu.name}`
    groups.set(kind, [...(groups.get(kind) ?? []), gpu])
  }
  return [...groups.values()]
}

/** Why this machine could not run a module with these GPU limits even if it did nothing else, or undefined. */
export function findGpuProblem(need: GpuNeed | undefined, gpus: readonly Gpu[]): string | undefined {
  if (need === undefined) return undefined
  const fit = gpus.filter((gpu) => usableBytes(gpu) >= need.memoryBytes)
  if (groupGpus(fit, need).some(({ length }) => length >= need.count)) return undefined
  const kind = need.vendor === undefined ? 'GPUs' : `${need.vendor} GPUs`
  return `the module needs ${need.count} ${kind} of one kind with ${need.memoryBytes} bytes of usable memory each, the machine has ${fit.length} of its ${gpus.length} with that much`
}
