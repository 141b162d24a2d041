/** Lets a fixed number of jobs run at the same time; the others wait in the order they came. */
export class RunSlots {
  readonly #slots: number
  readonly #waiting: { readonly start: () => void }[] = []
  #taken = 0

  constructor(slots: number) {
    this.#slots = slots
  }

  get taken(): number {
    return this.#taken
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /**
   * Runs the work in a slot. With an aborted signal it resolves to undefined without having started.
   */
  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T | undefined> {
    if (!(await this.#take(signal))) return undefined
    try {
      return await work()
    } finally {
      this.#taken -= 1
      this.#waiting.shift()?.start()
    }
  }

  async #take(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false
    if (this.#taken < this.#slots) {
      this.#taken += 1
      return true
    }
    return new Promise((resolve) => {
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(entry), 1)
        resolve(false)
      }
      const entry = {
        start: () => {
          signal.removeEventListener('abort', leave)
          this.#taken += 1
          resolve(true)
        },
      }
      signal.addEventListener('abort', leave, { once: true })
      this.#waiting.push(entry)
    })
  }
}
