import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { ContentStore } from '@lilypad-agents/blobs'
import {
  type Bytes32,
  findRecipient,
  inputFileName,
  LilypadError,
  listInputFiles,
  type ModuleManifest,
  type OutputFile,
  parseInputs,
  type ProviderFrame,
  receiptType,
  type Signer,
  type SigningDomain,
  type StreamSummary,
  unitBounds,
} from '@lilypad-agents/protocol'
import { pause, retry } from '../connection/backoff.ts'
import type { SolverFiles } from '../connection/solver-files.ts'
import type { Execution, ExecutorTask, RunOptions } from '../executors/executor.ts'
import { isWalledIn } from '../executors/docker/describe-walls.ts'
import type { ReachPoint } from '../fault/fault-point.ts'
import type { AcceptedJob, Journal } from '../journal/journal.ts'
import type { Gpu } from '../gpu/gpu.ts'
import { runWithGpus } from '../gpu/run-with-gpus.ts'
import type { VramLedger } from '../gpu/vram-ledger.ts'
import { failureFacts, type Logger } from '../log/logger.ts'
import type { InstalledModule } from '../module/install-module.ts'
import { executorNameOf } from '../module/module-policy.ts'
import type { ModuleShelf } from '../module/module-shelf.ts'
import { quotePath } from '../outputs/collect-outputs.ts'
import { type EndedRun, sealForRequester } from '../outputs/seal-for-requester.ts'
import { createDelivery, type JobResult } from '../receipt/create-delivery.ts'
import { affordableUse } from './affordable-use.ts'
import { createTask } from './create-task.ts'
import type { StepDesk } from '../step/step-desk.ts'
import type { RunStream, StreamDesk } from '../stream/stream-desk.ts'
import type { MachineFacts } from './machine-facts.ts'
import { progressGate } from './progress-gate.ts'
import { RunSlots } from './run-slots.ts'
import { toServerJob } from './server-job.ts'

export type JobRunnerOptions = {
  readonly domain: SigningDomain
  readonly signer: Signer
  readonly journal: Journal
  readonly blobs: ContentStore
  readonly files: SolverFiles
  readonly shelf: ModuleShelf
  readonly slots: RunSlots
  readonly vram: VramLedger
  readonly machine: MachineFacts
  /** Digest of what the node says of its sandbox now. */
  readonly attestation: () => Bytes32 | undefined
  /** Folder for the working directories and kept logs of runs. */
  readonly jobsFolder: string
  readonly send: (frame: ProviderFrame) => boolean
  readonly streams: StreamDesk
  readonly steps: StepDesk
  readonly sendIfFree: (frame: ProviderFrame) => boolean
  /** The job has its receipt. */
  readonly onFinished: (orderHash: Bytes32) => void
  readonly reach: ReachPoint
  readonly log: Logger
}

/** After this many failures of the executor or of the disk a job is given up on: signed, and without a charge. */
const maxFailures = 3
/** How long a file that a running program has finished may take to the relay, in milliseconds; else it comes at the end. */
const fileUploadMilliseconds = 10_000

/** Files of one run that go to the relay at a time before its end: a program may name thousands at once. */
const earlyUploads = 4

/** Files that one run has finished and goes on after. */
type EarlyUploads = {
  readonly uploads: Set<Promise<void>>
  readonly slots: RunSlots
  /** Digests by path of those that the requester was told of. */
  readonly announced: Map<string, Bytes32>
}

/** A run whose files are not the ones it announced contradicts itself: no requester could accept it, so it has failed for all of them. */
function refuseChanged(execution: Execution, announced: ReadonlyMap<string, Bytes32>): Execution {
  if (execution.outcome.kind !== 'exited') return execution
  const delivered = new Map(execution.outputs.map(({ path, sha256 }) => [path, sha256]))
  for (const [path, sha256] of announced) {
    if (delivered.get(path) === sha256) continue
    const reason = 'a file changed after the program had said that it was finished'
    return { ...execution, outcome: { kind: 'refused-output', reason, path: quotePath(path) }, outputs: [] }
  }
  return execution
}

const codeOf = (error: unknown) => (LilypadError.is(error) ? error.code : 'INTERNAL')
const seconds = () => Math.floor(Date.now() / 1000)

/**
 * Takes accepted jobs to their one receipt. A job is in the journal before it comes here, so it is begun again after a
 * crash; a receipt is in the journal before anyone sees it, so there is never a second one.
 */
export class JobRunner {
  readonly #options: JobRunnerOptions
  readonly #running = new Map<
    Bytes32,
    {
      readonly stop: AbortController
      /** Ends a reply that is paid for where it stands. */
      readonly cut: AbortController
      readonly done: Promise<void>
      hasStarted: boolean
      /** The requester reads a reply that it pays for. */
      isSold: boolean
      /** Why it is ended before its program has. */
      endReason: string | undefined
    }
  >()
  #isClosed = false

  constructor(options: JobRunnerOptions) {
    this.#options = options
  }

  get load(): number {
    return this.#running.size
  }

  /** Starts a job once, however often it is asked for. */
  start(orderHash: Bytes32): void {
    if (this.#isClosed || this.#running.has(orderHash)) return
    const stop = new AbortController()
    const done = this.#run(orderHash, stop.signal)
      .then(() => this.#endIfCancelled(orderHash))
      .catch((error: unknown) =>
        this.#options.log.error(
          { event: 'job.broken', orderHash, ...failureFacts(error) },
          'the job could not be brought to an end',
        ),
      )
      .finally(() => {
        this.#running.delete(orderHash)
        this.#options.steps.forget(orderHash)
      })
    const cut = new AbortController()
    this.#running.set(orderHash, { stop, cut, done, hasStarted: false, isSold: false, endReason: undefined })
  }

  /** Whether a run of the job has begun in this process. */
  hasStarted(orderHash: Bytes32): boolean {
    return this.#running.get(orderHash)?.hasStarted ?? false
  }

  /** Stops a job that nobody waits for. Its journal entry is closed by the caller. */
  stop(orderHash: Bytes32): void {
    this.#running.get(orderHash)?.stop.abort()
  }

  /**
   * Stops a job that its requester wants no more: signed, without a charge. One that has its result already keeps it. A reply with a price
   * whose beginning was sent ends where it stands and costs what was sent, else everybody would read replies and cancel before the last
   * word; where its server does not tell what it has used so far, it goes on to its end.
   */
  cancel(orderHash: Bytes32): void {
    const running = this.#running.get(orderHash)
    if (!running || running.stop.signal.aborted) return
    if (running.isSold) {
      this.#options.log.info({ event: 'cancel.cut', orderHash }, 'a reply that has begun costs what was sent')
      running.cut.abort()
      return
    }
    running.endReason = 'the requester cancelled the job'
    running.stop.abort()
  }

  /** Ends a job whose requester has stopped to acknowledge its reply: signed, without a charge beyond what was acknowledged. */
  endUnacknowledged(orderHash: Bytes32): void {
    const running = this.#running.get(orderHash)
    if (!running || running.stop.signal.aborted) return
    running.endReason = 'the requester acknowledged no more of the reply'
    running.stop.abort()
  }

  /** Stops all runs without a receipt; the next start of the provider begins them again. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const { stop } of this.#running.values()) stop.abort()
    await Promise.allSettled([...this.#running.values()].map(({ done }) => done))
  }

  #endIfCancelled(orderHash: Bytes32): void {
    const reason = this.#running.get(orderHash)?.endReason
    if (reason === undefined) return
    const job = this.#options.journal.getAcceptedJob(orderHash)
    if (job.phase === 'accepted') this.#cancel(job, reason)
  }

  async #run(orderHash: Bytes32, signal: AbortSignal): Promise<void> {
    const { shelf, slots, vram, reach, journal } = this.#options
    const job = journal.getAcceptedJob(orderHash)
    if (job.phase !== 'accepted') return
    let module: InstalledModule
    let sources: ReadonlyMap<string, string>
    try {
      module = await this.#untilDue(job, signal, () => shelf.getForRun(job.request.order.moduleVersion, signal))
      sources = await this.#untilDue(job, signal, () => this.#fetchInputs(job, signal))
    } catch (error) {
      if (!signal.aborted) this.#cancel(job, `inputs or program could not be had in time: ${codeOf(error)}`)
      return
    }
    reach('inputs-fetched')
    // GPUs before the slot: who has a slot never waits for a GPU, so runs without one are not held up.
    const { moduleVersion, manifest } = module
    // Model servers have lines and GPUs of their own.
    const isServed = module.executor.name === 'server'
    const ended = isServed
      ? await this.#runInSlot(job, module, sources, [], signal)
      : await runWithGpus(vram, { moduleVersion, manifest, isTrusted: false, signal }, (gpus) =>
          slots.run(signal, () => this.#runInSlot(job, module, sources, gpus, signal)),
        )
    // Storing and signing need no slot: the next program runs meanwhile.
    if (ended) await this.#finish(job, ended, signal)
  }

  /** Runs the program until it has an end that can be signed. Undefined when there is nothing to sign: stopped, or cancelled already. */
  async #runInSlot(
    job: AcceptedJob,
    module: InstalledModule,
    sources: ReadonlyMap<string, string>,
    gpus: readonly Gpu[],
    signal: AbortSignal,
  ): Promise<EndedRun | undefined> {
    const { orderHash, request } = job
    const { startBy, deliverBy } = request.order
    for (let failures = 0; !signal.aborted; ) {
      const isLate = job.attempts === 0 && failures === 0 && seconds() > startBy
      if (isLate || seconds() >= deliverBy) {
        this.#cancel(job, isLate ? 'no slot was free in time' : 'the time of the job is over')
        return undefined
      }
      try {
        return await this.#attempt(job, module, sources, gpus, signal)
      } catch (error) {
        failures += 1
        this.#options.log.error(
          { event: 'run.broken', orderHash, failures, ...failureFacts(error) },
          'the executor failed',
        )
        if (failures >= maxFailures) {
          this.#cancel(job, `the executor failed: ${codeOf(error)}`)
          return undefined
        }
        await pause(500 * failures, signal)
      }
    }
    return undefined
  }

  #untilDue<T>(job: AcceptedJob, signal: AbortSignal, call: () => Promise<T>): Promise<T> {
    return retry(call, {
      signal,
      until: job.request.order.deliverBy * 1000,
      maxMilliseconds: 5000,
      isRetryable: (error) => LilypadError.is(error) && error.retryable,
      onFailure: (error, attempt) => {
        if (attempt === 0 && !signal.aborted)
          this.#options.log.warn(
            { event: 'job.waiting', orderHash: job.orderHash, ...failureFacts(error) },
            'the job waits for inputs or program',
          )
      },
    })
  }

  async #fetchInputs(job: AcceptedJob, signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    const { files, blobs } = this.#options
    const sources = new Map<string, string>()
    blobs.pin(
      job.orderHash,
      listInputFiles(job.request.inputs).map(({ file }) => file.sha256),
    )
    for (const { input, file } of listInputFiles(job.request.inputs)) {
      sources.set(inputFileName(input, file.mediaType), await files.fetchInput(job.orderHash, file, blobs, signal))
    }
    return sources
  }

  async #attempt(
    job: AcceptedJob,
    module: InstalledModule,
    sources: ReadonlyMap<string, string>,
    gpus: readonly Gpu[],
    signal: AbortSignal,
  ): Promise<EndedRun | undefined> {
    const { journal, reach, send, log } = this.#options
    const { orderHash } = job
    const attempt = journal.startAttempt(orderHash, seconds())
    if (attempt === undefined) return undefined
    const folder = join(this.#options.jobsFolder, orderHash.slice(2), String(attempt.number))
    await rm(folder, { recursive: true, force: true })
    const outputDirectory = join(folder, 'out')
    await mkdir(outputDirectory, { recursive: true, mode: 0o700 })
    const running = this.#running.get(orderHash)
    log.info({ event: 'job.started', orderHash, module: module.manifest.name, attempt: attempt.number }, 'job started')
    const stream = this.#options.streams.open(orderHash, attempt.number, module.manifest.limits)
    const early: EarlyUploads = { uploads: new Set(), slots: new RunSlots(earlyUploads), announced: new Map() }
    const takeFile = (file: OutputFile & { readonly source: string }) =>
      this.#takeFile(orderHash, module.manifest, file, stream, early, signal)
    const tell = () => {
      if (running) running.hasStarted = true
      send({ type: 'started', orderHash })
      stream.begin()
    }
    // The program starts while the disk still writes that it may. What a model server says is heard at once: were the power lost now, the
    // job would end without a receipt and cost nobody anything. Of other runs nobody hears before.
    const isServed = module.executor.name === 'server'
    if (isServed) tell()
    const told = journal.flush().then(() => (isServed ? undefined : tell()))
    told.catch(() => {})
    let execution: Execution
    let summary: StreamSummary
    try {
      execution = await this.#execute(job, module, sources, gpus, folder, { stream, takeFile }, outputDirectory, signal)
      await Promise.all(early.uploads)
      await told
    } finally {
      summary = await stream.close()
    }
    execution = refuseChanged(execution, early.announced)
    // Stopped from outside: nobody wants it, or the provider is closing and will begin again.
    if (execution.outcome.kind === 'cancelled' && signal.aborted) return undefined
    reach('run-finished')
    const preflight = isWalledIn(execution.isolation) ? this.#options.attestation() : undefined
    const result: JobResult = {
      orderHash,
      request: job.request,
      manifest: module.manifest,
      executor: module.executor.name,
      machine: this.#options.machine,
      attempts: attempt.number,
      firstStartedAt: attempt.firstStartedAt,
      stream: summary,
      ended: execution,
      ...(preflight === undefined ? {} : { preflight }),
    }
    return sealForRequester({ result, outputDirectory }, join(folder, 'sealed'))
  }

  async #execute(
    job: AcceptedJob,
    module: InstalledModule,
    sources: ReadonlyMap<string, string>,
    gpus: readonly Gpu[],
    folder: string,
    live: { readonly stream: RunStream; readonly takeFile: NonNullable<RunOptions['onFile']> },
    outputDirectory: string,
    signal: AbortSignal,
  ): Promise<Execution> {
    const { sendIfFree } = this.#options
    const { orderHash, request } = job
    const { manifest, executor, programPath } = module
    const affordable = affordableUse(request.ask.ask, {
      maxPrice: request.order.maxPrice,
      bounds: unitBounds(manifest, request.inputs),
      timeoutSeconds: manifest.limits.timeoutSeconds,
    })
    const paidSeconds = affordable.seconds ?? Number.POSITIVE_INFINITY
    const inputs = parseInputs(manifest.inputs, request.inputs)
    const server = toServerJob(module, { inputs, sources, caps: affordable })
    const task: ExecutorTask = {
      ...(await createTask({
        id: orderHash,
        manifest,
        inputs,
        sources,
        folder,
        outputDirectory,
        ...(programPath === undefined ? {} : { programPath }),
        gpus,
      })),
      // Warm slots are kept by the module's limits, so what the order does not pay for is cut off by the deadline. A model
      // server has a line in front of it, which nobody pays for.
      ...(server === undefined
        ? { deadline: Math.min(request.order.deliverBy, Date.now() / 1000 + paidSeconds) }
        : {
            server,
            limits: {
              ...manifest.limits,
              timeoutSeconds: Math.min(manifest.limits.timeoutSeconds, Math.max(1, paidSeconds)),
            },
            deadline: request.order.deliverBy,
          }),
    }
    // What the program says goes over the relay as it is, so of a sealed job only how far it is.
    const isSealed = findRecipient(request.inputs) !== undefined
    const gate = progressGate(
      ({ fraction, text }) =>
        void sendIfFree({ type: 'progress', orderHash, fraction, text: isSealed ? '' : text.slice(0, 200) }),
    )
    const running = this.#running.get(orderHash)
    const steps = this.#options.steps.open(job, module, paidSeconds)
    const onResponse: NonNullable<RunOptions['onResponse']> = (bytes) => {
      if (running) running.isSold = request.order.maxPrice > 0n
      return steps ? steps.write(bytes, live.stream) : live.stream.write('response', bytes)
    }
    const heard: RunOptions = {
      onLog: (channel, bytes) => live.stream.write(channel, bytes),
      // A reply that the order may not pay for to its end is shown when it is whole.
      ...(paidSeconds >= manifest.limits.timeoutSeconds ? { onResponse } : {}),
      onFile: live.takeFile,
    }
    try {
      const cut = running?.cut.signal
      return await executor.run(task, {
        signal,
        ...(cut ? { cut } : {}),
        onProgress: gate.report,
        ...(isSealed ? {} : heard),
      })
    } finally {
      gate.flush()
      this.#options.steps.close(orderHash)
    }
  }

  /** Keeps a file that a running program has finished, and announces it once the relay has it. Without the relay it comes at the end. */
  async #takeFile(
    orderHash: Bytes32,
    manifest: ModuleManifest,
    { path, bytes, sha256, source }: OutputFile & { readonly source: string },
    stream: RunStream,
    { uploads, slots, announced }: EarlyUploads,
    signal: AbortSignal,
  ): Promise<void> {
    const { blobs, files, log } = this.#options
    const kept = await blobs.add({ bytes, sha256 }, source)
    const mediaType = manifest.outputs.files.find((declared) => declared.path === path)?.mediaType
    const until = AbortSignal.any([signal, AbortSignal.timeout(fileUploadMilliseconds)])
    const upload = slots
      .run(until, async () => {
        await retry(() => files.putOutput(orderHash, { bytes, sha256 }, kept, until), {
          signal: until,
          isRetryable: (error) => LilypadError.is(error) && error.retryable,
        })
        stream.addFile({ path, bytes, sha256, ...(mediaType === undefined ? {} : { mediaType }) })
        announced.set(path, sha256)
      })
      .catch((error: unknown) =>
        log.warn({ event: 'file.not-announced', orderHash, ...failureFacts(error) }, 'file comes at the end'),
      )
      .finally(() => uploads.delete(upload))
    uploads.add(upload)
  }

  async #finish(job: AcceptedJob, { result, outputDirectory }: EndedRun, signal: AbortSignal): Promise<void> {
    const { domain, signer, blobs, log } = this.#options
    const { orderHash } = job
    const delivery = createDelivery(domain, signer, result)
    const outputs = delivery.manifest.predicate.outputs
    blobs.pin(
      orderHash,
      outputs.map(({ sha256 }) => sha256),
    )
    for (let failures = 0; ; ) {
      try {
        // On disk before the receipt promises them.
        for (const file of outputs) await blobs.add(file, join(outputDirectory, file.path))
        break
      } catch (error) {
        failures += 1
        log.error({ event: 'outputs.not-kept', orderHash, failures, ...failureFacts(error) }, 'outputs not kept')
        // The run is in the journal without a receipt, so the next start runs it again.
        if (signal.aborted) return
        if (failures >= maxFailures) {
          this.#cancel(job, `the outputs could not be kept: ${codeOf(error)}`)
          return
        }
        await pause(500 * failures, signal)
      }
    }
    this.#publish(orderHash, delivery)
    await rm(outputDirectory, { recursive: true, force: true })
  }

  #publish(orderHash: Bytes32, delivery: ReturnType<typeof createDelivery>): void {
    const { domain, journal, reach, log, onFinished } = this.#options
    const isFirst = journal.finish(orderHash, delivery, receiptType.hash(domain, delivery.receipt))
    if (!isFirst) return
    reach('receipt-signed')
    const { status, price, startedAt, finishedAt } = delivery.receipt
    const { outcome, usage } = delivery.manifest.predicate
    log.info(
      {
        event: 'job.finished',
        orderHash,
        status,
        outcome: outcome.kind,
        price: price.toString(),
        runMilliseconds: usage.runMilliseconds,
        startedAt,
        finishedAt,
      },
      'job finished',
    )
    onFinished(orderHash)
  }

  /** Ends a job without a result: signed, free of charge. */
  #cancel(job: AcceptedJob, reason: string): void {
    const { domain, signer, journal, machine, shelf } = this.#options
    const { orderHash, request } = job
    const manifest =
      shelf.find(request.order.moduleVersion)?.manifest ?? journal.findModule(request.order.moduleVersion)
    if (manifest === undefined) throw new RangeError(`job ${orderHash} has no module in the journal`)
    const attempts = journal.findJob(orderHash)?.attempts ?? job.attempts
    const at = seconds()
    const executor = shelf.find(request.order.moduleVersion)?.executor.name ?? executorNameOf(manifest.runtime)
    const delivery = createDelivery(domain, signer, {
      orderHash,
      request,
      manifest,
      executor,
      machine,
      attempts,
      firstStartedAt: at,
      ended: { reason, at },
    })
    this.#publish(orderHash, delivery)
  }
}
