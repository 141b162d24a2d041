const keptBytes = 4096

/** The last bytes of a stream, to say why a server did not come up. */
export class LogTail {
  #pieces: Uint8Array[] = []
  #length = 0

  push(bytes: Uint8Array): void {
    const kept = bytes.slice(-keptBytes)
    this.#pieces.push(kept)
    this.#length += kept.length
    if (this.#length <= 4 * keptBytes) return
    this.#pieces = [Buffer.concat(this.#pieces).subarray(-keptBytes)]
    this.#length = keptBytes
  }

  clear(): void {
    this.#pieces = []
    this.#length = 0
  }

  toString(): string {
    return Buffer.concat(this.#pieces).subarray(-keptBytes).toString()
  }
}
