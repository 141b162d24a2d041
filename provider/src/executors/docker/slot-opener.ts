import type { ModuleLimits } from '@lilypad-agents/protocol'
import type Docker from 'dockerode'
import type { PooledSpec } from '../slot-pool.ts'
import { CannotCopyError } from './container-spec.ts'
import { copyLauncher } from './copied-slot.ts'
import { findCopyRuntime } from './copy-runtime.ts'
import type { Engine } from './engine.ts'
import { engineLauncher } from './engine-slot.ts'
import type { Image } from './image.ts'
import { jobUser } from './output-volume.ts'
import { Slot } from './slot.ts'
import type { SlotLauncher } from './slot-container.ts'
import { readPattern, type SlotPattern } from './slot-pattern.ts'

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
  /** Hears why slots that were to be copied are opened by the engine instead, once for each reason. */
  readonly onUncopied: (reason: string) => void
}

const restMilliseconds = 60_000

/**
 * Opens slots with the best runtime that works. One that is registered may still not start anything on this kernel, so
 * it counts only after a slot came up in it, and one that failed where another worked is not tried again. Slots that have a
 * pattern are copied from it; where a copy does not come up, the engine opens them for a while.
 */
export class SlotOpener {
  readonly #options: SlotOpenerOptions
  readonly #restUntil = new Map<string, number>()
  readonly #copiesRestUntil = new Map<string, number>()
  readonly #told = new Set<string>()
  #runtimes: readonly string[]
  #proven: string | undefined
  /** Why nothing can be copied here, until the provider is started again. */
  #copyProblem: CannotCopyError | undefined

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

  /** @throws CannotCopyError when a pattern has shown that nothing can be copied here */
  assertCopied(): void {
    if (this.#copyProblem !== undefined) throw this.#copyProblem
  }

  /** Whether slots like this should be copied. */
  isCopied({ key }: SlotSpec): boolean {
    return this.#copyProblem === undefined && (this.#copiesRestUntil.get(key) ?? 0) <= performance.now()
  }

  async open(spec: SlotSpec, pattern?: SlotPattern): Promise<Slot> {
    if (pattern !== undefined && this.isCopied(spec)) {
      try {
        return await this.#launch(spec, copyLauncher(pattern))
      } catch (error) {
        // One that was given up meanwhile says nothing about copies.
        if (!pattern.isBroken) this.#restCopies(spec, error)
      }
    }
    return this.#openByEngine(spec)
  }

  /** Opens a slot to copy others from, or tells that there can be none. */
  async openPattern(spec: SlotSpec): Promise<SlotPattern | undefined> {
    const { docker, engine, discard } = this.#options
    const likely = this.#proven ?? this.#runtimes[0]
    try {
      if (likely !== undefined) await findCopyRuntime(engine, likely)
    } catch (error) {
      return this.#giveUpPatterns(spec, error)
    }
    const slot = await this.#openByEngine(spec)
    try {
      return await readPattern(docker, slot, await findCopyRuntime(engine, slot.runtime))
    } catch (error) {
      discard(slot)
      return this.#giveUpPatterns(spec, error)
    }
  }

  #giveUpPatterns(spec: SlotSpec, error: unknown): undefined {
    // It is about the engine, so no other image would fare better.
    if (error instanceof CannotCopyError) this.#copyProblem = error
    this.#restCopies(spec, error)
  }

  async #openByEngine(spec: SlotSpec): Promise<Slot> {
    const { docker, engine, labels } = this.#options
    const { image, limits } = spec
    let failure: unknown
    for (const runtime of this.#runtimes) {
      const facts = { image, labels, engine, runtime, user: jobUser() }
      try {
        const slot = await this.#launch(spec, engineLauncher(docker, limits, facts))
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

  #launch({ limits }: SlotSpec, launcher: SlotLauncher): Promise<Slot> {
    const { jobsFolder, initPath, discard } = this.#options
    return Slot.open({ jobsFolder, initPath, limits, launcher, discard })
  }

  #restCopies({ key }: SlotSpec, error: unknown): void {
    this.#copiesRestUntil.set(key, performance.now() + restMilliseconds)
    const { message } = error instanceof Error ? error : new TypeError('the reason is unknown')
    const reason = error instanceof CannotCopyError ? message : `a copied slot did not come up: ${message}`
    if (this.#told.has(reason)) return
    this.#told.add(reason)
    this.#options.onUncopied(reason)
  }
}
