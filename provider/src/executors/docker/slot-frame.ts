// The two ends of a slot speak these bytes; the other end is provider/init/slot-init.c.

/** What a slot is told to run. */
export type SlotProgram = {
  /** Never empty; the first is looked up along PATH. */
  readonly args: readonly string[]
  /** `NAME=value` lines; they win over what the engine gave the slot. */
  readonly env: readonly string[]
  readonly hasStdin: boolean
  /** Whether what connects to {@link egressPort} in the slot reaches the socket {@link egressSocket}. @default false */
  readonly hasEgress?: boolean
}

/** Where a job finds the proxy, on the loopback of its own container. */
export const egressPort = 3128
/** Name of the proxy's socket in the folder of the slot. */
export const egressSocket = 'egress'

const magic = 0x3153504c
const maxFrameBytes = 1024 ** 2
const maxStrings = 2 ** 14
// The kernel takes no argument that is longer, its final zero counted.
const maxStringBytes = 128 * 1024

/** The one frame that a slot reads, or undefined when the program does not fit in it and needs a container of its own. */
export function encodeSlotFrame({ args, env, hasStdin, hasEgress = false }: SlotProgram): Buffer | undefined {
  const strings = [...args, ...env]
  if (args.length === 0 || args.length > maxStrings || env.length > maxStrings) return undefined
  if (strings.some((string) => string.includes('\0') || Buffer.byteLength(string) >= maxStringBytes)) return undefined
  const text = Buffer.from(strings.map((string) => `${string}\0`).join(''))
  const head = Buffer.alloc(20)
  const words = [magic, text.length + 12, args.length, env.length, (hasStdin ? 1 : 0) | (hasEgress ? 2 : 0)]
  for (const [index, word] of words.entries()) head.writeUInt32LE(word, index * 4)
  return text.length + 12 > maxFrameBytes ? undefined : Buffer.concat([head, text])
}

/**
 * What the first process of a slot says: `value` is an exit code for `ended`, an error number for `not-found`, how `/out` is
 * mounted for `ready`.
 */
export type SlotRecord = {
  readonly kind: 'ready' | 'refused' | 'started' | 'not-found' | 'ended'
  readonly value: number
}

/** `value` of `ready` when `/out` is mounted with nosuid, nodev and noexec. */
export const boundOutputFlags = 2 | 4 | 8

const recordBytes = 8
const kinds: Readonly<Record<string, SlotRecord['kind']>> = {
  R: 'ready',
  F: 'refused',
  S: 'started',
  X: 'not-found',
  E: 'ended',
}

/** Reads records out of a byte stream. */
export function slotRecordReader(): (chunk: Uint8Array) => readonly SlotRecord[] {
  let rest = Buffer.alloc(0)
  return (chunk) => {
    rest = Buffer.concat([rest, chunk])
    const found: SlotRecord[] = []
    for (; rest.length >= recordBytes; rest = rest.subarray(recordBytes)) {
      const kind = kinds[String.fromCharCode(rest.readUInt32LE(0) & 0xff)]
      if (kind !== undefined) found.push({ kind, value: rest.readUInt32LE(4) })
    }
    return found
  }
}
