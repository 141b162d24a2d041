import {
  type Address,
  type Bytes32,
  LilypadError,
  type StreamChunk,
  streamLimits,
  type SolverFrame,
  toLilypadError,
} from '@lilypad-agents/protocol'
import type { SolverContext } from '../context.ts'
import { failureFacts } from '../log/failure-facts.ts'
import { findJob, type JobRow, JobUnknownError, StateConflictError } from './job-row.ts'
import { Turns } from './turns.ts'

type Permit = { readonly provider: Address; readonly limits: ReturnType<typeof streamLimits>; readonly until: number }

/** How long the answer of the database holds that a job may stream: chunks come by the hundred in a second. */
const permitMilliseconds = 5000
/** Permits from which on those that are over are looked for. */
const maxPermits = 1000

/** Takes chunks of streams and answers how much of each is stored. */
export type StreamDesk = {
  /** The order of the job has gone to its provider, which may stream from now on. */
  permit(job: Pick<JobRow, 'orderHash' | 'provider' | 'moduleVersion'>): void
  take(provider: Address, orderHash: Bytes32, chunk: StreamChunk): Promise<Extract<SolverFrame, { type: 'chunks' }>>
  /** The job takes no more chunks. */
  end(orderHash: Bytes32): void
}

/** Creates the desk of one relay. */
export function createStreamDesk(context: SolverContext): StreamDesk {
  const permits = new Map<Bytes32, Permit>()
  /** Chunks are not queued behind other frames, but follow each other. */
  const turns = new Turns()

  async function getPermit(provider: Address, orderHash: Bytes32): Promise<Permit> {
    const known = permits.get(orderHash)
    if (known?.provider === provider && known.until > Date.now()) return known
    const job = await findJob(context, orderHash).catch((error: unknown) => {
      // A database that is away for a moment ends no stream that was allowed before.
      if (known?.provider === provider) return undefined
      throw error
    })
    if (job === undefined && known?.provider === provider) return known
    permits.delete(orderHash)
    if (job?.provider !== provider) throw new JobUnknownError()
    // Chunks overtake the frame that says that it runs.
    if (job.state !== 'running' && job.state !== 'reserved')
      throw new StateConflictError(orderHash, job.state, 'given more of its stream')
    return grant(job)
  }

  function grant({ orderHash, provider, moduleVersion }: Parameters<StreamDesk['permit']>[0]): Permit {
    if (permits.size >= maxPermits)
      for (const [hash, { until }] of permits) if (until <= Date.now()) permits.delete(hash)
    const { limits } = context.catalog.get(moduleVersion).manifest
    const permit = { provider, limits: streamLimits(limits), until: Date.now() + permitMilliseconds }
    permits.set(orderHash, permit)
    return permit
  }

  return {
    permit: (job) => void grant(job),
    end: (orderHash) => void permits.delete(orderHash),
    take: (provider, orderHash, chunk) => turns.inTurn(orderHash, () => take(provider, orderHash, chunk)),
  }

  async function take(
    provider: Address,
    orderHash: Bytes32,
    chunk: StreamChunk,
  ): Promise<Extract<SolverFrame, { type: 'chunks' }>> {
    const answer = (position: { attempt: number; chunks: number } | undefined) =>
      ({
        type: 'chunks',
        orderHash,
        attempt: chunk.attempt,
        // Of another run nothing counts.
        stored: position?.attempt === chunk.attempt ? position.chunks : 0,
      }) as const
    try {
      const { limits } = await getPermit(provider, orderHash)
      return answer(await context.streams.append(orderHash, chunk, limits))
    } catch (error) {
      const { code } = toLilypadError(error)
      // No answer: the provider sends the chunk again when the relay is back.
      if (code === 'SOLVER_UNREACHABLE') throw error
      if (!LilypadError.is(error)) context.log.error({ failure: failureFacts(error), orderHash }, 'stream.not-stored')
      return { ...answer(code === 'JOB_UNKNOWN' ? undefined : await context.streams.find(orderHash)), refused: code }
    }
  }
}
