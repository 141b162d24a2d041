import type { Bytes32 } from '@lilypad-agents/protocol'

/** Who needs which content. Content with an owner is never evicted; an owner that is gone is let go with all it had. */
export class Pins {
  readonly #owners = new Map<string, Set<Bytes32>>()
  readonly #counts = new Map<Bytes32, number>()

  /** Adds to what an owner needs. Twice is once. */
  add(owner: string, digests: Iterable<Bytes32>): void {
    const owned = this.#owners.get(owner) ?? new Set()
    this.#owners.set(owner, owned)
    for (const digest of digests) {
      if (owned.has(digest)) continue
      owned.add(digest)
      this.#counts.set(digest, (this.#counts.get(digest) ?? 0) + 1)
    }
  }

  release(owner: string): void {
    for (const digest of this.#owners.get(owner) ?? []) {
      const left = (this.#counts.get(digest) ?? 0) - 1
      if (left > 0) this.#counts.set(digest, left)
      else this.#counts.delete(digest)
    }
    this.#owners.delete(owner)
  }

  listOwners(): readonly string[] {
    return [...this.#owners.keys()]
  }

  has(digest: Bytes32): boolean {
    return this.#counts.has(digest)
  }
}
