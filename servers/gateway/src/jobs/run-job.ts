import { abandonRequest, finishJob, isDecided, secondsLeft } from '../completion/finish-job.ts'
import type { PlacedJob } from '../completion/place-job.ts'
import { type GatewayContext, runInBackground } from '../context.ts'

/**
 * Places a job that goes on by itself: it is verified, paid and charged in the background, whether or not anybody asks for it.
 * @throws what placing it throws; then nothing is charged
 */
export async function beginJob(
  context: GatewayContext,
  requestId: string,
  place: () => Promise<PlacedJob>,
): Promise<PlacedJob> {
  context.active.add(requestId)
  let placed: PlacedJob
  try {
    placed = await place()
    await placed.noted
  } catch (error) {
    await abandonRequest(context, requestId, { placed: undefined, error })
    throw error
  }
  runInBackground(context, finish(context, requestId, placed))
  return placed
}

async function finish(context: GatewayContext, requestId: string, placed: PlacedJob): Promise<void> {
  try {
    const timeoutSeconds = secondsLeft(context, placed)
    const finished = await finishJob(context, requestId, { orderHash: placed.orderHash, timeoutSeconds })
    await finished.charge()
    context.active.delete(requestId)
  } catch (error) {
    if (isDecided(error)) await abandonRequest(context, requestId, { placed, error })
    else {
      // How it ends is not known yet: the sweep goes on.
      context.active.delete(requestId)
      throw error
    }
  }
}
