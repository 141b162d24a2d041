const headerBytes = 8
const startSection = 8

/** Whether a valid module names a function that runs when it is instantiated, before anybody calls `_start`. */
export function hasStartSection(module: Uint8Array): boolean {
  for (let offset = headerBytes; offset < module.length; ) {
    if (module[offset] === startSection) return true
    const { value, next } = readUnsigned(module, offset + 1)
    offset = next + value
  }
  return false
}

/** LEB128, at most five bytes. */
function readUnsigned(bytes: Uint8Array, start: number): { readonly value: number; readonly next: number } {
  let value = 0
  for (let index = 0; ; index += 1) {
    const byte = bytes[start + index] ?? 0
    value += (byte & 0x7f) * 2 ** (7 * index)
    if (byte < 0x80) return { value, next: start + index + 1 }
  }
}
