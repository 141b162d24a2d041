import type { VramLedger } from '../../gpu/vram-ledger.ts'
import type { GpuAccount } from './server-pool.ts'

/** The part of the provider's account of GPU memory that model servers use. A server has its GPUs for itself. */
export function gpuAccount(ledger: () => VramLedger | undefined): GpuAccount {
  return {
    reserve({ moduleVersion, limits }, reloadSeconds) {
      const vram = ledger()
      if (vram === undefined || limits.gpu === undefined) return undefined
      const request = { program: moduleVersion, need: limits.gpu, isExclusive: true }
      const now = Date.now()
      const grant = vram.reserveResident({ ...request, model: moduleVersion, reloadSeconds }, now)
      if (grant !== undefined) return grant
      const evict = vram.planEviction(request, now)
      return evict === undefined ? undefined : { evict }
    },
    listWanted: () => ledger()?.planForWaiting(Date.now()) ?? [],
    release: (id) => ledger()?.release(id),
    beginRequest: (id) => ledger()?.beginRequest(id, Date.now()),
    endRequest: (id) => ledger()?.endRequest(id, Date.now()),
  }
}
