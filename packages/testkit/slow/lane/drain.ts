import type { Lilypad, StoredJob } from '@lilypad-agents/sdk'
import { pause } from './pause.ts'

const atRest: readonly StoredJob['state'][] = ['settled', 'failed', 'declined', 'expired']

/** Whether nothing more will happen to a job. */
export const isAtRest = ({ state }: Pick<StoredJob, 'state'>) => atRest.includes(state)

/**
 * Lets everything come to rest, with no more orders and no more kills. Gives what is still open when the time is over.
 * `also` moves and lists the jobs of other stores.
 */
export async function drain(
  lilypad: Lilypad,
  options: { readonly seconds: number; readonly also?: () => Promise<readonly StoredJob[]> },
): Promise<readonly StoredJob[]> {
  const { seconds, also = async () => [] } = options
  for (const end = Date.now() + seconds * 1000; ; await pause(300)) {
    await lilypad.resume({ timeoutSeconds: 1 })
    const own = (await lilypad.listJobs()).filter((job) => !isAtRest(job))
    for (const { orderHash } of own) await lilypad.getJob(orderHash).catch(() => {})
    const open = [...(await lilypad.listJobs()), ...(await also())].filter((job) => !isAtRest(job))
    if (open.length === 0 || Date.now() > end) return open
  }
}
