import type { SolverContext } from '../context.ts'
import { listOpenFiles } from './relay-room.ts'

/** Owner of all programs that somebody may still order. */
const orderable = 'orderable modules'

/** Pins what open jobs and modules that are not withdrawn need: after a start, before anything is let go. */
export async function pinFiles(context: Pick<SolverContext, 'database' | 'jobBlobs'>): Promise<ReadonlySet<string>> {
  const open = new Set<string>()
  for (const { orderHash, sha256 } of await listOpenFiles(context.database)) {
    open.add(orderHash)
    if (sha256 !== null) context.jobBlobs.pin(orderHash, [sha256])
  }
  return open
}

/** Programs of versions that their authors still stand behind are kept; those of withdrawn versions only while somebody fetches them. */
export function pinPrograms({ artifacts, catalog }: Pick<SolverContext, 'artifacts' | 'catalog'>): void {
  artifacts.release(orderable)
  artifacts.pin(
    orderable,
    catalog.listPrograms().flatMap(({ sha256, isWithdrawn }) => (isWithdrawn ? [] : [sha256])),
  )
}

/** Lets go what nobody needs and nobody has used for long. Returns how many files. */
export async function releaseFiles(
  context: Pick<SolverContext, 'database' | 'jobBlobs' | 'artifacts' | 'catalog' | 'clock'>,
  keep: { readonly jobFileSeconds: number; readonly programSeconds: number },
): Promise<number> {
  const { jobBlobs, artifacts, clock } = context
  // Read before the jobs are: an order that is placed meanwhile is not among them, and keeps its pins.
  const owners = jobBlobs.listOwners()
  const open = await pinFiles(context)
  for (const owner of owners) if (!open.has(owner)) jobBlobs.release(owner)
  pinPrograms(context)
  const since = (seconds: number) => new Date(clock().getTime() - seconds * 1000)
  return (
    jobBlobs.prune({ unusedSince: since(keep.jobFileSeconds) }) +
    artifacts.prune({ unusedSince: since(keep.programSeconds) })
  )
}
