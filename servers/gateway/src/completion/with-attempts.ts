import type { Bytes32 } from '@lilypad-agents/protocol'
import type { GatewayContext } from '../context.ts'
import { abandonRequest } from './finish-job.ts'
import { findRefusal, isNotRun, ModelRefusedError, toAnswerError } from './job-errors.ts'
import { type JobRequest, type PlacedJob, placeJob, type RequestPolicy } from './place-job.ts'

/** A paid request, as it is ordered. */
export type PaidCall = {
  readonly requestId: string
  readonly request: JobRequest
  readonly policy: RequestPolicy
  /** Aborts when nobody waits any more: the provider is asked to stop. */
  readonly signal: AbortSignal
  /** Told of each order that is placed for it, before anything of it is known. */
  readonly onPlaced?: ((jobId: Bytes32) => void) | undefined
}

const maxRefusalBytes = 2000

/**
 * Places the job of a call and does the work on it; while nothing was sent, a job that no provider ran is placed again. In the end
 * the request is charged or released, or goes on in the background until that is known.
 */
export async function withAttempts<T>(
  context: GatewayContext,
  call: PaidCall,
  work: (placed: PlacedJob, sent: () => void) => Promise<T>,
): Promise<T> {
  const { requestId, request, policy, signal, onPlaced } = call
  context.active.add(requestId)
  let held: bigint | undefined
  let placed: PlacedJob | undefined
  let isSent = false
  try {
    for (let attempt = 1; ; attempt += 1) {
      try {
        signal.throwIfAborted()
        placed = undefined
        placed = await placeJob(context, { requestId, request, policy, held })
        held = placed.held
        onPlaced?.(placed.orderHash)
        const result = await work(placed, () => {
          isSent = true
        })
        await placed.noted
        context.active.delete(requestId)
        return result
      } catch (error) {
        // What is noted of a later try must come later.
        await placed?.noted.catch(() => undefined)
        if (isSent || !isNotRun(error) || attempt >= context.rules.attempts) throw error
      }
    }
  } catch (error) {
    await abandonRequest(context, requestId, { placed, error, isChosen: policy.provider !== undefined })
    const status = findRefusal(error)
    if (status !== undefined && placed)
      throw new ModelRefusedError({ status, said: await readRefusal(context, placed.orderHash), cause: error })
    throw toAnswerError(error)
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
