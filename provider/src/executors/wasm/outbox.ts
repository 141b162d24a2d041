import { encodeFrameHeader, type FrameType, maxFrameBytes } from './frames.ts'

/** Where a runner puts its frames. They wait for `flush` while they are small, so that the reader wakes up once. */
export type Outbox = { put(type: FrameType, payload: Uint8Array): void; flush(): void }

const gatheredBytes = 65_536

/** Opens an outbox before something that takes bytes at once and keeps none of them. */
export function openOutbox(write: (bytes: Uint8Array) => void): Outbox {
  const room = new Uint8Array(gatheredBytes)
  let used = 0
  const flush = () => {
    const bytes = room.subarray(0, used)
    used = 0
    if (bytes.length > 0) write(bytes)
  }
  const gather = (bytes: Uint8Array) => {
    if (used + bytes.length > room.length) flush()
    if (bytes.length > room.length) {
      write(bytes)
      return
    }
    room.set(bytes, used)
    used += bytes.length
  }
  return {
    flush,
    put(type, payload) {
      for (let offset = 0; offset === 0 || offset < payload.length; offset += maxFrameBytes) {
        const piece = payload.subarray(offset, offset + maxFrameBytes)
        gather(encodeFrameHeader(type, piece.length))
        gather(piece)
      }
    },
  }
}
