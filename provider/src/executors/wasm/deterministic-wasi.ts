import { type Fd, WASI, wasi } from '@bjorn3/browser_wasi_shim'
import { OpenMemoryDirectory } from './memory-file-system.ts'

type Functions = { [name: string]: (...args: never[]) => unknown }

const firstInstant = 1_000_000_000n // One second after the epoch, the SOURCE_DATE_EPOCH of the job.
const nanosecondsPerLook = 1_000_000n
const maxOpenFiles = 1024
const subscriptionBytes = 48
const eventBytes = 32

/**
 * WASI preview 1 without a world outside: the clock moves one millisecond each time it is looked at and as far as a
 * sleep asks, randomness is SHA-256 in counter mode over a seed, descriptors are reused and bounded. Two runs with the
 * same seed, program and inputs see the same in every call.
 */
export class DeterministicWasi extends WASI {
  readonly #free: number[] = []
  #random = seededBytes('')
  #now = firstInstant

  constructor() {
    super([], [], [], { debug: false })
    Object.assign(this.wasiImport, this.#overrides())
  }

  /** Gives the one program of this system its world. A program can be bound to the system before. */
  begin(world: {
    readonly args: readonly string[]
    readonly env: readonly string[]
    readonly fds: readonly Fd[]
    readonly seed: string
  }): void {
    this.args = [...world.args]
    this.env = [...world.env]
    this.fds = [...world.fds]
    this.#random = seededBytes(world.seed)
  }

  get #view(): DataView {
    return new DataView(this.inst.exports.memory.buffer)
  }

  #overrides(): Functions {
    const inherited = { ...this.wasiImport }
    const path = (pointer: number, length: number) =>
      new TextDecoder().decode(new Uint8Array(this.inst.exports.memory.buffer, pointer, length).slice())
    return {
      // The shim counts UTF-16 units where bytes are meant, which would let a non-ASCII argument overrun the program's buffer.
      args_sizes_get: (countPointer: number, sizePointer: number) => {
        const size = this.args.reduce((sum, arg) => sum + Buffer.byteLength(arg) + 1, 0)
        this.#view.setUint32(countPointer, this.args.length, true)
        this.#view.setUint32(sizePointer, size, true)
        return wasi.ERRNO_SUCCESS
      },
      clock_res_get: (id: number, pointer: number) => {
        if (id > wasi.CLOCKID_THREAD_CPUTIME_ID) return wasi.ERRNO_INVAL
        this.#view.setBigUint64(pointer, nanosecondsPerLook, true)
        return wasi.ERRNO_SUCCESS
      },
      clock_time_get: (id: number, _precision: bigint, pointer: number) => {
        if (id > wasi.CLOCKID_THREAD_CPUTIME_ID) return wasi.ERRNO_INVAL
        this.#now += nanosecondsPerLook
        this.#view.setBigUint64(pointer, this.#now, true)
        return wasi.ERRNO_SUCCESS
      },
      random_get: (pointer: number, length: number) => {
        new Uint8Array(this.inst.exports.memory.buffer, pointer, length >>> 0).set(this.#random(length >>> 0))
        return wasi.ERRNO_SUCCESS
      },
      poll_oneoff: (subscriptions: number, events: number, count: number, countPointer: number) =>
        this.#poll(subscriptions, events, count, countPointer),
      sched_yield: () => wasi.ERRNO_SUCCESS,
      fd_close: (fd: number) => {
        const result = inherited['fd_close']?.(fd)
        if (result === wasi.ERRNO_SUCCESS) this.#free.push(fd)
        return result
      },
      fd_renumber: (from: number, to: number) => {
        if (from === to) return this.fds[from] === undefined ? wasi.ERRNO_BADF : wasi.ERRNO_SUCCESS
        const result = inherited['fd_renumber']?.(from, to)
        if (result === wasi.ERRNO_SUCCESS) this.#free.push(from)
        return result
      },
      path_open: (...args: [number, number, number, number, number, bigint, bigint, number, number]) => {
        if (this.#free.length === 0 && this.fds.length >= maxOpenFiles) return wasi.ERRNO_MFILE
        const result = inherited['path_open']?.(...args)
        const slot = result === wasi.ERRNO_SUCCESS ? this.#free.pop() : undefined
        const opened = slot === undefined ? undefined : this.fds.pop()
        if (slot === undefined || opened === undefined) return result
        this.fds[slot] = opened
        this.#view.setUint32(args[8], slot, true)
        return result
      },
      path_link: () => wasi.ERRNO_NOTSUP,
      path_rename: (fromFd: number, from: number, fromLength: number, toFd: number, to: number, toLength: number) => {
        const [source, target] = [this.fds[fromFd], this.fds[toFd]]
        if (!(source instanceof OpenMemoryDirectory && target instanceof OpenMemoryDirectory)) return wasi.ERRNO_BADF
        return source.rename(path(from, fromLength), target, path(to, toLength))
      },
      sock_accept: () => wasi.ERRNO_NOTSUP,
      sock_recv: () => wasi.ERRNO_NOTSUP,
      sock_send: () => wasi.ERRNO_NOTSUP,
      sock_shutdown: () => wasi.ERRNO_NOTSUP,
    }
  }

  /** Descriptors are always ready; when only clocks are asked for, the earliest one rings at once and time moves there. */
  #poll(subscriptions: number, events: number, count: number, countPointer: number): number {
    if (count === 0 || count > 4096) return wasi.ERRNO_INVAL
    const view = this.#view
    const asked = Array.from({ length: count }, (_, index) => {
      const pointer = subscriptions + index * subscriptionBytes
      const timeout = view.getBigUint64(pointer + 24, true)
      const isAbsolute = (view.getUint16(pointer + 40, true) & 1) === 1
      return {
        userdata: view.getBigUint64(pointer, true),
        type: view.getUint8(pointer + 8),
        due: isAbsolute ? timeout : this.#now + timeout,
      }
    })
    const descriptors = asked.filter(({ type }) => type !== wasi.EVENTTYPE_CLOCK)
    let earliest = asked[0]?.due ?? 0n
    for (const { due } of asked) if (due < earliest) earliest = due
    const ready = descriptors.length > 0 ? descriptors : asked.filter(({ due }) => due === earliest)
    if (descriptors.length === 0 && earliest > this.#now) this.#now = earliest
    for (const [index, { userdata, type }] of ready.entries()) {
      const pointer = events + index * eventBytes
      new Uint8Array(view.buffer, pointer, eventBytes).fill(0)
      view.setBigUint64(pointer, userdata, true)
      view.setUint8(pointer + 10, type)
    }
    view.setUint32(countPointer, ready.length, true)
    return wasi.ERRNO_SUCCESS
  }
}

/** Endless bytes from a seed: SHA-256 of seed and counter. */
function seededBytes(seed: string): (length: number) => Uint8Array {
  let counter = 0
  return (length) => {
    // Looked up here because it takes a fifth of the start of a process, and few programs ask for randomness.
    const { createHash } = process.getBuiltinModule('node:crypto')
    const bytes = new Uint8Array(length)
    for (let offset = 0; offset < length; offset += 32) {
      const block = createHash('sha256').update(`lilypad-random\0${seed}\0${counter++}`).digest()
      bytes.set(block.subarray(0, Math.min(32, length - offset)), offset)
    }
    return bytes
  }
}
