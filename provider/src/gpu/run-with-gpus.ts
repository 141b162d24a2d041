import type { ModuleManifest } from '@lilypad-agents/protocol'
import type { Gpu } from './gpu.ts'
import type { VramLedger } from './vram-ledger.ts'

/**
 * Runs the work once the GPUs that the module needs are its own, and gives them back when it settles. A module that needs
 * none starts at once. Resolves to undefined, without having started, when the signal aborts first.
 * @throws GpuUnavailableError when this machine can never grant them
 */
export async function runWithGpus<T>(
  ledger: VramLedger,
  options: {
    readonly moduleVersion: string
    readonly manifest: Pick<ModuleManifest, 'limits'>
    /** Whether the owner of the machine lets this module share a GPU with others. */
    readonly isTrusted: boolean
    readonly signal: AbortSignal
  },
  work: (gpus: readonly Gpu[], grantId: number | undefined) => Promise<T>,
): Promise<T | undefined> {
  const { moduleVersion, manifest, isTrusted, signal } = options
  const need = manifest.limits.gpu
  if (need === undefined) return work([], undefined)
  const grant = await ledger.acquire({ program: moduleVersion, need, isExclusive: !isTrusted }, signal)
  if (grant === undefined) return undefined
  try {
    return await work(grant.gpus, grant.id)
  } finally {
    ledger.release(grant.id)
  }
}
