import { EventEmitter } from 'node:events'
import type { Bytes32 } from '@lilypad-agents/protocol'

/** Wakes those who wait for a job. It carries no data: who wakes reads the database. */
export type JobSignals = {
  notify(orderHash: Bytes32): void
  /** @returns the way to stop listening */
  listen(orderHash: Bytes32, listener: () => void): () => void
  /** Jobs somebody waits for. */
  readonly listeners: number
}

/** Creates signals for one process. */
export function createJobSignals(): JobSignals {
  const emitter = new EventEmitter()
  emitter.setMaxListeners(0)
  return {
    notify: (orderHash) => void emitter.emit(orderHash),
    listen(orderHash, listener) {
      emitter.on(orderHash, listener)
      return () => void emitter.off(orderHash, listener)
    },
    get listeners() {
      return emitter.eventNames().length
    },
  }
}
