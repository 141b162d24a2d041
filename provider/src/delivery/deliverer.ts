import { readFile } from 'node:fs/promises'
import type { ContentStore } from '@lilypad-agents/blobs'
import {
  type Bytes32,
  type Delivery,
  LilypadError,
  type ProviderFrame,
  type SmallOutput,
  smallOutputLimits,
  toBase64,
} from '@lilypad-agents/protocol'
import { pause, retry } from '../connection/backoff.ts'
import type { SolverFiles } from '../connection/solver-files.ts'
import type { ReachPoint } from '../fault/fault-point.ts'
import type { Journal } from '../journal/journal.ts'
import type { StreamDesk } from '../stream/stream-desk.ts'
import { failureFacts, type Logger } from '../log/logger.ts'

export type DelivererOptions = {
  readonly journal: Journal
  readonly blobs: ContentStore
  readonly files: SolverFiles
  readonly streams: StreamDesk
  readonly send: (frame: ProviderFrame) => boolean
  readonly reach: ReachPoint
  readonly log: Logger
}

/** Least time between two uploads of one job that the solver asked for. */
const retryMilliseconds = 2000
/** A delivery that the solver has not taken this long after its deadline is not offered any more. */
const lateSeconds = 86_400

/** Takes finished jobs to the solver: every output once by content, then the receipt, again until it is stored. */
export class Deliverer {
  readonly #options: DelivererOptions
  readonly #uploads = new Map<Bytes32, Promise<void>>()
  readonly #uploadedAt = new Map<Bytes32, number>()
  readonly #announcements = new Map<Bytes32, Promise<void>>()
  readonly #stop = new AbortController()

  constructor(options: DelivererOptions) {
    this.#options = options
  }

  /** Hands in a job that has just finished: its outputs, if they are small, with the receipt, else by uploads before it. */
  deliver(orderHash: Bytes32): void {
    const { delivery } = this.#options.journal.getAcceptedJob(orderHash)
    const outputs = delivery?.manifest.predicate.outputs ?? []
    const bytes = outputs.reduce((sum, file) => sum + file.bytes, 0)
    const isSmall = outputs.length <= smallOutputLimits.files && bytes <= smallOutputLimits.bytes
    this.#handIn(orderHash, { isSmall: isSmall && outputs.length > 0 })
  }

  #handIn(orderHash: Bytes32, { isSmall }: { readonly isSmall: boolean }): void {
    if (this.#uploads.has(orderHash) || this.#stop.signal.aborted) return
    const { log } = this.#options
    const upload = (isSmall ? Promise.resolve() : this.#upload(orderHash))
      // The solver may have refused a file because it has the whole delivery already; its answer to the receipt tells.
      .catch((error: unknown) =>
        log.warn({ event: 'delivery.refused', orderHash, ...failureFacts(error) }, 'output not uploaded'),
      )
      .then(() => {
        if (this.#stop.signal.aborted) return
        this.#uploadedAt.set(orderHash, Date.now())
        return this.#announce(orderHash, { withFiles: isSmall })
      })
      .catch((error: unknown) =>
        log.error({ event: 'delivery.broken', orderHash, ...failureFacts(error) }, 'delivery not announced'),
      )
      .finally(() => this.#uploads.delete(orderHash))
    this.#uploads.set(orderHash, upload)
  }

  /**
   * Announces what the solver has not confirmed: after a restart or over a new connection. The answer names the
   * outputs that are missing there, so nothing is uploaded twice.
   */
  resume(): void {
    const dueAfter = Math.floor(Date.now() / 1000) - lateSeconds
    for (const orderHash of this.#options.journal.listJobs('finished', { dueAfter }))
      if (!this.#uploads.has(orderHash)) this.announceAgain(orderHash)
  }

  /** Tells a solver that may have missed it that finished jobs were taken and begun: before that it takes no chunk of their streams. */
  tellStarted(): void {
    for (const orderHash of this.#options.journal.listJobs('finished')) this.#tellStarted(orderHash)
  }

  #tellStarted(orderHash: Bytes32): void {
    const { send } = this.#options
    send({ type: 'accepted', orderHash })
    send({ type: 'started', orderHash })
  }

  /** Tells a solver that may have missed all of it that the job was taken, begun and delivered. */
  announceAgain(orderHash: Bytes32): void {
    const { log } = this.#options
    this.#tellStarted(orderHash)
    this.#announce(orderHash).catch((error: unknown) =>
      log.error({ event: 'delivery.broken', orderHash, ...failureFacts(error) }, 'delivery not announced'),
    )
  }

  /** The solver has answered: it is stored, or outputs have to come again. */
  confirm(orderHash: Bytes32, missing: readonly Bytes32[]): void {
    const { journal, reach, log } = this.#options
    const job = journal.findJob(orderHash)
    if (job?.phase !== 'finished') return
    if (missing.length > 0) {
      void this.#deliverAgain(orderHash)
      return
    }
    reach('delivered')
    const isPayable = journal.getAcceptedJob(orderHash).delivery?.receipt.status === 0
    journal.markDelivered(orderHash, { isPayable })
    this.#uploadedAt.delete(orderHash)
    log.info({ event: 'job.delivered', orderHash }, 'job delivered')
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await Promise.allSettled([...this.#uploads.values(), ...this.#announcements.values()])
  }

  async #deliverAgain(orderHash: Bytes32): Promise<void> {
    const since = Date.now() - (this.#uploadedAt.get(orderHash) ?? 0)
    if (since < retryMilliseconds) await pause(retryMilliseconds - since, this.#stop.signal)
    this.#handIn(orderHash, { isSmall: false })
  }

  async #upload(orderHash: Bytes32): Promise<void> {
    const { journal, blobs, files, reach, log } = this.#options
    const { delivery } = journal.getAcceptedJob(orderHash)
    const outputs = new Map((delivery?.manifest.predicate.outputs ?? []).map((file) => [file.sha256, file]))
    const { signal } = this.#stop
    for (const file of outputs.values()) {
      await retry(() => files.putOutput(orderHash, file, blobs.pathOf(file.sha256), signal), {
        signal,
        maxMilliseconds: 10_000,
        isRetryable: (error) =>
          LilypadError.is(error) && error.retryable && journal.findJob(orderHash)?.phase === 'finished',
        onFailure: (error, attempt) => {
          if (attempt === 0 && !signal.aborted)
            log.warn({ event: 'delivery.waiting', orderHash, ...failureFacts(error) }, 'output not uploaded yet')
        },
      })
    }
    reach('outputs-uploaded')
  }

  /** Undefined when one cannot be read: the solver then names it as missing, and the upload says why. */
  async #readOutputs({ manifest }: Delivery): Promise<SmallOutput[] | undefined> {
    const digests = [...new Set(manifest.predicate.outputs.map(({ sha256 }) => sha256))]
    const read = digests.map(async (sha256) => ({
      sha256,
      data: toBase64(await readFile(this.#options.blobs.pathOf(sha256))),
    }))
    return Promise.all(read).catch(() => undefined)
  }

  /** Says that the job is delivered, after all that it has to say: the relay takes no chunk of a delivered job. */
  #announce(orderHash: Bytes32, { withFiles = false } = {}): Promise<void> {
    const { journal, streams, send } = this.#options
    const { signal } = this.#stop
    const known = this.#announcements.get(orderHash)
    if (known !== undefined) return known
    const announcement = (async () => {
      const { delivery } = journal.getAcceptedJob(orderHash)
      if (delivery === undefined) return
      const { stream } = delivery.manifest.predicate
      if (stream !== undefined) await streams.flush(orderHash, stream, signal)
      if (signal.aborted) return
      streams.close(orderHash)
      const [files] = await Promise.all([withFiles ? this.#readOutputs(delivery) : undefined, journal.flush()])
      send({ type: 'delivered', orderHash, delivery, ...(files === undefined ? {} : { files }) })
    })().finally(() => this.#announcements.delete(orderHash))
    this.#announcements.set(orderHash, announcement)
    return announcement
  }
}
