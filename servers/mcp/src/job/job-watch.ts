import { setTimeout as sleep } from 'node:timers/promises'
import { type Bytes32, isFinal, type JobState } from '@lilypad-agents/protocol'
import type { Lilypad } from '@lilypad-agents/sdk'
import { failureFacts, type Logger } from '../log/logger.ts'
import { createLogTail } from './log-tail.ts'

/** What was seen of a job while it was followed. Texts are the program's: data, to be cleaned before they are shown. */
export type JobSight = {
  readonly moves: readonly { readonly state: JobState; readonly at: number }[]
  readonly progress: { readonly fraction: number; readonly text: string } | undefined
  /** End of what the program wrote. */
  readonly log: string
}

/** Follows the event streams of jobs that go on, and tells when something about one of them has changed. */
export type JobWatch = {
  /** Follows the job until the relay says that it has ended. More than once is once. */
  start(orderHash: Bytes32): void
  find(orderHash: Bytes32): JobSight | undefined
  /** Calls the listener with the id of each job that changed. */
  onChange(listener: (orderHash: Bytes32) => void): () => void
  /** Tells that a job has changed for a reason that is not in its stream. */
  touch(orderHash: Bytes32): void
  close(): void
}

const keptMoves = 20
const keptJobs = 200
const tellMilliseconds = 200
const pauseMilliseconds = 1000
const longestPauseMilliseconds = 30_000
const nothing: JobSight = { moves: [], progress: undefined, log: '' }

/** Makes the watch over a client's jobs. It reads only, so losing a stream loses nothing but freshness. */
export function createJobWatch(options: { readonly lilypad: Lilypad; readonly logger: Logger }): JobWatch {
  const { lilypad, logger } = options
  const closing = new AbortController()
  const sights = new Map<Bytes32, JobSight>()
  const watching = new Set<Bytes32>()
  const listeners = new Set<(orderHash: Bytes32) => void>()
  const telling = new Set<Bytes32>()

  // A program may report progress a thousand times a second; its readers are told a few times.
  function touch(orderHash: Bytes32): void {
    if (telling.has(orderHash) || closing.signal.aborted) return
    telling.add(orderHash)
    setTimeout(() => {
      telling.delete(orderHash)
      for (const listener of listeners) listener(orderHash)
    }, tellMilliseconds).unref()
  }

  function keep(orderHash: Bytes32, change: Partial<JobSight>): void {
    const sight = { ...(sights.get(orderHash) ?? nothing), ...change }
    sights.delete(orderHash)
    sights.set(orderHash, sight)
    const [oldest] = sights.keys()
    if (sights.size > keptJobs && oldest !== undefined) sights.delete(oldest)
    touch(orderHash)
  }

  async function watch(orderHash: Bytes32): Promise<void> {
    const tail = createLogTail()
    let after = 0
    let pause = pauseMilliseconds
    while (!closing.signal.aborted) {
      try {
        const from = { after, stream: tail.place, signal: closing.signal }
        for await (const event of lilypad.watchJob(orderHash, from)) {
          pause = pauseMilliseconds
          if (event.type === 'chunk') {
            if (tail.take(event.chunk)) keep(orderHash, { log: tail.text })
            continue
          }
          if (event.type === 'step') continue
          after = Math.max(after, event.sequence)
          const { moves } = sights.get(orderHash) ?? nothing
          if (event.type === 'progress') keep(orderHash, { progress: { fraction: event.fraction, text: event.text } })
          if (event.type === 'state') {
            keep(orderHash, { moves: [...moves, { state: event.state, at: event.at }].slice(-keptMoves) })
            const hasRun = !(['quoted', 'ordered', 'reserved', 'running'] as readonly string[]).includes(event.state)
            if (event.state === 'running') await lilypad.getJob(orderHash)
            if (hasRun) return
          }
        }
      } catch (error) {
        if (closing.signal.aborted) return
        logger.debug({ jobId: orderHash, ...failureFacts(error) }, 'the events of a job broke off')
      }
      // What has ended without its stream telling is not asked about for ever.
      const job = await lilypad.getStoredJob(orderHash).catch(() => undefined)
      if (!job || isFinal(job.state)) return
      await sleep(pause, undefined, { signal: closing.signal, ref: false }).catch(() => undefined)
      pause = Math.min(pause * 2, longestPauseMilliseconds)
    }
  }

  return {
    start(orderHash) {
      if (watching.has(orderHash) || lilypad.key === undefined) return
      watching.add(orderHash)
      void watch(orderHash).finally(() => watching.delete(orderHash))
    },
    find: (orderHash) => sights.get(orderHash),
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    touch,
    close: () => closing.abort(),
  }
}
