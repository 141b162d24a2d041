const blockBytes = 8192

/** Base64 of bytes, with padding. */
export function toBase64(bytes: Uint8Array): string {
  let binary = ''
  for (let at = 0; at < bytes.length; at += blockBytes)
    binary += String.fromCharCode(...bytes.subarray(at, at + blockBytes))
  return btoa(binary)
}

/**
 * Bytes of a Base64 text.
 * @throws DOMException when the text is not Base64
 */
export function fromBase64(text: string): Uint8Array {
  const binary = atob(text)
  const bytes = new Uint8Array(binary.length)
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at)
  return bytes
}
