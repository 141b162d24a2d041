import { type Address, type Bytes32, LilypadError } from '@lilypad-agents/protocol'
import type { GatewayContext } from '../context.ts'
import { abandonRequest } from './finish-job.ts'
import { findRefusal, isNotRun, ModelRefusedError, toAnswerError } from './job-errors.ts'
import { isSteered, type Route, toRouteError } from '../routing/route.ts'
import { type JobRequest, type PlacedJob, placeJob, type RequestPolicy } from './place-job.ts'

/** A paid request, as it is ordered. */
export type PaidCall = {
  readonly requestId: string
  readonly request: JobRequest
  readonly policy: RequestPolicy
  /** @default any provider */
  readonly route?: Route | undefined
  /** Aborts when nobody waits any more: the provider is asked to stop. */
  readonly signal: AbortSignal
  /** Told of each order that is placed for it, before anything of it is known. */
  readonly onPlaced?: ((jobId: Bytes32) => void) | undefined
}

/** What the work on a job tells of it. */
export type Telling = {
  /** Something of the answer has left: no other job can give it any more. */
  readonly sent: () => void
  /** Another order answers the request. */
  readonly moved: (placed: PlacedJob) => void
}

const maxRefusalBytes = 2000

/**
 * Places the job of a call and does the work on it; while nothing was sent, a job that no provider ran is placed again, with another provider
 * where there is one. In the end
 * the request is charged or released, or goes on in the background until that is known.
 */
export async function withAttempts<T>(
  context: GatewayContext,
  call: PaidCall,
  work: (placed: PlacedJob, tell: Telling) => Promise<T>,
): Promise<T> {
  const { requestId, policy, signal, onPlaced } = call
  context.active.add(requestId)
  let held: bigint | undefined
  let placed: PlacedJob | undefined
  let isSent = false
  const failed: Address[] = []
  const moved = (other: PlacedJob) => {
    placed = other
    held = other.held
    onPlaced?.(other.orderHash)
  }
  try {
    for (let attempt = 1; ; attempt += 1) {
      try {
        signal.throwIfAborted()
        placed = undefined
        placed = await placeElsewhere(context, call, { held, failed })
        held = placed.held
        onPlaced?.(placed.orderHash)
        const sent = () => {
          isSent = true
        }
        const result = await work(placed, { sent, moved })
        await placed.noted
        context.active.delete(requestId)
        return result
      } catch (error) {
        // What is noted of a later try must come later.
        await placed?.noted.catch(() => undefined)
        if (isSent || !isNotRun(error) || attempt >= context.rules.attempts) throw error
        if (placed?.provider) failed.push(placed.provider)
      }
    }
  } catch (error) {
    await abandonRequest(context, requestId, { placed, error, isChosen: isSteered(policy) })
    const status = findRefusal(error)
    if (status !== undefined && placed)
      throw new ModelRefusedError({ status, said: await readRefusal(context, placed.orderHash), cause: error })
    throw toAnswerError(toRouteError(error, policy))
  }
}

/** Places a job with a provider that has not failed the call; where there is no other, one that has may be back. */
async function placeElsewhere(
  context: GatewayContext,
  { requestId, request, policy, route = {} }: PaidCall,
  { held, failed }: { readonly held: bigint | undefined; readonly failed: readonly Address[] },
): Promise<PlacedJob> {
  const place = (ignore: readonly Address[]) =>
    placeJob(context, { requestId, request, policy, held, route: ignore.length > 0 ? { ...route, ignore } : route })
  if (failed.length === 0) return place(route.ignore ?? [])
  try {
    return await place([...(route.ignore ?? []), ...failed])
  } catch (error) {
    const isAlone = LilypadError.is(error) && ['NO_PROVIDER_AVAILABLE', 'PRICE_OVER_CAP'].includes(error.code)
    if (!isAlone) throw error
    return place(route.ignore ?? [])
  }
}

/** What the executor wrote about a refused request. */
async function readRefusal({ client }: GatewayContext, orderHash: Bytes32): Promise<string> {
  const pieces: Uint8Array[] = []
  let length = 0
  try {
    for await (const piece of client.stream(orderHash, { signal: AbortSignal.timeout(2000) })) {
      if (piece.channel !== 'stderr') continue
      pieces.push(piece.bytes)
      length += piece.bytes.length
      if (length > maxRefusalBytes) break
    }
  } catch {
    // Without it the refusal has its status alone.
  }
  return Buffer.concat(pieces).toString().slice(0, maxRefusalBytes)
}
