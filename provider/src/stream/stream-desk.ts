import { join } from 'node:path'
import {
  type Bytes32,
  type ModuleLimits,
  type ProviderFrame,
  type SolverFrame,
  type StreamFile,
  streamLimits,
  type StreamSummary,
} from '@lilypad-agents/protocol'
import { failureFacts, type Logger } from '../log/logger.ts'
import { quoteForeign } from '../log/quote-foreign.ts'
import { StreamRecorder } from './stream-recorder.ts'
import { StreamSender } from './stream-sender.ts'

/** The stream of one run. */
export type RunStream = {
  /** The relay has been told of the run: what it says is sent from here on. */
  begin(): void
  /** Where it stands: what is merged still is not in it. */
  readonly position: Omit<StreamSummary, 'truncated'>
  /** Takes what the run says. Returns what the executor waits for before it reads on. */
  write(channel: 'stdout' | 'stderr' | 'response', bytes: Uint8Array): Promise<void> | undefined
  /** Announces a file that is at the relay. */
  addFile(file: StreamFile): void
  /** Ends it. What is not sent yet goes on being sent. */
  close(): Promise<StreamSummary>
}

export type StreamDeskOptions = {
  readonly jobsFolder: string
  readonly send: (frame: ProviderFrame) => boolean
  readonly log: Logger
}

/** Brings the streams of all runs to the relay. What a run says is on disk first, so a crash or a lost line loses nothing of it. */
export class StreamDesk {
  readonly #options: StreamDeskOptions
  readonly #senders = new Map<Bytes32, StreamSender>()

  constructor(options: StreamDeskOptions) {
    this.#options = options
  }

  /** Begins the stream of a run in its folder, in the place of an earlier run's. */
  open(orderHash: Bytes32, attempt: number, limits: Pick<ModuleLimits, 'logBytes' | 'outputBytes'>): RunStream {
    this.close(orderHash)
    const path = this.#pathOf(orderHash, attempt)
    let sender: StreamSender | undefined
    let isRefused = false
    const recorder = new StreamRecorder({
      path,
      orderHash,
      attempt,
      limits: streamLimits(limits),
      onChunk: (chunk, lineBytes) => sender?.add(chunk, lineBytes),
    })
    let hasBegun = false
    const opened = this.#send(
      orderHash,
      attempt,
      () => {
        isRefused = true
        recorder.cut()
      },
      (frame) => hasBegun && this.#options.send(frame),
    )
    sender = opened
    return {
      get position() {
        return recorder.position
      },
      begin() {
        hasBegun = true
        opened.resume()
      },
      write(channel, bytes) {
        recorder.write(channel, bytes)
        return opened.room()
      },
      addFile: (file) => recorder.addFile(file),
      async close() {
        const whole = await recorder.close()
        const summary = isRefused ? recorder.summariseStored(opened.stored) : whole
        opened.complete(summary.chunks)
        return summary
      },
    }
  }

  /** The relay has answered a chunk. */
  receive({ orderHash, attempt, stored, refused }: Extract<SolverFrame, { type: 'chunks' }>): void {
    const sender = this.#senders.get(orderHash)
    if (sender?.attempt === attempt) sender.receive({ stored, refused })
  }

  /** The connection is up: everything unanswered is sent again. */
  resume(): void {
    for (const sender of this.#senders.values()) sender.resume()
  }

  /** Waits until the relay has the stream that a manifest names, also one of an earlier life of this provider. */
  async flush(orderHash: Bytes32, stream: StreamSummary, signal: AbortSignal): Promise<void> {
    if (stream.chunks === 0) return
    let sender = this.#senders.get(orderHash)
    if (sender?.attempt !== stream.attempt) {
      this.close(orderHash)
      try {
        sender = this.#send(orderHash, stream.attempt, () => {})
      } catch (error) {
        this.#options.log.warn(
          { event: 'stream.lost', orderHash, ...failureFacts(error) },
          'the stream of the job is gone',
        )
        return
      }
      sender.complete(stream.chunks)
    }
    await sender.flushed(signal)
  }

  /** The stream is not sent any more. */
  close(orderHash: Bytes32): void {
    this.#senders.get(orderHash)?.close()
    this.#senders.delete(orderHash)
  }

  closeAll(): void {
    for (const orderHash of [...this.#senders.keys()]) this.close(orderHash)
  }

  #pathOf(orderHash: Bytes32, attempt: number): string {
    return join(this.#options.jobsFolder, orderHash.slice(2), String(attempt), 'stream.jsonl')
  }

  #send(
    orderHash: Bytes32,
    attempt: number,
    onRefused: () => void,
    send: StreamDeskOptions['send'] = this.#options.send,
  ): StreamSender {
    const { log } = this.#options
    const sender = new StreamSender({
      orderHash,
      attempt,
      path: this.#pathOf(orderHash, attempt),
      send,
      onRefused: (code) => {
        log.warn(
          { event: 'stream.refused', orderHash, code: quoteForeign(code) },
          'the relay takes no more of the stream',
        )
        onRefused()
      },
    })
    this.#senders.set(orderHash, sender)
    return sender
  }
}
