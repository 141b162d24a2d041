/**
 * Frames between the provider and its WASM runner: one byte of type, four bytes of length (little endian), payload.
 * The runner's side is written by a process that a stranger's program may have taken over, so the reader here trusts
 * nothing but the length limit.
 */
export const frameTypes = ['ready', 'stdout', 'stderr', 'file', 'data', 'end', 'early'] as const
export type FrameType = (typeof frameTypes)[number]
export type Frame = { readonly type: FrameType; readonly payload: Uint8Array }

export const maxFrameBytes = 1024 ** 2
const headerBytes = 5

/** Header of a frame. */
export function encodeFrameHeader(type: FrameType, length: number): Uint8Array {
  const header = new Uint8Array(headerBytes)
  header[0] = frameTypes.indexOf(type)
  new DataView(header.buffer).setUint32(1, length, true)
  return header
}

/** Thrown when the other side does not speak frames. */
export class FrameError extends Error {}

/**
 * Cuts a byte stream into frames.
 * @throws FrameError on an unknown type or a frame that is longer than `maxFrameBytes`
 */
export function frameReader(): (bytes: Uint8Array) => Generator<Frame> {
  let pending: Uint8Array = new Uint8Array()
  return function* read(bytes) {
    let rest = pending.length === 0 ? bytes : joinBytes(pending, bytes)
    pending = new Uint8Array()
    while (rest.length >= headerBytes) {
      const type = frameTypes[rest[0] ?? frameTypes.length]
      const length = new DataView(rest.buffer, rest.byteOffset).getUint32(1, true)
      if (type === undefined || length > maxFrameBytes) throw new FrameError('not a frame')
      if (rest.length < headerBytes + length) break
      yield { type, payload: rest.subarray(headerBytes, headerBytes + length) }
      rest = rest.subarray(headerBytes + length)
    }
    pending = rest.slice()
  }
}

function joinBytes(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length)
  joined.set(a)
  joined.set(b, a.length)
  return joined
}

/** What the runner is told about its one job; stdin and inputs follow as raw bytes in this order. */
export type RunnerJob = {
  readonly args: readonly string[]
  readonly env: readonly string[]
  readonly seed: string
  readonly stdinBytes: number
  readonly inputs: readonly { readonly path: string; readonly bytes: number }[]
  readonly outputBytes: number
  readonly outputFiles: number
  readonly outputFolders: number
  readonly scratchBytes: number
}

/** How the runner says its job ended. */
export type RunnerEnd =
  | { readonly kind: 'exited'; readonly code: number }
  | { readonly kind: 'output-limit' }
  | { readonly kind: 'out-of-memory' }
  | { readonly kind: 'trapped'; readonly reason: string }
