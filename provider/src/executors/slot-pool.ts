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

/** Where slots are copies: what those of one key are made from. It serves no job and is kept as long as the key has slots. */
export type PatternOptions<Spec extends PooledSpec, Pattern extends PooledSlot> = {
  /** Undefined when there can be none; slots are then opened without. Rejects when no slot can be opened either. */
  readonly open: (spec: Spec) => Promise<Pattern | undefined>
  readonly discard: (pattern: Pattern) => void
  /** Whether it is worth while to open one now. */
  readonly isWanted: (spec: Spec) => boolean
  /** Memory that one is counted with. */
  readonly reservedBytes: number
}

export type SlotPoolOptions<
  Spec extends PooledSpec,
  Slot extends PooledSlot,
  Pattern extends PooledSlot = PooledSlot,
> = {
  /** Opens a slot, from the pattern of its key where there is one. */
  readonly open: (spec: Spec, pattern?: Pattern) => Promise<Slot>
  /** @default every slot is opened by itself */
  readonly patterns?: PatternOptions<Spec, Pattern>
  /** Takes a slot that nobody will use and removes it. */
  readonly discard: (slot: Slot) => void
  /** Waiting slots per key. */
  readonly warmSlots: number
  /** Waiting slots and patterns of all keys. */
  readonly maxSlots: number
  /** Sum of the reserved memory of all waiting slots and patterns. */
  readonly maxReservedBytes: number
  /** A key that nobody used for so long gives up its slots until somebody uses it again. @default never */
  readonly idleSeconds?: number
}

type Shelf<Spec, Slot, Pattern> = {
  readonly spec: Spec
  readonly slots: Promise<Slot | undefined>[]
  pattern?: Promise<Pattern | undefined>
  /** Empties the shelf when nobody uses it. */
  idle?: NodeJS.Timeout
}

const reopenMilliseconds = 1000

/**
 * Keeps slots waiting for the programs that were asked for. The key used longest ago gives up its slots first when
 * there are too many. A slot that breaks while it waits is replaced; one that cannot be opened is not tried again until
 * somebody asks.
 */
export class SlotPool<Spec extends PooledSpec, Slot extends PooledSlot, Pattern extends PooledSlot = PooledSlot> {
  readonly #options: SlotPoolOptions<Spec, Slot, Pattern>
  /** In order of use, the latest last. */
  readonly #shelves = new Map<string, Shelf<Spec, Slot, Pattern>>()
  #isClosed = false

  constructor(options: SlotPoolOptions<Spec, Slot, Pattern>) {
    this.#options = options
  }

  /** Slots that wait or are being opened, and patterns. */
  get size(): number {
    const shelves = [...this.#shelves.values()]
    return shelves.reduce((sum, { slots, pattern }) => sum + slots.length + (pattern === undefined ? 0 : 1), 0)
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
    const { warmSlots, patterns } = this.#options
    while (shelf.slots.length < warmSlots) {
      if (
        shelf.pattern === undefined &&
        patterns?.isWanted(shelf.spec) &&
        this.#makeRoom(shelf, patterns.reservedBytes)
      )
        this.#openPattern(shelf, patterns)
      if (!this.#makeRoom(shelf)) return
      this.#open(shelf)
    }
  }

  /** Opens a slot for a job that finds none waiting. */
  async openOwn(spec: Spec): Promise<Slot> {
    return this.#options.open(spec, await this.#shelves.get(spec.key)?.pattern)
  }

  /** Keys that slots are kept for. */
  get keys(): readonly string[] {
    return [...this.#shelves.keys()]
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

  #openPattern(shelf: Shelf<Spec, Slot, Pattern>, { open, discard }: PatternOptions<Spec, Pattern>): void {
    const leave = () => {
      const isHere = shelf.pattern === opening
      if (isHere) delete shelf.pattern
      return isHere
    }
    const opening = open(shelf.spec)
    shelf.pattern = opening
    const found = opening.catch(() => undefined)
    void found.then(async (pattern) => {
      await pattern?.closed
      if (!leave() || pattern === undefined) return
      // Nobody asked for its end, so what was copied from it is not to be trusted with a job either.
      discard(pattern)
      await Promise.all(shelf.slots.splice(0).map((slot) => this.#discard(slot)))
      this.#reopen(shelf)
    })
  }

  #open(shelf: Shelf<Spec, Slot, Pattern>): void {
    const leave = () => {
      const index = shelf.slots.indexOf(opening)
      if (index >= 0) shelf.slots.splice(index, 1)
      return index >= 0
    }
    const opening: Promise<Slot | undefined> = Promise.resolve(shelf.pattern)
      .then((pattern) => this.#options.open(shelf.spec, pattern))
      .catch(() => {
        leave()
        return undefined
      })
    shelf.slots.push(opening)
    void opening.then(async (slot) => {
      await slot?.closed
      // Only one that still waits here has broken; the others have done their work.
      if (slot === undefined || !leave()) return
      this.#options.discard(slot)
      this.#reopen(shelf)
    })
  }

  #reopen({ spec }: Shelf<Spec, Slot, Pattern>): void {
    setTimeout(() => this.refill(spec.key), reopenMilliseconds).unref()
  }

  #touch(key: string): Shelf<Spec, Slot, Pattern> | undefined {
    const shelf = this.#shelves.get(key)
    if (shelf === undefined) return undefined
    this.#shelves.delete(key)
    this.#shelves.set(key, shelf)
    this.#restartIdle(shelf)
    return shelf
  }

  #restartIdle(shelf: Shelf<Spec, Slot, Pattern>): void {
    const { idleSeconds } = this.#options
    clearTimeout(shelf.idle)
    if (idleSeconds === undefined) return
    shelf.idle = setTimeout(() => void this.#empty(shelf), idleSeconds * 1000).unref()
  }

  async #empty(shelf: Shelf<Spec, Slot, Pattern> | undefined): Promise<void> {
    if (shelf === undefined) return
    clearTimeout(shelf.idle)
    await Promise.all([...shelf.slots.splice(0).map((slot) => this.#discard(slot)), this.#discardPattern(shelf)])
  }

  /**
   * Whether one more slot may wait, after those used longer ago have made room, and beside it a pattern of so many bytes
   * where one is asked for.
   */
  #makeRoom(wanting: Shelf<Spec, Slot, Pattern>, patternBytes?: number): boolean {
    const { maxSlots, maxReservedBytes } = this.#options
    const wanted = patternBytes === undefined ? 1 : 2
    const wantedBytes = wanting.spec.reservedBytes + (patternBytes ?? 0)
    if (wantedBytes > maxReservedBytes || wanted > maxSlots) return false
    const hasRoom = () => this.size + wanted <= maxSlots && this.#reservedBytes() + wantedBytes <= maxReservedBytes
    for (const shelf of this.#shelves.values()) {
      if (hasRoom()) return true
      if (shelf === wanting) return false
      for (let next = shelf.slots.shift(); next !== undefined; next = shelf.slots.shift()) {
        void this.#discard(next)
        if (hasRoom()) return true
      }
      void this.#discardPattern(shelf)
    }
    return false
  }

  #reservedBytes(): number {
    const { patterns } = this.#options
    return [...this.#shelves.values()].reduce(
      (sum, { spec, slots, pattern }) =>
        sum + slots.length * spec.reservedBytes + (pattern === undefined ? 0 : (patterns?.reservedBytes ?? 0)),
      0,
    )
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

  async #discardPattern(shelf: Shelf<Spec, Slot, Pattern>): Promise<void> {
    const opening = shelf.pattern
    delete shelf.pattern
    const pattern = await opening?.catch(() => undefined)
    if (pattern !== undefined) this.#options.patterns?.discard(pattern)
  }
}
