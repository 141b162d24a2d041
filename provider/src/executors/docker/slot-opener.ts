import type { ModuleLimits } from '@lilypad-agents/protocol'
import type Docker from 'dockerode'
import type { PooledSpec } from '../slot-pool.ts'
import type { Engine } from './engine.ts'
import type { Image } from './image.ts'
import { jobUser } from './output-volume.ts'
import { Slot } from './slot.ts'

/** Slots that are alike have the same image, limits and user. */
export type SlotSpec = PooledSpec & { readonly image: Image; readonly limits: ModuleLimits }

export type SlotOpenerOptions = {
  readonly docker: Docker
  readonly jobsFolder: string
  readonly initPath: string
  readonly engine: Engine
  readonly labels: Readonly<Record<string, string>>
  /** Takes a slot that did not come up and removes it. */
  readonly discard: (slot: Slot) => void
  /** Container runtimes to try, the best first. */
  readonly runtimes: readonly string[]
}

const restMilliseconds = 60_000

/**
 * Opens slots with the best runtime that works. One that is registered may still not start anything on this kernel, so
 * it counts only after a slot came up in it, and one that failed where another worked is not tried again.
 */
export class SlotOpener {
  readonly #options: SlotOpenerOptions
  readonly #restUntil = new Map<string, number>()
  #runtimes: readonly string[]
  #proven: string | undefined

  constructor(options: SlotOpenerOptions) {
    this.#options = options
    this.#runtimes = options.runtimes
  }

  /** Runtime in which the last slot came up. */
  get provenRuntime(): string | undefined {
    return this.#proven
  }

  /** Whether slots for an image failed a moment ago, so that its jobs should not wait for another failure. */
  isResting(imageId: string): boolean {
    return (this.#restUntil.get(imageId) ?? 0) > performance.now()
  }

  async open(spec: SlotSpec): Promise<Slot> {
    const { docker, jobsFolder, initPath, engine, labels, discard } = this.#options
    const { image, limits } = spec
    let failure: unknown
    for (const runtime of this.#runtimes) {
      const facts = { image, labels, engine, runtime, user: jobUser() }
      try {
        const slot = await Slot.open({ docker, jobsFolder, initPath, limits, facts, discard })
        this.#runtimes = this.#runtimes.slice(this.#runtimes.indexOf(runtime))
        this.#proven = runtime
        this.#restUntil.delete(image.id)
        return slot
      } catch (error) {
        failure ??= error
      }
    }
    this.#restUntil.set(image.id, performance.now() + restMilliseconds)
    throw failure
  }
}
