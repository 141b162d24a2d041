import type { GpuProcess } from './nvidia-smi.ts'
import type { VramLedger } from './vram-ledger.ts'

/**
 * Enters one look at the GPUs into the ledger: what each granted run has in use, and what belongs to none. Answers with the
 * grants that took more than they were given; their runs have to be stopped.
 */
export function accountUsage(
  ledger: Pick<VramLedger, 'gpus' | 'measure' | 'observeForeign'>,
  processes: readonly GpuProcess[],
  /** Grant of each process of a job, by process id of the machine. */
  owners: ReadonlyMap<number, number>,
): ReadonlySet<number> {
  const over = new Set<number>()
  for (const { uuid } of ledger.gpus) {
    const here = processes.filter((process) => process.uuid === uuid)
    const used = new Map<number | undefined, number>()
    for (const { pid, usedBytes } of here) {
      const owner = owners.get(pid)
      used.set(owner, (used.get(owner) ?? 0) + usedBytes)
    }
    for (const [grant, usedBytes] of used)
      if (grant !== undefined && ledger.measure(grant, uuid, usedBytes) === 'over') over.add(grant)
    ledger.observeForeign(uuid, used.get(undefined) ?? 0)
  }
  return over
}
