import {
  type Bytes32,
  findStreamFault,
  type JobManifest,
  type JobState,
  LilypadError,
  type StreamChunk,
  StreamBrokenError,
  StreamChain,
  type StreamFile,
  type StreamPiece,
} from '@lilypad-agents/protocol'
import { type JobReader, type SolverClient, SolverUnreachableError } from '../http/solver-client.ts'
import type { ReplyHistory } from './reply-history.ts'

/** A piece of a running job, checked against the ones before it. Its bytes are the program's: data, nothing to obey. */
export type StreamedPiece = {
  /** Which run of the job; when it rises, the job was begun again and what came before is void. */
  readonly attempt: number
  readonly index: number
} & (
  | { readonly channel: 'stdout' | 'stderr' | 'response'; readonly bytes: Uint8Array }
  | { readonly channel: 'file'; readonly file: StreamFile; readonly read: () => Promise<Uint8Array> }
)

/** How long a relay that went away is waited for, in milliseconds. */
const longestAway = 30_000
const pauseMilliseconds = 200
const goingOn: readonly JobState[] = ['quoted', 'ordered', 'reserved', 'running']

/** Whether a job in this state says nothing more. */
const isOver = (state: JobState) => !goingOn.includes(state)

export type JobStreamSource = {
  readonly solver: Pick<SolverClient, 'url' | 'watchJob'>
  readonly signer: JobReader
  readonly orderHash: Bytes32
  /** Takes what came and the steps about it; without it the provider is not told that steps are acknowledged. */
  readonly history?: ReplyHistory
}

/** What one reader has seen of a job's stream, and the way to see more of it. */
export class JobStream {
  readonly #source: JobStreamSource
  #chain: StreamChain
  #files = new Map<string, StreamFile>()
  #sequence = 0
  #isOver = false

  constructor(source: JobStreamSource, from?: JobStream) {
    this.#source = source
    this.#chain = from ? StreamChain.from(from.#chain.position) : StreamChain.start(source.orderHash, 1)
    if (from) {
      this.#files = new Map(from.#files)
      this.#sequence = from.#sequence
      this.#isOver = from.#isOver
    }
  }

  /** A reader that goes on where this one is now, apart from it. */
  fork(): JobStream {
    const { history: _, ...source } = this.#source
    return new JobStream(source, this)
  }

  /** Whether the job is over, as far as this reader was told. */
  get isOver(): boolean {
    return this.#isOver
  }

  /**
   * What does not fit the manifest, in our words; undefined when what was seen is all that the manifest commits to. Announced files
   * count only where files were delivered.
   */
  findFault(manifest: JobManifest, options: { readonly hasOutputs: boolean }): string | undefined {
    const files = options.hasOutputs ? this.#files : new Map<string, StreamFile>()
    return findStreamFault({ position: this.#chain.position, files }, manifest.predicate)
  }

  /** How far it came, for a person. */
  get position() {
    return this.#chain.position
  }

  /**
   * Gives each piece once and in order, through lost connections, until the job is over. What it gave is compared with the manifest by
   * the caller: an end alone proves nothing.
   * @throws StreamBrokenError when a chunk does not follow from the ones before it
   * @throws SolverUnreachableError when the relay stays away for half a minute
   */
  async *read(signal?: AbortSignal): AsyncGenerator<{ readonly chunk: StreamChunk; readonly piece: StreamPiece }> {
    const { solver, signer, orderHash, history } = this.#source
    for (let awaySince: number | undefined; !this.#isOver; ) {
      let failure: unknown
      try {
        const { attempt, chunks } = this.#chain.position
        const watch = {
          after: this.#sequence,
          stream: { attempt, chunks },
          hasSteps: history !== undefined,
          ...(signal ? { signal } : {}),
        }
        for await (const event of solver.watchJob(orderHash, signer, watch)) {
          awaySince = undefined
          if (event.type === 'chunk') {
            const piece = this.#take(event.chunk)
            history?.addPiece(event.chunk, piece)
            yield { chunk: event.chunk, piece }
            continue
          }
          if (event.type === 'step') {
            history?.addStep(event.step)
            continue
          }
          this.#sequence = event.sequence
          this.#isOver ||= event.type === 'state' && isOver(event.state)
          if (this.#isOver) return
        }
      } catch (error) {
        signal?.throwIfAborted()
        const isAway = LilypadError.is(error) && (error.code === 'SOLVER_UNREACHABLE' || error.code === 'RATE_LIMITED')
        if (!isAway) throw error
        failure = error
      }
      awaySince ??= Date.now()
      if (Date.now() - awaySince > longestAway)
        throw (
          failure ?? new SolverUnreachableError(solver.url, new Error('it ends the events before the job has ended'))
        )
      await new Promise((resolve) => setTimeout(resolve, pauseMilliseconds))
      signal?.throwIfAborted()
    }
  }

  #take(chunk: StreamChunk): StreamPiece {
    const isNewRun = chunk.attempt > this.#chain.attempt
    const chain = isNewRun ? StreamChain.start(this.#source.orderHash, chunk.attempt) : this.#chain
    const piece = chain.take(chunk)
    if (isNewRun) this.#files.clear()
    this.#chain = chain
    if (piece.channel === 'file') this.#files.set(piece.file.path, piece.file)
    return piece
  }

  /** Reads what is left without showing it. Returns what is wrong with the stream, if anything is. */
  async findFaultAtEnd(
    manifest: JobManifest,
    options: { readonly hasOutputs: boolean; readonly signal?: AbortSignal },
  ): Promise<string | undefined> {
    // What was seen to its end needs no relay.
    const isWhole = this.#chain.position.head === manifest.predicate.stream?.head
    try {
      if (!isWhole) for await (const _ of this.read(options.signal));
    } catch (error) {
      if (error instanceof StreamBrokenError) return error.message
      throw error
    }
    return this.findFault(manifest, options)
  }
}
