/** Something opened ahead for one job. */
export type PooledSlot = {
  /** Whether it can take no job any more. */
  readonly isBroken: boolean
  /** Resolves when it is gone. */
  readonly closed: Promise<unknown>
}

/** Which slots are alike: a job may take any that has the key it asks for. */
export type PooledSpec = {
  readonly key: string
  /** Memory that a waiting slot is counted with. */
  readonly reservedBytes: number
}

export type SlotPoolOptions<Spec extends PooledSpec, Slot extends PooledSlot> = {
  readonly open: (spec: Spec) => Promise<Slot>
  /** Takes a slot that nobody will use and removes it. */
  readonly discard: (slot: Slot) => void
  /** Waiting slots per key. */
  readonly warmSlots: number
  /** Waiting slots of all keys. */
  readonly maxSlots: number
  /** Sum of the reserved memory of all waiting slots. */
  readonly maxReservedBytes: number
  /** A key that nobody used for so long gives up its slots until somebody uses it again. @default never */
  readonly idleSeconds?: number
}

type Shelf<Spec, Slot> = {
  readonly spec: Spec
  readonly slots: Promise<Slot | undefined>[]
  /** Empties the shelf when nobody uses it. */
  idle?: NodeJS.Timeout
}

const reopenMilliseconds = 1000

/**
 * Keeps slots waiting for the programs that were asked for. The key used longest ago gives up its slots first when
 * there are too many. A slot that breaks while it waits is replaced; one that cannot be opened is not tried again until
 * somebody asks.
 */
export class SlotPool<Spec extends PooledSpec, Slot extends PooledSlot> {
  readonly #options: SlotPoolOptions<Spec, Slot>
  /** In order of use, the latest last. */
  readonly #shelves = new Map<string, Shelf<Spec, Slot>>()
  #isClosed = false

  constructor(options: SlotPoolOptions<Spec, Slot>) {
    this.#options = options
  }

  /** Slots that wait or are being opened. */
  get size(): number {
    return [...this.#shelves.values()].reduce((sum, { slots }) => sum + slots.length, 0)
  }

  /** Keeps slots for a spec from now on and waits until the first ones are open. */
  async keep(spec: Spec): Promise<void> {
    if (this.#isClosed) return
    const shelf = this.#touch(spec.key) ?? { spec, slots: [] }
    this.#shelves.set(spec.key, shelf)
    this.#restartIdle(shelf)
    this.refill(spec.key)
    await Promise.all(shelf.slots)
  }

  /** Takes a slot, waiting for one that is being opened; undefined when there is none. */
  async take(key: string): Promise<Slot | undefined> {
    const shelf = this.#touch(key)
    for (let next = shelf?.slots.shift(); next !== undefined; next = shelf?.slots.shift()) {
      const slot = await next
      if (slot === undefined) continue
      if (!slot.isBroken && !this.#isClosed) return slot
      this.#options.discard(slot)
    }
    return undefined
  }

  /** Opens what a kept spec lacks. */
  refill(key: string): void {
    const shelf = this.#shelves.get(key)
    if (this.#isClosed || shelf === undefined) return
    while (shelf.slots.length < this.#options.warmSlots && this.#makeRoom(shelf)) this.#open(shelf)
  }

  /** Keeps no more slots of a key. */
  forget(key: string): Promise<void> {
    return this.#drop(key)
  }

  /** Gives up all slots. */
  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#shelves.keys()].map((key) => this.#drop(key)))
  }

  #open(shelf: Shelf<Spec, Slot>): void {
    const leave = () => {
      const index = shelf.slots.indexOf(opening)
      if (index >= 0) shelf.slots.splice(index, 1)
      return index >= 0
    }
    const opening: Promise<Slot | undefined> = this.#options.open(shelf.spec).catch(() => {
      leave()
      return undefined
    })
    shelf.slots.push(opening)
    void opening.then(async (slot) => {
      await slot?.closed
      // Only one that still waits here has broken; the others have done their work.
      if (slot === undefined || !leave()) return
      this.#options.discard(slot)
      setTimeout(() => this.refill(shelf.spec.key), reopenMilliseconds).unref()
    })
  }

  #touch(key: string): Shelf<Spec, Slot> | undefined {
    const shelf = this.#shelves.get(key)
    if (shelf === undefined) return undefined
    this.#shelves.delete(key)
    this.#shelves.set(key, shelf)
    this.#restartIdle(shelf)
    return shelf
  }

  #restartIdle(shelf: Shelf<Spec, Slot>): void {
    const { idleSeconds } = this.#options
    clearTimeout(shelf.idle)
    if (idleSeconds === undefined) return
    shelf.idle = setTimeout(() => void this.#empty(shelf), idleSeconds * 1000).unref()
  }

  async #empty(shelf: Shelf<Spec, Slot> | undefined): Promise<void> {
    clearTimeout(shelf?.idle)
    await Promise.all((shelf?.slots.splice(0) ?? []).map((slot) => this.#discard(slot)))
  }

  /** Whether one more slot may wait, after those used longer ago have made room. */
  #makeRoom(wanting: Shelf<Spec, Slot>): boolean {
    const { maxSlots, maxReservedBytes } = this.#options
    const { reservedBytes } = wanting.spec
    if (reservedBytes > maxReservedBytes || maxSlots < 1) return false
    for (const shelf of this.#shelves.values()) {
      const hasRoom = () => this.size < maxSlots && this.#reservedBytes() + reservedBytes <= maxReservedBytes
      if (hasRoom()) return true
      if (shelf === wanting) return false
      for (let next = shelf.slots.shift(); next !== undefined; next = shelf.slots.shift()) {
        void this.#discard(next)
        if (hasRoom()) return true
      }
    }
    return false
  }

  #reservedBytes(): number {
    return [...this.#shelves.values()].reduce((sum, { spec, slots }) => sum + slots.length * spec.reservedBytes, 0)
  }

  async #drop(key: string): Promise<void> {
    const shelf = this.#shelves.get(key)
    this.#shelves.delete(key)
    await this.#empty(shelf)
  }

  async #discard(opening: Promise<Slot | undefined>): Promise<void> {
    const slot = await opening
    if (slot !== undefined) this.#options.discard(slot)
  }
}
